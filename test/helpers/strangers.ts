// Clients that behave badly over raw connections, from loopback addresses of their own.
import { connect, type Socket } from 'node:net'

export interface Stranger {
  readonly socket: Socket
  /** What has come so far. */
  text(): string
  isClosed(): boolean
}

export interface Manner {
  /** The address it comes from; each 127.x.y.z is another client. */
  from?: string
  /** It never reads what it is sent. */
  isDeaf?: boolean
}

export function createStrangers(port: () => number) {
  const all: Stranger[] = []

  /** Connects, and sends that. */
  function come(bytes: string | Buffer = '', { from = '127.0.0.1', isDeaf = false }: Manner = {}): Stranger {
    const socket = connect({ port: port(), host: '127.0.0.1', localAddress: from })
    let text = ''
    let isClosed = false
    if (isDeaf) socket.pause()
    else
      socket.on('data', (part) => {
        text += part.toString('latin1')
      })
    socket.on('error', () => {}) // hung up on: what came before that counts
    socket.on('close', () => {
      isClosed = true
    })
    if (bytes.length > 0) socket.write(bytes)
    const stranger = { socket, text: () => text, isClosed: () => isClosed }
    all.push(stranger)
    return stranger
  }

  return {
    come,
    /** Hangs up, all of them. */
    leave(): void {
      for (const { socket } of all.splice(0)) socket.destroy()
    },
  }
}

export const statusOf = ({ text }: Stranger) => Number(/^HTTP\/1\.1 (\d{3})/.exec(text())?.[1] ?? 0)
