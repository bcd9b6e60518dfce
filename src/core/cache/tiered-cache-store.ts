// The cache role: process memory in front of Redis, and the cache itself while Redis is away.
// A value in memory is served without asking while it is trusted. Trust ends with another client's write (client
// tracking), after a second where the server has no tracking, and for everything when Redis returns.
import { type Now, SECOND } from '../../lib/time.ts'
import type { RedisConnection } from '../redis/connection.ts'
import type { Failover, Merge } from '../redis/failover.ts'
import type { LeaseState, Store } from './cache-store.ts'
import type { MemoryStore } from './memory-cache-store.ts'
import type { PendingInvalidations } from './pending-invalidations.ts'
import type { CacheCopy, RedisStore } from './redis-cache-store.ts'

const UNTRACKED_TRUST_MS = SECOND
const DELETE_BATCH = 500
const WRITE_BACK_BYTES = 256 * 1024 // a round trip: so much fits into a command's budget

export interface TieredStoreOptions {
  redis: RedisStore
  memory: MemoryStore
  failover: Failover
  pendingInvalidations: PendingInvalidations
  connection: Pick<RedisConnection, 'onInvalidate' | 'isTracked'>
  /** What is known of a value; undefined when it is not one of ours, or when a clear has made it dead. */
  inspect: (
    key: string,
    value: Buffer,
  ) => { readonly lifeMs: number; readonly storedAtMs: number } | undefined
  /** What Redis holds may be from before some deletion: nothing of it may be used any more. */
  distrust: () => Promise<void>
  /** Whether others write here too: what memory has may be what they have deleted. */
  isShared: boolean
  now?: Now
}

export interface TieredStore extends Store {
  /** The value when memory may answer for Redis, at once. */
  peek(key: string): Buffer | undefined
  /** Sweeps memory alone, at once. */
  sweepNow: MemoryStore['sweepNow']
  /** The deletions that Redis has not seen. */
  readonly merge: Merge
  /** Tells Redis of deletions it was too slow for. */
  settle(): Promise<void>
  /** What the merges since the last call have played into Redis, by kind. */
  takeMerged(): Record<string, number>
}

