// The media between us and one other peer, negotiated as in https://www.w3.org/TR/webrtc/#perfect-negotiation-example:
// either side may offer at any time; when both do, the one that the server called polite gives way. Each negotiation has a
// number of the server's: an answer or a candidate that belongs to another one than the present is dropped.

const WATCH_MS = 1000
const ANSWER_MS = 4000
const CONNECT_MS = 6000
const GATHER_MS = 150 // candidates come one by one and go in one message

// The newcomer begins and the others wait for its offer: two first offers that cross are resolved by politeness, but Chromium
// sometimes gathers no addresses at all after its very first offer was taken back.

/** `on`: stream(stream), state('connecting' | 'connected' | 'unreachable'). `tell(data, n)` sends a signal. */
export function createPeer({ polite, begins, iceServers, stream, tell, on }) {
  const connection = new RTCPeerConnection({ iceServers })
  let isMakingOffer = false
  let unnumbered = 0 // offers of ours whose number has not come yet
  let offered // the number of our last offer
  let present // the number that our local description belongs to, once it is known
  let ignored // the number of the last offer that we did not give way to
  let candidates = [] // of ours, that wait for others, or for the number of their negotiation
  let gathering
  let work = Promise.resolve()
  let waitingSince = performance.now() // for an answer, or to be connected

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
      await connection.setLocalDescription(options && (await connection.createOffer(options)))
      if (connection.signalingState !== 'have-local-offer') return
      unnumbered += 1
      present = undefined
      waitingSince = performance.now()
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
      const isOurs = n === offered && unnumbered === 0 && connection.signalingState === 'have-local-offer'
      if (isOurs) await connection.setRemoteDescription(description)
    } else if (theirs && n !== ignored) {
      // One of a negotiation that is over by now fits nothing any more.
      for (const one of theirs) await connection.addIceCandidate(one).catch(() => {})
    }
  }

  function tellState() {
    const state = connection.connectionState
    if (state === 'failed') restart()
    const isAway = state === 'failed' || state === 'disconnected'
    on.state(isAway ? 'unreachable' : state === 'connected' ? 'connected' : 'connecting')
  }

  /** Finds the way to the other side anew, and says again what may not have arrived. */
  function restart() {
    if (connection.signalingState === 'have-local-offer') void offer({ iceRestart: true })
    else if (connection.getTransceivers().length === 0) addMedia()
    else connection.restartIce()
  }

  function watch() {
    if (connection.connectionState === 'connected') {
      waitingSince = performance.now()
      return
    }
    const patienceMs = connection.signalingState === 'have-local-offer' ? ANSWER_MS : CONNECT_MS
    if (performance.now() - waitingSince < patienceMs) return
    waitingSince = performance.now()
    restart()
  }

  connection.addEventListener('negotiationneeded', () => offer())
  connection.addEventListener('icecandidate', ({ candidate }) => {
    if (!candidate) return
    candidates.push(candidate)
    clearTimeout(gathering)
    gathering = setTimeout(tellCandidates, GATHER_MS)
  })
  connection.addEventListener('connectionstatechange', tellState)
  connection.addEventListener('track', ({ streams: [theirs] }) => theirs && on.stream(theirs))
  if (begins) addMedia()
  const watching = setInterval(watch, WATCH_MS)

  return {
    restart,
    isConnected: () => connection.connectionState === 'connected',
    hear(data, n) {
      work = work
        .then(() => hear(data, n))
        .catch((error) => console.warn('a signal was of no use:', error.message))
    },
    /** The number of our oldest offer that had none. */
    number(n) {
      unnumbered -= 1
      offered = n
      if (unnumbered > 0 || connection.signalingState !== 'have-local-offer') return
      present = n
      tellCandidates()
    },
    /** Numbers that were asked for before the socket was lost may never come. */
    forgetNumbers() {
      unnumbered = 0
    },
    close() {
      clearInterval(watching)
      clearTimeout(gathering)
      connection.close()
    },
  }
}
