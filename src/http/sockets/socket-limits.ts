// What one WebSocket may send, and all WebSockets of one client together.
import { createOwnLimit, createOwnLimits, type Policy } from '../../core/limiter.ts'
import { type Now, SECOND } from '../../lib/time.ts'
import type { Log } from '../../log.ts'

/** A call of eight needs about 100 KiB from each of them to begin. */
export const socketPolicies = {
  messages: { name: 'socket-messages', limit: 50, windowMs: SECOND },
  bytes: { name: 'socket-bytes', limit: 300 * 1024, windowMs: 10 * SECOND },
  /** With what is no message: pings, frames of messages that never end. */
  received: { name: 'socket-received', limit: 512 * 1024, windowMs: 10 * SECOND },
} satisfies Record<string, Policy>

/** Opening many sockets multiplies no more than this. A household of ten does not come near it. */
export const clientPolicies = {
  messages: { name: 'client-messages', limit: 500, windowMs: SECOND },
  bytes: { name: 'client-bytes', limit: 4 * 1024 * 1024, windowMs: 10 * SECOND },
  received: { name: 'client-received', limit: 6 * 1024 * 1024, windowMs: 10 * SECOND },
} satisfies Record<string, Policy>

export interface SocketLimit {
  /** Counts a message. */
  allowsMessage(sizeBytes: number): boolean
  /** Counts what has come in of its connection. */
  allowsReceived(bytes: number): boolean
}

/** `client` is undefined where clients cannot be told apart: then only the socket's own limits hold. */
export function createSocketLimits(now: Now, log: Log): (client: string | undefined) => SocketLimit {
  const messages = createOwnLimits(clientPolicies.messages, now, { log })
  const bytes = createOwnLimits(clientPolicies.bytes, now, { log })
  const received = createOwnLimits(clientPolicies.received, now, { log })
  return (client) => {
    const ownMessages = createOwnLimit(socketPolicies.messages, now)
    const ownBytes = createOwnLimit(socketPolicies.bytes, now)
    const ownReceived = createOwnLimit(socketPolicies.received, now)
    return {
      allowsMessage(sizeBytes) {
        if (!ownMessages.hit() || !ownBytes.hit(sizeBytes)) return false
        return client === undefined || (messages.hit(client) && bytes.hit(client, sizeBytes))
      },
      allowsReceived(size) {
        return ownReceived.hit(size) && (client === undefined || received.hit(client, size))
      },
    }
  }
}
