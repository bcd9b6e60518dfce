// How often a socket may join a room, and all sockets of one client together.
import { createOwnLimit, createOwnLimits, type Policy } from '../../core/limiter.ts'
import { MINUTE, type Now } from '../../lib/time.ts'

export const socketJoins = { name: 'call-joins', limit: 20, windowMs: MINUTE } satisfies Policy
/** Opening many sockets, or one after another, multiplies no more than this. */
export const clientJoins = { name: 'client-joins', limit: 200, windowMs: MINUTE } satisfies Policy

/** Whether one more join is allowed. */
export type AllowsJoin = () => boolean

/** Of a new socket; `client` is undefined where clients cannot be told apart. */
export function createJoinLimits(now: Now): (client: string | undefined) => AllowsJoin {
  const joins = createOwnLimits(clientJoins, now)
  return (client) => {
    const ownJoins = createOwnLimit(socketJoins, now)
    return () => ownJoins.hit() && (client === undefined || joins.hit(client))
  }
}
