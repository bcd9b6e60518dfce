// Whose request or connection it is, by address: a client, and the network that it could take more addresses from.
import type { IncomingMessage } from 'node:http'
import { clientAddress } from '../../lib/client-address.ts'

export interface Client {
  /** An IPv4 address, or the /64 of an IPv6 one. */
  readonly address: string
  /** The /48 of an IPv6 address. */
  readonly network: string | undefined
  /** Possibly a proxy's that does not say for whom it asks. */
  readonly isPrivate: boolean
}

export interface Clients {
  at(address: string | undefined): Client
  /** Of a request: the address that the outermost trusted proxy saw. */
  of(req: IncomingMessage): Client
}

const MOST_REMEMBERED = 2_000
const MOST_CHARACTERS = 64
const unknown: Client = { address: 'unknown', network: undefined, isPrivate: true }

export function createClients(trustProxy: number): Clients {
  // Addresses are read again and again; when the map is full it begins again.
  const remembered = new Map<string, Client | undefined>()

  function find(text: string | undefined): Client | undefined {
    if (text === undefined || text.length > MOST_CHARACTERS) return undefined
    if (remembered.has(text)) return remembered.get(text)
    if (remembered.size >= MOST_REMEMBERED) remembered.clear()
    const client = clientFrom(text)
    remembered.set(text, client)
    return client
  }

  const at = (address: string | undefined) => find(address) ?? unknown

  return {
    at,
    of({ headers, socket }) {
      const forwarded = trustProxy > 0 ? headers['x-forwarded-for'] : undefined
      if (typeof forwarded !== 'string') return at(socket.remoteAddress)
      const entries = forwarded.split(',')
      const given = entries[Math.max(0, entries.length - trustProxy)]
      return find(given?.trim()) ?? at(socket.remoteAddress)
    },
  }
}

function clientFrom(text: string): Client | undefined {
  const found = clientAddress(text)
  if (!found) return undefined
  const { text: address, isPrivate } = found
  const isIPv6 = address.endsWith('::/64')
  const network = isIPv6 && !isPrivate ? `${address.split(':').slice(0, 3).join(':')}::/48` : undefined
  return { address, network, isPrivate }
}
