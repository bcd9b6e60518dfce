// The media between us and one other peer: a connection that is watched, restarted when it does not come about, and, when
// that does not help, given up for a new one on both sides.
//
// Chromium sometimes gathers no addresses at all after its very first offer was taken back, and then no restart helps. So
// of two the newcomer begins and the other waits for its offer; and should they cross all the same, there is a second connection.

import { createNegotiation } from './negotiation.js'

const WATCH_MS = 1000
const ANSWER_MS = 4000
const CONNECT_MS = 5000
const MOST_RESTARTS = 2

/** `on`: stream(stream), state('connecting' | 'connected' | 'unreachable'). `tell(data, n)` sends a signal. */
export function createPeer({ polite, begins, iceServers, stream, tell, on }) {
  let again = 0 // so many connections were given up; in each signal, so that none reaches another connection than it is for
  let unnumbered = 0 // negotiations of ours whose number has not come yet
  let restarts
  let waitingSince // for an answer, or to be connected
  let media = open(begins)
  const watching = setInterval(watch, WATCH_MS)

  function open(isFirstToOffer) {
    const own = again
    restarts = 0
    waitingSince = performance.now()
    return createNegotiation({
      polite,
      begins: isFirstToOffer,
      iceServers,
      stream,
      tell: (data, n) => say({ ...data, ...(own && { again: own }) }, n),
      on: { stream: on.stream, state: hearState },
    })
  }

  function say(data, n) {
    if (n === undefined) {
      unnumbered += 1
      waitingSince = performance.now()
    }
    tell(data, n)
  }

  /** The side that does not give way offers first, so that offers do not cross this time. */
  function openAgain(number) {
    again = number
    media.close()
    media = open(!polite)
    on.state('connecting')
  }

  function hearState(state) {
    if (state === 'failed') retry()
    const isAway = state === 'failed' || state === 'disconnected'
    on.state(isAway ? 'unreachable' : state === 'connected' ? 'connected' : 'connecting')
  }

  function retry() {
    waitingSince = performance.now()
    if (restarts < MOST_RESTARTS && !isHopeless()) {
      restarts += 1
      media.restart()
    } else giveUp()
  }

  function giveUp() {
    openAgain(again + 1)
    if (polite) say({ again })
  }

  /** Once only: where no connection ever finds an address, a new one is no better. */
  const isHopeless = () => again === 0 && media.isWithoutAddress()

  function watch() {
    if (media.isConnected()) {
      restarts = 0
      waitingSince = performance.now()
      return
    }
    const patienceMs = media.isOffering() || isHopeless() ? ANSWER_MS : CONNECT_MS
    if (performance.now() - waitingSince >= patienceMs) retry()
  }

  return {
    restart: () => media.restart(),
    isConnected: () => media.isConnected(),
    /** What the other side still has was with a page of ours that is gone. */
    askAnew: () => say({ anew: true }),
    hear(data, n) {
      if (data?.anew) return giveUp()
      const theirs = data?.again ?? 0
      if (theirs > again) openAgain(theirs)
      if (theirs === again) media.hear(data, n)
    },
    /** The number of our oldest negotiation that had none. */
    number(n) {
      unnumbered = Math.max(0, unnumbered - 1)
      if (unnumbered === 0) media.number(n)
    },
    /** Numbers that were asked for before the socket was lost may never come. */
    forgetNumbers() {
      unnumbered = 0
    },
    close() {
      clearInterval(watching)
      media.close()
    },
  }
}
