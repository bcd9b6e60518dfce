// A process of its own that holds the sockets, talks in the rooms, and sends back how long each message took to each
// ear. Socket.IO's protocol is spoken over bare sockets as well, so that the clients cost the same.
// socket.io/docs/v4/socket-io-protocol
import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import WebSocket from 'ws'
import { quantile } from './statistics.ts'

export type CallOrder =
  | {
      readonly do: 'open'
      readonly speaks: Speech
      readonly port: number
      readonly sockets: number
      readonly rooms: number
    }
  | { readonly do: 'talk'; readonly everyMs: number; readonly forMs: number }
  | { readonly do: 'close' }

export interface TalkOutcome {
  readonly said: number
  readonly heard: number
  readonly expected: number
  readonly p50Ms: number
  readonly p99Ms: number
}

type Speech = 'samovar' | 'socket.io'

interface Language {
  url(port: number): string
  join(room: string): string
  say(atMs: number): string
  /** When the message was said; undefined for anything else. */
  heardAtMs(text: string): number | undefined
  isJoined(text: string): boolean
  /** What must be said before anything else, and the answer to the server's own pings. */
  hello: string | undefined
  answerTo(text: string): string | undefined
}

const LATE_TRIES = 250 // of 20 ms: what has not come then does not come
const TEXT = 'x'.repeat(100)
const saidAt = (text: string) => Number(/"atMs":([\d.]+),"text"/.exec(text)?.[1])

const languages: Record<Speech, Language> = {
  samovar: {
    url: (port) => `ws://127.0.0.1:${port}/ws`,
    hello: undefined,
    join: (room) => JSON.stringify({ type: 'join', room }),
    say: (atMs) => JSON.stringify({ type: 'say', data: { atMs, text: TEXT } }),
    heardAtMs: (text) => (text.startsWith('{"type":"said"') ? saidAt(text) : undefined),
    isJoined: (text) => text.startsWith('{"type":"joined"'),
    answerTo: () => undefined,
  },
  'socket.io': {
    url: (port) => `ws://127.0.0.1:${port}/socket.io/?EIO=4&transport=websocket`,
    hello: '40',
    join: (room) => `42${JSON.stringify(['join', room])}`,
    say: (atMs) => `42${JSON.stringify(['say', { atMs, text: TEXT }])}`,
    heardAtMs: (text) => (text.startsWith('42["said"') ? saidAt(text) : undefined),
    isJoined: (text) => text.startsWith('42["joined"'),
    answerTo: (text) => (text === '2' ? '3' : undefined),
  },
}

let language = languages.samovar
let rooms: WebSocket[][] = []
let tookMs: number[] = []

async function open({ speaks, port, sockets, rooms: count }: CallOrder & { do: 'open' }): Promise<number> {
  language = languages[speaks]
  rooms = Array.from({ length: count }, () => [])
  for (let i = 0; i < sockets; i += 1) {
    const room = i % count
    rooms[room]?.push(await enter(port, `group-bench-${String(room).padStart(4, '0')}`))
  }
  return sockets
}

async function enter(port: number, room: string): Promise<WebSocket> {
  const socket = new WebSocket(language.url(port), { perMessageDeflate: false })
  await once(socket, 'open')
  const joined = new Promise<void>((resolve) => {
    socket.on('message', (bytes) => {
      const text = String(bytes)
      const atMs = language.heardAtMs(text)
      if (atMs !== undefined) tookMs.push(performance.now() - atMs)
      else if (language.isJoined(text)) resolve()
      const answer = language.answerTo(text)
      if (answer) socket.send(answer)
      if (language.hello && text.startsWith(language.hello)) socket.send(language.join(room))
    })
  })
  socket.send(language.hello ?? language.join(room))
  await joined
  return socket
}

/** One of each room in turn; the rooms are spread over the interval, as people would be. */
async function talk({ everyMs, forMs }: CallOrder & { do: 'talk' }): Promise<TalkOutcome> {
  tookMs = []
  let said = 0
  const startedAt = performance.now()
  for (let due = 0; due < forMs; due = performance.now() - startedAt) {
    const wanted = Math.floor((due / everyMs) * rooms.length)
    for (; said < wanted; said += 1) {
      const room = rooms[said % rooms.length] as WebSocket[]
      room[Math.floor(said / rooms.length) % room.length]?.send(language.say(performance.now()))
    }
    await pause(1)
  }
  const expected = said * (rooms[0]?.length ?? 0)
  for (let tries = 0; tookMs.length < expected && tries < LATE_TRIES; tries += 1) await pause(20)
  return { said, expected, heard: tookMs.length, p50Ms: quantile(tookMs, 0.5), p99Ms: quantile(tookMs, 0.99) }
}

async function close(): Promise<number> {
  const all = rooms.flat()
  rooms = []
  await Promise.all(
    all.map((socket) => {
      socket.close(1000) // a goodbye: a seat whose socket is merely gone is kept for a while
      return once(socket, 'close')
    }),
  )
  return all.length
}

process.on('message', (order: CallOrder) => {
  const work = order.do === 'open' ? open(order) : order.do === 'talk' ? talk(order) : close()
  void work.then((outcome) => process.send?.(outcome))
})
process.on('disconnect', () => process.exit())
process.send?.('ready')
