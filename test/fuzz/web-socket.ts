// WebSockets as the fuzzer speaks them: a handshake that may be wrong, and frames of which some are none.
import { connect } from 'node:net'
import type { Random } from '../helpers/random.ts'
import type { RawAnswer, RawRequest } from '../helpers/raw-request.ts'

const KEY = 'dGhlIHNhbXBsZSBub25jZQ=='
const LINGER_MS = 60

export function handshakeHeaders(random: Random): [string, string][] {
  const version = random.chance(0.9) ? '13' : random.pick(['8', '99', 'x', ''])
  const key = random.chance(0.9) ? KEY : random.pick(['', 'short', KEY.repeat(20)])
  return [
    ['Connection', random.chance(0.95) ? 'Upgrade' : random.pick(['upgrade, x', 'keep-alive, Upgrade'])],
    ['Upgrade', random.chance(0.95) ? 'websocket' : 'WebSocket'],
    ['Sec-WebSocket-Version', version],
    ['Sec-WebSocket-Key', key],
    ...(random.chance(0.2)
      ? [['Sec-WebSocket-Extensions', 'permessage-deflate; server_max_window_bits=99'] as [string, string]]
      : []),
    ...(random.chance(0.2)
      ? [['Sec-WebSocket-Protocol', random.pick(['x', ',', 'a b'])] as [string, string]]
      : []),
  ]
}

export function frames(random: Random, message: () => string): Buffer {
  return Buffer.concat(Array.from({ length: 1 + random.below(6) }, () => frame(random, message)))
}

function frame(random: Random, message: () => string): Buffer {
  const payload = Buffer.from(
    random.pick([
      message,
      message,
      () =>
        `{"type":"${random.pick(['join', 'signal', 'say', 'leave', 'ping'])}","room":"r","data":${message()}}`,
      () => '['.repeat(30_000),
      () => 'x'.repeat(random.pick([0, 125, 126, 65_535, 70_000])),
    ])(),
  )
  const opcode = random.chance(0.7) ? 1 : random.below(16)
  const bits = random.chance(0.9) ? 0x80 : random.below(16) << 4
  const isMasked = random.chance(0.95)
  const length = random.chance(0.95) ? payload.length : random.pick([0, 2 ** 31, 2 ** 52])
  const head = Buffer.alloc(10)
  head[0] = bits | opcode
  head[1] = (isMasked ? 0x80 : 0) | 127
  head.writeBigUInt64BE(BigInt(length), 2)
  return Buffer.concat([head, Buffer.alloc(isMasked ? 4 : 0), payload])
}

/** Opens it, sends the frames where it is let in, and goes after a moment. Its answer is the handshake's. */
export function sendSocket(port: number, { bytes, isCut }: RawRequest, frames: Buffer): Promise<RawAnswer> {
  return new Promise((resolve) => {
    let said = ''
    const socket = connect(port, '127.0.0.1')
    socket.setTimeout(5_000, () => settle(said === '' ? -1 : undefined))
    socket.on('error', () => {})
    socket.on('close', () => settle())
    socket.on('data', (part) => {
      const isFirst = said === ''
      if (said.length < 4_000) said += part.toString('latin1')
      if (!isFirst) return
      if (!said.startsWith('HTTP/1.1 101')) return void socket.end()
      socket.write(frames)
      setTimeout(() => socket.destroy(), LINGER_MS)
    })
    socket.write(bytes)
    if (isCut) socket.end()
    function settle(status = Number(/^HTTP\/1\.1 (\d{3})/.exec(said)?.[1] ?? 0)): void {
      const [head = '', body = ''] = said.split('\r\n\r\n')
      const lines = head
        .split('\r\n')
        .slice(1)
        .map((line) => line.split(': '))
      resolve({
        status,
        headers: new Map(lines.map(([name = '', value = '']) => [name.toLowerCase(), value])),
        body,
      })
      socket.destroy()
    }
  })
}
