// What a socket may send, what all sockets of one client may send together, and what all sockets of this process hold at the moment.
import { createOwnLimit, createOwnLimits, type Policy } from '../../core/limiter.ts'
import { createGate, type Gate } from '../../lib/gate.ts'
import { MINUTE, type Now, SECOND } from '../../lib/time.ts'

/** A group of eight needs about 100 KiB of each to begin. */
export const socketPolicies = {
  messages: { name: 'call-messages', limit: 50, windowMs: SECOND },
  bytes: { name: 'call-bytes', limit: 300 * 1024, windowMs: 10 * SECOND },
  joins: { name: 'call-joins', limit: 20, windowMs: MINUTE },
} satisfies Record<string, Policy>

/** Opening many sockets, or one after another, multiplies no more than this. A household of ten does not come near it. */
export const clientPolicies = {
  messages: { name: 'client-messages', limit: 500, windowMs: SECOND },
  bytes: { name: 'client-bytes', limit: 4 * 1024 * 1024, windowMs: 10 * SECOND },
  joins: { name: 'client-joins', limit: 200, windowMs: MINUTE },
} satisfies Record<string, Policy>

/** Redis has one connection for these and for the state, which must not wait long behind them. */
const AT_ONCE_BYTES = 512 * 1024

export interface SocketLimits {
  allowsMessage(bytes: number): boolean
  allowsJoin(): boolean
}

export interface CallLimits {
  /** Through which the messages of all sockets go, by their bytes. */
  readonly gate: Gate
  /** Bytes of messages that wait to be carried out or are, and of what clients have not taken yet. */
  readonly held: { waitingBytes: number; unsentBytes: number }
  /** Of a new socket; `client` undefined where nobody can be told apart. */
  forSocket(client: string | undefined): SocketLimits
}

export function createCallLimits(now: Now): CallLimits {
  const messages = createOwnLimits(clientPolicies.messages, now)
  const bytes = createOwnLimits(clientPolicies.bytes, now)
  const joins = createOwnLimits(clientPolicies.joins, now)
  return {
    gate: createGate(AT_ONCE_BYTES),
    held: { waitingBytes: 0, unsentBytes: 0 },
    forSocket(client) {
      const ownMessages = createOwnLimit(socketPolicies.messages, now)
      const ownBytes = createOwnLimit(socketPolicies.bytes, now)
      const ownJoins = createOwnLimit(socketPolicies.joins, now)
      return {
        allowsMessage(size) {
          if (!ownMessages.hit() || !ownBytes.hit(size)) return false
          return client === undefined || (messages.hit(client) && bytes.hit(client, size))
        },
        allowsJoin: () => ownJoins.hit() && (client === undefined || joins.hit(client)),
      }
    },
  }
}
