// One RTCPeerConnection, negotiated as in https://www.w3.org/TR/webrtc/#perfect-negotiation-example: either side may offer at
// any time; when both do, the one that the server called polite gives way. Each negotiation has a number of the server's:
// an answer or a candidate that belongs to another one than the present is dropped.

const GATHER_MS = 150 // candidates come one by one and go in one message

/** `on`: stream(stream), state(connectionState). `tell(data, n)` sends a signal; without `n` it opens a negotiation. */
export function createNegotiation({ polite, begins, iceServers, stream, tell, on }) {
  const connection = new RTCPeerConnection({ iceServers })
  let isMakingOffer = false
  let offered // the number of our last offer, once it is known
  let present // the number that our local description belongs to, once it is known
  let ignored // the number of the last offer that we did not give way to
  let candidates = [] // of ours, that wait for others, or for the number of their negotiation
  let hasGathered = false
  let gathering
  let work = Promise.resolve()

  const isOffering = () => connection.signalingState === 'have-local-offer'
  const complain = (error) => console.warn('a negotiation failed:', error.message)

  /** From then on the connection wants to be negotiated. */
  function addMedia() {
    if (connection.getTransceivers().length > 0) return
    for (const kind of ['audio', 'video']) {
      const [track] = stream.getTracks().filter((one) => one.kind === kind)
      if (track) connection.addTrack(track, stream)
      else connection.addTransceiver(kind, { direction: 'recvonly' })
    }
  }

  async function offer(options) {
    try {
      isMakingOffer = true
      candidates = []
      offered = undefined
      await connection.setLocalDescription(options && (await connection.createOffer(options)))
      if (!isOffering()) return
      present = undefined
      tell({ description: connection.localDescription })
    } finally {
      isMakingOffer = false
    }
  }

  async function hearOffer(description, n) {
    const isCollision = isMakingOffer || connection.signalingState !== 'stable'
    if (isCollision && !polite) {
      ignored = n
      return
    }
    addMedia()
    await connection.setRemoteDescription(description) // takes our own offer back, if there is one
    candidates = []
    ignored = undefined
    await connection.setLocalDescription()
    present = n
    tell({ description: connection.localDescription }, n)
  }

  function tellCandidates() {
    if (present === undefined || candidates.length === 0) return
    tell({ candidates }, present)
    candidates = []
  }

  async function hear({ description, candidates: theirs }, n) {
    if (description?.type === 'offer') await hearOffer(description, n)
    else if (description?.type === 'answer') {
      if (n === offered && isOffering()) await connection.setRemoteDescription(description)
    } else if (theirs && n !== ignored) {
      // One of a negotiation that is over by now fits nothing any more.
      for (const one of theirs) await connection.addIceCandidate(one).catch(() => {})
    }
  }

  connection.addEventListener('negotiationneeded', () => offer().catch(complain))
  connection.addEventListener('icecandidate', ({ candidate }) => {
    if (!candidate?.candidate) return
    hasGathered = true
    candidates.push(candidate)
    clearTimeout(gathering)
    gathering = setTimeout(tellCandidates, GATHER_MS)
  })
  connection.addEventListener('connectionstatechange', () => on.state(connection.connectionState))
  connection.addEventListener('track', ({ streams: [theirs] }) => theirs && on.stream(theirs))
  if (begins) addMedia()

  return {
    isConnected: () => connection.connectionState === 'connected',
    isOffering,
    /** Whether it found no address of ours, though it had reason to look for them. */
    isWithoutAddress: () => connection.localDescription !== null && !hasGathered,
    /** Finds the way to the other side anew, and says again what may not have arrived. */
    restart() {
      if (isOffering()) offer({ iceRestart: true }).catch(complain)
      else if (connection.getTransceivers().length === 0) addMedia()
      else connection.restartIce()
    },
    hear(data, n) {
      work = work.then(() => hear(data, n)).catch(complain)
    },
    /** The number of our last offer. */
    number(n) {
      if (!isOffering()) return
      offered = n
      present = n
      tellCandidates()
    },
    close() {
      clearTimeout(gathering)
      connection.close()
    },
  }
}
