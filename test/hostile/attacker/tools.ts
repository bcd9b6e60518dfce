// What attacks share. Everything in this folder runs in a container of its own, by the image's Node alone: it imports
// nothing but Node and itself.
import { Agent, request } from 'node:http'
import { connect, createServer, type Socket } from 'node:net'
import { networkInterfaces } from 'node:os'

export interface Target {
  readonly host: string
  readonly port: number
}
export type Counts = Record<string, number>

export interface Options {
  readonly seconds: number
  /** How many requests or connections, where an attack has a number. */
  readonly count: number
  /** Of the app, for attacks that go to each. */
  readonly routes: readonly { readonly method: string; readonly path: string }[]
  /** It plays a trusted proxy and names clients of its own making. */
  readonly isProxied: boolean
  /** It has 1,000 addresses, not one. */
  readonly hasManyAddresses: boolean
  /** Of a logged-in user, who may attack too. */
  readonly cookie: string
}
export type Attack = (target: Target, options: Options) => Promise<Counts>

export const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

export function counter(): { counts: Counts; count(what: string | number): void } {
  const counts: Counts = {}
  return {
    counts,
    count(what) {
      counts[what] = (counts[what] ?? 0) + 1
    },
  }
}

/** A client behind the proxy: its own /64 of one /48. */
export const clientOf48 = (i: number) => `2001:db8:66:${(i % 65_536).toString(16)}::1`

/** One of the addresses that the test has made local here. */
export function manyAddress(i: number): string {
  const own = Object.values(networkInterfaces())
    .flat()
    .find((found) => found?.family === 'IPv4' && !found.internal)?.address as string
  const [a, b] = own.split('.')
  return `${a}.${b}.${192 + ((i >> 8) % 64)}.${i % 256}`
}

/** Until the test has made them local. False when it never does. */
export async function awaitManyAddresses(): Promise<boolean> {
  for (let tries = 0; tries < 100; tries++) {
    const isThere = await new Promise<boolean>((resolve) => {
      const server = createServer()
      server.once('error', () => resolve(false))
      server.listen(0, manyAddress(1), () => server.close(() => resolve(true)))
    })
    if (isThere) return true
    await pause(100)
  }
  return false
}

/** A connection that counts how it began and how it ended. */
export function open(
  target: Target,
  count: (what: string) => void,
  onOpen: (socket: Socket) => void,
  localAddress?: string,
): Socket {
  const socket = connect({ ...target, ...(localAddress && { localAddress }) })
  let isOpen = false
  socket.on('connect', () => {
    isOpen = true
    count('opened')
    onOpen(socket)
  })
  socket.on('error', () => {})
  socket.on('close', () => count(isOpen ? 'closed by the app' : 'not opened'))
  return socket
}

/** The first status of what a socket says, and the rest thrown away. */
export function countAnswers(socket: Socket, count: (what: string) => void): void {
  socket.on('data', (bytes) => {
    const status = /^HTTP\/1\.1 (\d{3})/.exec(bytes.subarray(0, 12).toString('latin1'))?.[1]
    if (status) count(status)
  })
}

export interface Shot {
  readonly method?: string
  readonly path: string
  readonly headers?: Record<string, string>
  readonly body?: Buffer | string
}

/** Keeps so many requests under way until the time is up or all are sent. Counts statuses. */
export async function flood(
  target: Target,
  {
    seconds,
    most = Number.POSITIVE_INFINITY,
    atOnce = 32,
  }: { seconds: number; most?: number; atOnce?: number },
  shotOf: (i: number) => Shot,
): Promise<Counts> {
  const { counts, count } = counter()
  const agent = new Agent({ keepAlive: true, maxSockets: atOnce })
  const untilMs = Date.now() + seconds * 1_000
  let next = 0
  async function work(): Promise<void> {
    while (Date.now() < untilMs && next < most) {
      count(await send(target, shotOf(next++), agent))
      if (counts['no answer']) await pause(5)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, work))
  agent.destroy()
  return counts
}

function send(target: Target, { method = 'GET', path, headers = {}, body }: Shot, agent: Agent) {
  return new Promise<string>((resolve) => {
    const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }
    const req = request({ ...target, method, path, agent, headers: { ...length, ...headers } }, (res) => {
      res.resume()
      res.once('close', () => resolve(String(res.statusCode)))
    })
    req.setTimeout(20_000, () => req.destroy())
    req.once('error', () => resolve('no answer'))
    req.end(body)
  })
}
