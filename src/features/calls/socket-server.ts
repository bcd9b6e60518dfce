// The sockets of calls: who may open one, and how many.
import type { Request } from 'express'
import { callKeyRequired, tooManySocketsHere } from '../../errors.ts'
import type { Context } from '../../feature.ts'
import type { SocketRoute } from '../../http/sockets/sockets.ts'
import type { Now } from '../../lib/time.ts'
import { createJoinLimits } from './call-limits.ts'
import { type Caller, type CallSocketParts, runCallSocket } from './call-socket.ts'
import { MESSAGE_BYTES } from './protocol.ts'
import { roomOfKey } from './tokens/guest-link.ts'

const SOCKETS_PER_ADDRESS = 100

export interface SocketServerParts extends Omit<CallSocketParts, 'now'> {
  mostSockets: number
  /** The name of the user who is logged in with this request. */
  userName(req: Request): string | undefined | Promise<string | undefined>
  /** Throws where it is not known yet whether somebody is. */
  expectKnown(req: Request): Promise<void>
  /** Undefined when many clients share the address. */
  addressOf(req: Request): string | undefined | Promise<string | undefined>
  socket: Context['socket']
  now?: Now
}

export interface SocketServer extends SocketRoute {
  /** So many are open. */
  sockets(): number
}

export function createSocketServer(parts: SocketServerParts): SocketServer {
  const { rooms, secrets, mostSockets, userName, expectKnown, addressOf, socket, now = Date.now } = parts
  const joinsOf = createJoinLimits(now)

  /** Throws when the caller is unknown. */
  async function callerOf(req: Request): Promise<Caller> {
    const name = await userName(req)
    if (name !== undefined) return { name, mayJoin: () => true }
    const { key } = req.query
    const only = typeof key === 'string' ? roomOfKey(key, now(), secrets) : undefined
    if (only === undefined) {
      await expectKnown(req)
      throw callKeyRequired()
    }
    return { name: undefined, mayJoin: (room) => room === only }
  }

  const route = socket<Caller>({
    path: '/ws',
    callerOf,
    most: mostSockets,
    mostEach: { most: SOCKETS_PER_ADDRESS, of: addressOf, refuse: tooManySocketsHere },
    messageBytes: MESSAGE_BYTES,
    open: (opened, caller, client) => runCallSocket(opened, caller, joinsOf(client), { ...parts, now }),
  })
  return {
    ...route,
    async close() {
      const closed = route.close()
      rooms.close()
      await closed
    },
  }
}
