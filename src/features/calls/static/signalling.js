// The socket to the server (docs/features/calls.md): joins, and joins again as the same peer when it was lost, after the
// last message it got.
import ReconnectingWebSocket from './partysocket.js'

const PING_MS = 5000
const SILENT_MS = 9000 // no pong: the connection is dead, though nobody said so
const JOIN_AGAIN_MS = 4000 // the server allows 20 joins a minute
const MOST_WAITING = 500
const MOST_A_SECOND = 40 // the server allows 50, some of which are pings
const FINAL = { room_full: 'full', room_closed_to_you: 'closed' }
const FINAL_BYES = { taken: 'taken', refused: 'closed', logged_out: 'closed' }

/** `on`: joined(message), message(message), lost(), ended(why). */
export function connect({ room, key, name, on }) {
  const url = new URL('/ws', location.href)
  url.protocol = url.protocol.replace('http', 'ws')
  url.search = new URLSearchParams({ key })
  const socket = new ReconnectingWebSocket(url.href, undefined, {
    // Not all at once when a server returns.
    minReconnectionDelay: 300 + Math.random() * 700,
    maxReconnectionDelay: 5000,
    minUptime: 3000,
    connectionTimeout: 5000,
    maxEnqueuedMessages: 0, // what cannot be sent waits here instead, until we have joined
  })
  let isJoined = false
  let waiting = []
  let you
  let resume
  let since
  let heardAt = performance.now()
  let wasOpen = false

  const send = (message) => socket.send(JSON.stringify(message))
  const sentAt = []
  let draining

  /** Sends what waits, no faster than the server allows: in a group of eight much is to be said at once. */
  function drain() {
    clearTimeout(draining)
    const now = performance.now()
    while (sentAt[0] < now - 1000) sentAt.shift()
    while (isJoined && waiting.length > 0 && sentAt.length < MOST_A_SECOND) {
      sentAt.push(now)
      send(waiting.shift())
    }
    if (isJoined && waiting.length > 0) draining = setTimeout(drain, 100)
  }

  function join() {
    if (isJoined || socket.readyState !== WebSocket.OPEN) return
    send({ type: 'join', room, ...(name && { name }), ...(resume && { resume, since }) })
  }

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
      on.joined(message)
      if (!message.resumed) waiting = [] // it was for others
      drain()
    } else if (message.type === 'pong') {
      const { epoch, offset, signals } = message
      resume = message.resume ?? resume
      if (epoch) since = { epoch, offset, signals }
    } else if (message.type === 'error' && FINAL[message.code]) end(FINAL[message.code])
    else if (message.type === 'bye' && FINAL_BYES[message.reason]) end(FINAL_BYES[message.reason])
    else {
      if (message.code === 'unavailable' && !isJoined) setTimeout(join, JOIN_AGAIN_MS)
      const { epoch, offset } = message
      if (message.type === 'signal' || message.of === 'signals') since.signals = { epoch, offset }
      else if (message.type === 'said' || message.of === 'room') since = { ...since, epoch, offset }
      on.message(message)
    }
  }

  function lost() {
    if (isJoined) on.lost()
    isJoined = false
    if (!wasOpen) void askWhetherClosed()
    wasOpen = false
  }

  /** A refused upgrade looks like any other lost connection; the page of the call says which it was. */
  async function askWhetherClosed() {
    if (socket.retryCount < 2) return
    const page = await fetch(location.href, { cache: 'no-store' }).catch(() => undefined)
    if (page?.status === 403) end('closed')
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
      if (waiting.length < MOST_WAITING) waiting.push(message)
      drain()
    },
    leave() {
      if (isJoined) send({ type: 'leave' })
      end('left')
    },
  }
}