export function createTieredStore(options: TieredStoreOptions): TieredStore {
  const {
    redis,
    memory,
    failover,
    pendingInvalidations,
    connection,
    inspect,
    distrust,
    isShared,
    now = Date.now,
  } = options
  const trustedUntilMs = new Map<string, number>()
  // A read under way fills memory only if nothing happened to its key since: the token is gone when something did.
  const reading = new Map<string, symbol>()
  const echoes = new Set<string>() // keys our script writes, until we are told of it
  const leasedInRedis = new Set<string>() // holders of leases that Redis may have, until it has them back
  let merged = 0 // deletions
  let owedSweep: Parameters<Store['sweep']>[1] | undefined

  connection.onInvalidate((key) => {
    if (key === undefined) {
      reading.clear()
      trustedUntilMs.clear()
      return
    }
    forget([key])
    // Redis counts what a script writes as another client's, so our own write may be what we are told of: look.
    if (echoes.delete(key))
      void failover.attempt(
        () => readThrough(key),
        () => undefined,
      )
  })

  function forget(names: readonly string[]): void {
    memory.deleteNow(names)
    for (const key of names) {
      reading.delete(key)
      trustedUntilMs.delete(key)
    }
  }

  function trust(key: string): void {
    trustedUntilMs.set(key, connection.isTracked() ? Number.POSITIVE_INFINITY : now() + UNTRACKED_TRUST_MS)
  }

  function peek(key: string): Buffer | undefined {
    if (!failover.isRedis() || !((trustedUntilMs.get(key) ?? 0) > now())) return undefined
    const value = memory.peek(key)
    if (!value) trustedUntilMs.delete(key)
    return value
  }

  async function readThrough(key: string): Promise<Buffer | undefined> {
    if (pendingInvalidations.has(key)) return undefined // Redis may only have been too slow to delete it
    const token = Symbol()
    reading.set(key, token)
    try {
      const value = await redis.get(key)
      if (reading.get(key) !== token) return value
      const ttlMs = value && inspect(key, value)?.lifeMs
      if (value && ttlMs !== undefined) {
        // A reply is a slice of what the socket read at once: kept as it is, it would keep all of that.
        const own = Buffer.from(value)
        await memory.set(key, own, ttlMs)
        trust(key)
        return own
      }
      memory.deleteNow([key])
      return value
    } finally {
      if (reading.get(key) === token) reading.delete(key)
    }
  }

  async function replayDeletes(): Promise<void> {
    if (pendingInvalidations.isEverything()) await distrust()
    const deleted = pendingInvalidations.entries()
    for (let i = 0; i < deleted.length; i += DELETE_BATCH) {
      const batch = deleted.slice(i, i + DELETE_BATCH)
      await redis.delete(batch)
      pendingInvalidations.acknowledge(batch)
      merged += batch.length
    }
  }

  /** What Redis may have lost, or never had: loaded while it was away, or before it came back empty. */
  async function writeBack(awaySinceMs: number): Promise<void> {
    let batch: CacheCopy[] = []
    let bytes = 0
    for (const [key, value] of memory.entries()) {
      const known = inspect(key, value)
      if (!known || known.lifeMs <= 0) continue
      batch.push({ key, value, ttlMs: known.lifeMs, isNewer: known.storedAtMs >= awaySinceMs })
      bytes += value.byteLength
      if (bytes < WRITE_BACK_BYTES) continue
      await redis.fill(batch)
      batch = []
      bytes = 0
    }
    if (batch.length > 0) await redis.fill(batch)
  }

  return {
    peek,
    get: async (key) =>
      peek(key) ??
      failover.attempt(
        () => readThrough(key),
        () => memory.peek(key),
      ),

    set(key, value, ttlMs, fence) {
      // Gone when the key is deleted before the value is there: then it must not come after the deletion.
      const token = Symbol()
      reading.set(key, token)
      const isStillWanted = () => reading.get(key) === token && reading.delete(key)
      return failover.attempt(
        async () => {
          if (fence && connection.isTracked()) echoes.add(key)
          const written = await redis.set(key, value, ttlMs, fence)
          if (!isStillWanted() || !written) return written
          await memory.set(key, value, ttlMs)
          trust(key)
          return true
        },
        async () => isStillWanted() && memory.set(key, value, ttlMs),
      )
    },

    delete(names) {
      forget(names)
      return failover.attempt(
        () => redis.delete(names),
        () => pendingInvalidations.add(names),
      )
    },

    lease({ key, holder }, ttlMs) {
      const noted = (state: LeaseState) => {
        if (state !== 'taken') leasedInRedis.delete(holder)
        return state
      }
      return failover.attempt(
        async () => {
          leasedInRedis.add(holder) // at once: what has no answer may have been taken
          return noted(await redis.lease({ key, holder }, ttlMs))
        },
        async () => noted(await memory.lease({ key, holder }, ttlMs)),
      )
    },
    release: (lease, end, rememberMs) =>
      failover.attempt(
        async () => {
          await redis.release(lease, end, rememberMs)
          leasedInRedis.delete(lease.holder)
        },
        () => {
          // Left there it would make the next load wait for one that has ended.
          if (leasedInRedis.delete(lease.holder)) pendingInvalidations.add([lease.key])
          return memory.release(lease, end, rememberMs)
        },
      ),

    sweepNow: memory.sweepNow,
    async sweep(prefix, isDead) {
      const deleted = memory.sweepNow(prefix, isDead)
      return failover.attempt(
        () => redis.sweep(prefix, isDead),
        () => {
          owedSweep = isDead
          return deleted
        },
      )
    },

    takeMerged() {
      const taken = merged
      merged = 0
      return taken > 0 ? { deletion: taken } : {}
    },

    settle: replayDeletes,

    merge: {
      isPending: () => pendingInvalidations.size() > 0,
      async run(awaySinceMs) {
        if (await redis.isOlder()) await distrust()
        await replayDeletes()
        if (!isShared) await writeBack(awaySinceMs)
        trustedUntilMs.clear()
        reading.clear()
        echoes.clear()
        if (owedSweep) await redis.sweep('', owedSweep)
        owedSweep = undefined
      },
    },
  }
}
