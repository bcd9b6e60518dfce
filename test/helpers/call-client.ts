// A program that speaks the protocol of docs/features/calls.md, and checks each message it gets against the schema.
import { once } from 'node:events'
import WebSocket from 'ws'
import { type ServerMessage, serverMessage } from '../../src/features/calls/protocol.ts'
import { eventually, HUNG_MS } from './eventually.ts'

type OfType<T extends ServerMessage['type']> = Extract<ServerMessage, { type: T }>

export interface CallClient {
  readonly socket: WebSocket
  readonly messages: ServerMessage[]
  /** The code that the server closed it with. */
  readonly closed: Promise<number>
  send(message: unknown): void
  /** The first message of that type which `fits`, past or to come. */
  next<T extends ServerMessage['type']>(type: T, fits?: (message: OfType<T>) => boolean): Promise<OfType<T>>
  join(room: string, more?: object): Promise<OfType<'joined'>>
  /** Sends one more message, and resolves when the answer to it is here: whatever came before has come, too. */
  settle(): Promise<void>
}

let addresses = 0

/** Resolves when it is open; rejects with the status when it is refused. From an address of its own unless said. */
export async function openCall(
  url: string,
  { headers = {}, key }: { headers?: Record<string, string>; key?: string } = {},
): Promise<CallClient> {
  addresses += 1
  const address = { 'x-forwarded-for': `203.0.${(addresses >> 8) & 255}.${addresses & 255}` }
  const target = `${url.replace('http', 'ws')}/ws${key ? `?key=${encodeURIComponent(key)}` : ''}`
  const socket = new WebSocket(target, { headers: { ...address, ...headers } })
  const messages: ServerMessage[] = []
  const closed = new Promise<number>((resolve) => socket.once('close', resolve))
  socket.on('error', () => {})
  socket.on('message', (bytes) => messages.push(serverMessage.parse(JSON.parse(String(bytes)))))
  await new Promise<void>((resolve, reject) => {
    socket.once('open', resolve)
    socket.once('unexpected-response', (_req, res) => {
      reject(new Error(`refused: ${res.statusCode}`))
      res.destroy()
    })
    socket.once('error', reject)
  })
  const send = (message: unknown) =>
    socket.send(typeof message === 'string' ? message : JSON.stringify(message))

  function next<T extends ServerMessage['type']>(
    type: T,
    fits: (message: OfType<T>) => boolean = () => true,
  ) {
    return eventually(
      () => {
        const found = messages.find((message) => message.type === type && fits(message as OfType<T>))
        if (!found) throw new Error(`no ${type} among ${JSON.stringify(messages)}`)
        return found as OfType<T>
      },
      HUNG_MS,
      5,
    )
  }

  return {
    socket,
    messages,
    closed,
    send,
    next,
    join(room, more = {}) {
      send({ type: 'join', room, ...more })
      return next('joined')
    },
    async settle() {
      const before = messages.filter(({ type }) => type === 'pong').length
      send({ type: 'ping' })
      await eventually(
        () => expect(messages.filter(({ type }) => type === 'pong').length).toBeGreaterThan(before),
        HUNG_MS,
        5,
      )
    },
  }
}

/** As when the network is gone: no goodbye. */
export async function cut({ socket }: CallClient): Promise<void> {
  if (socket.readyState === socket.CLOSED) return
  socket.terminate()
  await once(socket, 'close').catch(() => {})
}
