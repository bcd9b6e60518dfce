// Whether the channel layer asks Redis: when the state role does, and its user may use it for this too. One that may not
// (no pub/sub, say) is no outage of the role: the layer alone goes on in memory.

import type { Log } from '../../log.ts'
import { RedisUnavailable } from '../errors.ts'
import type { StateRedis } from '../state/state-role.ts'

export interface BusAccess {
  /** Asks Redis while it answers, memory while it does not. */
  ask<T>(onRedis: () => Promise<T>, onMemory: () => T | Promise<T>): Promise<T>
  isRedis(): boolean
  /** Works on Redis while the role merges; rejects with RedisUnavailable, unless it is that we may not. */
  merge(work: () => Promise<void>): Promise<void>
  isForbidden(): boolean
  /** Redis is back: its rules may be others now. */
  renew(): void
}

const FORBIDDEN = /^NOPERM|can't run this command|ACL failure/
const NOT_ALLOWED = Symbol('not allowed')

export function createBusAccess({ redis, log }: { redis: StateRedis; log: Log }): BusAccess {
  let isForbidden = false

  async function allowed<T>(onRedis: () => Promise<T>): Promise<T | typeof NOT_ALLOWED> {
    try {
      return await onRedis()
    } catch (error) {
      if (!(error instanceof RedisUnavailable) || !FORBIDDEN.test(error.message)) throw error
      if (!isForbidden)
        log.error(`channel layer: in memory, because this user of Redis may not: ${error.message}`)
      isForbidden = true
      return NOT_ALLOWED
    }
  }

  return {
    async ask(onRedis, onMemory) {
      if (isForbidden) return onMemory()
      const answer = await redis.attempt(() => allowed(onRedis), onMemory)
      return answer === NOT_ALLOWED ? onMemory() : answer
    },
    async merge(work) {
      if (!isForbidden) await allowed(work)
    },
    isForbidden: () => isForbidden,
    isRedis: () => !isForbidden && redis.isRedis(),
    renew() {
      isForbidden = false
    },
  }
}
