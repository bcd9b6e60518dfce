// The open connections. If a client has too many, its oldest idle one is closed. If there are too many in all, the
// client with the most loses its oldest idle one. While any connection is idle, a new one finds room.
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
  /** A request was answered on it, which took no time: it is as if it had become idle just now. */
  used(socket: Socket): void
}

interface Owned {
  readonly client: Client
  readonly group: Group
  /** Since it came to its place among the idle ones. */
  wasUsed: boolean
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
  const owners = new Map<Socket, Owned>()

  const groupOf = ({ network, address }: Client) => network ?? address

  /** The connection that has been idle longest. One that was used since it was listed goes to the end of the list. */
  function oldestIn({ idle }: Group, address?: string): Socket | undefined {
    for (const socket of idle) {
      const owned = owners.get(socket)
      if (!owned?.wasUsed) {
        if (address === undefined || owned?.client.address === address) return socket
        continue
      }
      owned.wasUsed = false
      idle.delete(socket)
      idle.add(socket)
    }
    return undefined
  }

  function oldestOf(client: Client): Socket | undefined {
    const group = groups.get(groupOf(client))
    return group && (oldestIn(group, client.address) ?? oldestIn(group))
  }

  function oldestOfGreediest(): Socket | undefined {
    let greediest: Group | undefined
    for (const group of groups.values())
      if (group.idle.size > 0 && group.count > (greediest?.count ?? 0)) greediest = group
    return greediest && oldestIn(greediest)
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
    const owned = owners.get(socket)
    if (!owned) return
    const { client, group } = owned
    owners.delete(socket)
    shares.add(client, -1)
    group.idle.delete(socket)
    group.count -= 1
    if (group.count === 0) groups.delete(groupOf(client))
  }

  return {
    admit(socket) {
      const client = clients.at(socket.remoteAddress)
      if (!hasRoom(client)) return void socket.destroy()
      const group = groups.get(groupOf(client)) ?? { count: 0, idle: new Set() }
      groups.set(groupOf(client), group)
      group.count += 1
      group.idle.add(socket)
      owners.set(socket, { client, group, wasUsed: false })
      shares.add(client, 1)
      socket.once('close', () => forget(socket))
    },
    busy(socket) {
      owners.get(socket)?.group.idle.delete(socket)
    },
    idle(socket) {
      owners.get(socket)?.group.idle.add(socket)
    },
    used(socket) {
      const owned = owners.get(socket)
      if (owned) owned.wasUsed = true
    },
  }
}
