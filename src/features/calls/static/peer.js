// The media between us and one other peer, negotiated as in https://www.w3.org/TR/webrtc/#perfect-negotiation-example:
// either side may offer at any time; when both do, the one that the server called polite gives way. Each negotiation has a
// number of the server's: an answer or a candidate that belongs to another one than the present is dropped.

const GIVE_UP_WAITING_MS = 4000

/** `on`: stream(stream), state('connecting' | 'connected' | 'unreachable'). `tell(data, n)` sends a signal. */
export function createPeer({ polite, iceServers, stream, tell, on }) {
  const connection = new RTCPeerConnection({ iceServers })
  let isMakingOffer = false
  let unnumbered = 0 // offers of ours whose number has not come yet
  let offered // the number of our last offer
  let present // the number that our local description belongs to, once it is known
  let ignored // the number of the last offer that we did not give way to
  let candidates = [] // of ours, while their negotiation has no number
  let work = Promise.resolve()
  let waitingSince = 0

  for (const kind of ['audio', 'video']) {
    const [track] = stream.getTracks().filter((one) => one.kind === kind)
    if (track) connection.addTrack(track, stream)
    else connection.addTransceiver(kind, { direction: 'recvonly' })
  }

  async function offer(options) {
    try {
      isMakingOffer = true
      await connection.setLocalDescription(options && (await connection.createOffer(options)))
      if (connection.signalingState !== 'have-local-offer') return
      unnumbered += 1
      present = undefined
      candidates = []
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
    await connection.setRemoteDescription(description) // takes our own offer back, if there is one
    await connection.setLocalDescription()
    present = n
    candidates = []
    tell({ description: connection.localDescription }, n)
  }

  async function hear({ description, candidate }, n) {
    if (description?.type === 'offer') await hearOffer(description, n)
    else if (description?.type === 'answer') {
      const isOurs = n === offered && unnumbered === 0 && connection.signalingState === 'have-local-offer'
      if (isOurs) await connection.setRemoteDescription(description)
    } else if (candidate !== undefined && n !== ignored) {
      // One of a negotiation that is over by now fits nothing any more.
      await connection.addIceCandidate(candidate ?? undefined).catch(() => {})
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
    else connection.restartIce()
  }

  function watch() {
    const isWaiting = connection.signalingState === 'have-local-offer'
    if (isWaiting && performance.now() - waitingSince > GIVE_UP_WAITING_MS) restart()
    else if (connection.connectionState === 'disconnected') restart()
  }

  connection.addEventListener('negotiationneeded', () => offer())
  connection.addEventListener('icecandidate', ({ candidate }) => {
    if (present === undefined) candidates.push(candidate)
    else tell({ candidate }, present)
  })
  connection.addEventListener('connectionstatechange', tellState)
  connection.addEventListener('track', ({ streams: [theirs] }) => theirs && on.stream(theirs))
  const watching = setInterval(watch, GIVE_UP_WAITING_MS)

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
      for (const candidate of candidates.splice(0)) tell({ candidate }, n)
    },
    /** Numbers that were asked for before the socket was lost may never come. */
    forgetNumbers() {
      unnumbered = 0
    },
    close() {
      clearInterval(watching)
      connection.close()
    },
  }
}
