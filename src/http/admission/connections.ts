// The open connections. Where a client has too many, its oldest idle one is closed; where all together are too many,
// the oldest idle one of the client that has most. So one more finds room as long as any is idle.
import type { Socket } from 'node:net'
import { budgets } from './budgets.ts'
import type { Client, Clients } from './clients.ts'
import { createShares } from './shares.ts'

export interface Connections {
  /** Makes room for it, or closes it. */
  admit(socket: Socket): void
  /** A request is under way on it, or it speaks another protocol now: it is not closed to make room. */
  busy(socket: Socket): void
  idle(socket: Socket): void
}

interface Group {
  count: number
  /** The longest idle one first. */
  readonly idle: Set<Socket>
}

/** `isBehindProxy`: all connections are the proxy's, so that their address says nothing. */
export function createConnections(clients: Clients, isBehindProxy: boolean): Connections {
  const shares = createShares(budgets.connections)
  const groups = new Map<string, Group>()
  const owners = new Map<Socket, Client>()

  const groupOf = ({ network, address }: Client) => network ?? address

  function oldestOf(client: Client): Socket | undefined {
    const group = groups.get(groupOf(client))
    if (!group) return undefined
    for (const socket of group.idle) if (owners.get(socket)?.address === client.address) return socket
    return firstOf(group.idle)
  }

  function oldestOfGreediest(): Socket | undefined {
    let greediest: Group | undefined
    for (const group of groups.values())
      if (group.idle.size > 0 && group.count > (greediest?.count ?? 0)) greediest = group
    return greediest && firstOf(greediest.idle)
  }

  function hasRoom(client: Client): boolean {
    const shortage = shares.shortageFor(client, 1)
    if (shortage === undefined || (isBehindProxy && owners.size < budgets.connections.inAll)) return true
    const victim = shortage === 'client' && !isBehindProxy ? oldestOf(client) : oldestOfGreediest()
    if (!victim) return false
    forget(victim)
    victim.destroy()
    return true
  }

  function forget(socket: Socket): void {
    const client = owners.get(socket)
    if (!client) return
    owners.delete(socket)
    shares.add(client, -1)
    const group = groups.get(groupOf(client))
    if (!group) return
    group.idle.delete(socket)
    group.count -= 1
    if (group.count === 0) groups.delete(groupOf(client))
  }

  function idleSetOf(socket: Socket): Set<Socket> | undefined {
    const client = owners.get(socket)
    return client && groups.get(groupOf(client))?.idle
  }

  return {
    admit(socket) {
      const client = clients.at(socket.remoteAddress)
      if (!hasRoom(client)) return void socket.destroy()
      const group = groups.get(groupOf(client)) ?? { count: 0, idle: new Set() }
      groups.set(groupOf(client), group)
      group.count += 1
      group.idle.add(socket)
      owners.set(socket, client)
      shares.add(client, 1)
      socket.once('close', () => forget(socket))
    },
    busy(socket) {
      idleSetOf(socket)?.delete(socket)
    },
    idle(socket) {
      idleSetOf(socket)?.add(socket)
    },
  }
}

function firstOf<T>(all: Iterable<T>): T | undefined {
  for (const first of all) return first
  return undefined
}
