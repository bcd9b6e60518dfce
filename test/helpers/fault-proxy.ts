// A TCP proxy between an app and its Redis that fails as networks do: it drops connections, refuses them, swallows
// what is sent, or holds the replies back. What it swallowed can reach Redis later, when nobody waits for it any more.
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** `hang`: requests do not arrive. `late`: they do, their replies do not. `refuse`: no connection lives. */
export type NetworkFault = 'none' | 'refuse' | 'hang' | 'late'

export interface FaultProxy {
  readonly url: string
  /** Grows with every byte in either direction: while it does not, whoever waits is waiting for a clock. */
  traffic(): number
  /** Breaks every connection; new ones are let through. */
  drop(): void
  /** From here on; `none` ends it, and connections from before are broken. */
  set(fault: NetworkFault): void
  /** Sends Redis what was swallowed, as a network may after minutes. Resolves when Redis has read it. */
  deliverSwallowed(): Promise<void>
  forgetSwallowed(): void
  close(): void
}

interface Link {
  readonly client: Socket
  readonly server: Socket
  readonly swallowed: Buffer[]
}

export async function openFaultProxy(redisPort: number): Promise<FaultProxy> {
  const links = new Set<Link>()
  let fault: NetworkFault = 'none'
  let bytes = 0
  let late: Link[] = []

  function destroy({ client, server }: Link): void {
    client.destroy()
    server.destroy()
  }

  const listener = createServer((client) => {
    if (fault === 'refuse') return client.destroy()
    const link: Link = { client, server: connect(redisPort, '127.0.0.1'), swallowed: [] }
    links.add(link)
    client.setNoDelay().on('error', () => {})
    link.server.setNoDelay().on('error', () => {})
    client.on('data', (chunk) => {
      bytes += chunk.length
      if (fault === 'hang') link.swallowed.push(chunk)
      else link.server.write(chunk)
    })
    link.server.on('data', (chunk) => {
      bytes += chunk.length
      if (fault !== 'hang' && fault !== 'late') client.write(chunk)
    })
    client.on('close', () => {
      bytes += 1
      links.delete(link)
      if (link.swallowed.length > 0) late.push(link)
      else link.server.destroy()
    })
    link.server.on('close', () => client.destroy())
  })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')

  function drop(): void {
    for (const link of links) link.client.destroy()
  }

  return {
    url: `redis://127.0.0.1:${(listener.address() as AddressInfo).port}/0`,
    traffic: () => bytes,
    drop,
    set(next) {
      fault = next
      if (next === 'none' || next === 'refuse') drop()
    },
    async deliverSwallowed() {
      const delivered = late
      late = []
      for (const { server, swallowed } of delivered) {
        if (server.destroyed) continue
        const closed = once(server, 'close')
        server.end(Buffer.concat(swallowed))
        await closed
      }
    },
    forgetSwallowed() {
      for (const { server } of late) server.destroy()
      late = []
      drop()
      for (const link of links) link.swallowed.length = 0
    },
    close() {
      for (const link of [...links, ...late]) destroy(link)
      listener.close()
    },
  }
}
