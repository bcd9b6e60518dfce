// A proxy before a Redis that answers every command with one error, when it is told to.
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

const COMMAND = /(?:^|\r\n)\*\d+\r\n/g

export interface RefusingProxy {
  readonly port: number
  /** From now on every command is answered so; undefined: Redis answers again. */
  refuse(reply: string | undefined): void
  close(): void
}

export async function startRefusingProxy(redisPort: number): Promise<RefusingProxy> {
  const sockets = new Set<Socket>()
  let reply: string | undefined
  const listener = createServer((client) => {
    const server = connect(redisPort, '127.0.0.1')
    for (const socket of [client, server]) {
      sockets.add(socket)
      socket.on('error', () => {}) // its end is what matters
    }
    server.pipe(client)
    client.on('data', (chunk) => {
      if (reply === undefined) return void server.write(chunk)
      const commands = chunk.toString('latin1').match(COMMAND)?.length ?? 0
      client.write(`-${reply}\r\n`.repeat(commands))
    })
    client.on('close', () => server.destroy())
  }).listen(0)
  await once(listener, 'listening')
  return {
    port: (listener.address() as AddressInfo).port,
    refuse(next) {
      reply = next
    },
    close() {
      listener.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}
