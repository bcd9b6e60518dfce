// The socket to the server (docs/features/calls.md): joins, and joins again as the same peer when it was lost, after the
// last message it got; also when the page was lost with it.
import { forgetSeat, keepSeat, keptSeat } from './kept-seat.js'
import { createPace } from './pace.js'
import ReconnectingWebSocket from './partysocket.js'

const PING_MS = 5000
const SILENT_MS = 9000 // no pong: the connection is dead, though nobody said so
const JOIN_AGAIN_MS = 5000 // the server allows 20 joins a minute
const WAIT_FOR_SEAT_MS = 60_000
const MOST_WAITING = 500
const FINAL_BYES = { taken: 'taken', refused: 'refused', logged_out: 'loggedOut' }

/** `on`: joined(message), message(message), lost(), full(), ended(why). */
export function connect({ room, key, name, on }) {
  const url = new URL('/ws', location.href)
  url.protocol = url.protocol.replace('http', 'ws')
  if (key) url.search = new URLSearchParams({ key }) // who is logged in needs none
  const socket = new ReconnectingWebSocket(url.href, undefined, {
    // Not all at the same time when a server returns.
    minReconnectionDelay: 300 + Math.random() * 700,
    maxReconnectionDelay: 5000,
    minUptime: 3000,
    connectionTimeout: 5000,
    maxEnqueuedMessages: 0, // what cannot be sent waits here instead, until we have joined
  })
  let isJoined = false
  let waiting = []
  let you
  let { resume, since } = keptSeat(room)
  let joiningAgain
  let fullSince
  let heardAt = performance.now()
  let wasOpen = false

  const send = (message) => socket.send(JSON.stringify(message))
  const pace = createPace()
  let draining

  /** Sends what waits, no faster than the server allows: a group of eight has much to send at the beginning. */
  function drain() {
    clearTimeout(draining)
    while (isJoined && waiting.length > 0 && pace.allows(waiting[0])) socket.send(waiting.shift())
    if (isJoined && waiting.length > 0) draining = setTimeout(drain, 100)
  }

  function join() {
    clearTimeout(joiningAgain)
    if (isJoined || socket.readyState !== WebSocket.OPEN) return
    send({ type: 'join', room, ...(name && { name }), ...(resume && { resume, since }) })
  }

  function joinLater() {
    clearTimeout(joiningAgain)
    joiningAgain = setTimeout(join, JOIN_AGAIN_MS)
  }

  /** Somebody may leave; or the seat was our own, and the server finds out that nobody sits there. */
  function waitForSeat() {
    fullSince ??= performance.now()
    if (performance.now() - fullSince >= WAIT_FOR_SEAT_MS) return end('full')
    on.full()
    joinLater()
  }

  /** Signals are of connections that end with the page; so a new page asks for what was said only. */
  const keep = () => keepSeat(room, { resume, since: { epoch: since.epoch, offset: since.offset } })

  function end(why) {
    if (!socket.shouldReconnect) return
    isJoined = false
    clearInterval(pinging)
    socket.close(1000)
    on.ended(why)
  }

  function hear(message) {
    if (message.type === 'joined') {
      const { epoch, offset, signals } = message
      isJoined = true
      you = message.you.id
      resume = message.you.resume
      since = { epoch, offset, signals }
      fullSince = undefined
      keep()
      if (!message.resumed) waiting = [] // it was for others
      on.joined(message)
      drain()
    } else if (message.type === 'pong') {
      const { epoch, offset, signals } = message
      if (!message.resume) return
      resume = message.resume
      since = { epoch, offset, signals }
      keep()
    } else if (message.code === 'room_full') waitForSeat()
    else if (message.code === 'room_closed_to_you') end('closed')
    else if (message.type === 'bye' && FINAL_BYES[message.reason]) end(FINAL_BYES[message.reason])
    else {
      if (message.code === 'unavailable' && !isJoined) joinLater()
      const { epoch, offset } = message
      if (message.type === 'signal' || message.of === 'signals') since.signals = { epoch, offset }
      else if (message.type === 'said' || message.of === 'room') since = { ...since, epoch, offset }
      on.message(message)
    }
  }

  function goAway() {
    if (isJoined) send({ type: 'leave' })
    end('left')
  }

  function lost() {
    if (isJoined) on.lost()
    isJoined = false
    if (!wasOpen) void askWhetherClosed()
    wasOpen = false
  }

  /** A refused upgrade looks like any other lost connection; the page that opens by what the socket opens by says which it was. */
  async function askWhetherClosed() {
    if (socket.retryCount < 2) return
    const page = await fetch(location.pathname + url.search, { cache: 'no-store' }).catch(() => undefined)
    if (page?.status === 403) end(key ? 'closed' : 'loggedOut')
  }

  function ping() {
    if (socket.readyState !== WebSocket.OPEN) return
    if (performance.now() - heardAt > SILENT_MS) socket.reconnect(4000)
    else send({ type: 'ping' })
  }

  socket.addEventListener('open', () => {
    wasOpen = true
    heardAt = performance.now()
    join()
  })
  socket.addEventListener('message', ({ data }) => {
    heardAt = performance.now()
    hear(JSON.parse(data))
  })
  socket.addEventListener('close', lost)
  addEventListener('online', () => socket.shouldReconnect && !isJoined && socket.reconnect(4000))
  const pinging = setInterval(ping, PING_MS)

  return {
    you: () => you,
    /** Sent now, or once we have joined again as the same peer. */
    tell(message) {
      if (waiting.length < MOST_WAITING) waiting.push(JSON.stringify(message))
      drain()
    },
    leave() {
      forgetSeat(room)
      goAway()
    },
    /** The page is closed or reloaded; should the server not hear of it, the next page takes the seat again. */
    goAway,
  }
}
