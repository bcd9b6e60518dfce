// A TCP proxy that harms what passes through it; the harms are named as Toxiproxy names its toxics.
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'

export interface Toxics {
  /** Everything arrives this much later, ms, in each direction half of it. */
  latency?: number
  /** Nothing arrives any more and nobody is told: a connection that met this stays dead after it. */
  timeout?: boolean
  /** Replies arrive in pieces of so many bytes. */
  slicer?: number
  /** The next so many bytes towards Redis arrive, then as `timeout`. */
  limitData?: number
  /** The next reply on each connection is cut in half, and the connection reset (RST). */
  resetPeer?: boolean
}

export interface TcpProxy {
  readonly url: string
  /** From now on, in the place of what was set before. */
  set(toxics: Toxics): void
  close(): Promise<void>
}

export async function startTcpProxy(targetPort: number): Promise<TcpProxy> {
  let toxics: Toxics = {}
  let limitLeft = Number.POSITIVE_INFINITY
  const sockets = new Set<Socket>()
  const dead = new WeakSet<Socket>()

  function pair(client: Socket): void {
    const server = connect(targetPort, '127.0.0.1')
    for (const socket of [client, server]) {
      socket.setNoDelay(true)
      socket.on('error', () => {}) // its end is what matters, and 'close' tells of it
      sockets.add(socket)
    }
    forward(client, server, 'up')
    forward(server, client, 'down')
  }

  function forward(from: Socket, to: Socket, direction: 'up' | 'down'): void {
    let tail = Promise.resolve()
    from.on('data', (chunk) => {
      const dueAt = performance.now() + (toxics.latency ?? 0) / 2
      tail = tail.then(() => deliver(chunk, dueAt))
    })
    from.on('close', () => {
      sockets.delete(from)
      if (!isDead()) void tail.then(() => to.destroy())
    })

    const isDead = () => dead.has(from) || dead.has(to)

    async function deliver(chunk: Buffer, dueAt: number): Promise<void> {
      const waitMs = dueAt - performance.now()
      if (waitMs > 1) await pause(waitMs)
      let passed = chunk
      if (direction === 'up' && limitLeft < chunk.byteLength) {
        passed = chunk.subarray(0, limitLeft)
        limitLeft = 0
      } else if (direction === 'up') limitLeft -= chunk.byteLength
      if (toxics.timeout) dead.add(from)
      if (isDead() || to.destroyed) return
      if (passed.byteLength < chunk.byteLength) dead.add(from)
      if (direction === 'down' && toxics.resetPeer) {
        to.write(passed.subarray(0, Math.ceil(passed.byteLength / 2)), () => to.resetAndDestroy())
        return
      }
      const size = direction === 'down' ? (toxics.slicer ?? passed.byteLength) : passed.byteLength
      for (let i = 0; i < passed.byteLength; i += size) {
        to.write(passed.subarray(i, i + size))
        if (size < passed.byteLength) await new Promise(setImmediate)
      }
    }
  }

  const listener = createServer(pair).listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const { port } = listener.address() as { port: number }
  return {
    url: `redis://127.0.0.1:${port}/0`,
    set(next) {
      toxics = next
      limitLeft = next.limitData ?? Number.POSITIVE_INFINITY
    },
    async close() {
      listener.close()
      for (const socket of sockets) socket.destroy()
      await once(listener, 'close')
    },
  }
}
