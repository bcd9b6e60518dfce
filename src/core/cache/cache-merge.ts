// Brings the cache role's Redis up to date: deletions it has not seen, values it lost, sweeps it did not finish.
import type { Merge } from '../redis/failover.ts'
import type { IsDead } from './cache-store.ts'
import type { MemoryStore } from './memory-cache-store.ts'
import type { PendingInvalidations } from './pending-invalidations.ts'
import type { CacheCopy, RedisStore } from './redis-cache-store.ts'

const DELETE_BATCH = 500
const WRITE_BACK_BYTES = 256 * 1024 // a round trip: so much fits into a command's budget

/** What is known of a value; undefined when it is not one of ours, or when a clear has made it dead. */
export type Inspect = (
  key: string,
  value: Buffer,
) => { readonly remainingMs: number; readonly storedAtMs: number } | undefined

export interface CacheMerge extends Omit<Merge, 'resume'> {
  /** While Redis is asked: sends the deletions that it was too slow for, and finishes sweeps. */
  drain(): Promise<void>
  /** `drain` sweeps everything: Redis did not finish a sweep. */
  sweepLater(isDead: IsDead): void
  /** How much the merges since the last call have sent to Redis, by kind. */
  takeMerged(): Record<string, number>
}

export interface CacheMergeOptions {
  redis: RedisStore
  memory: MemoryStore
  pendingInvalidations: PendingInvalidations
  inspect: Inspect
  /** Redis may hold what was deleted: none of its values may be used any more. */
  distrust: () => Promise<void>
  /** Whether others write here too: what memory has may be what they have deleted. */
  isShared: boolean
}

export function createCacheMerge(options: CacheMergeOptions): CacheMerge {
  const { redis, memory, pendingInvalidations, inspect, distrust, isShared } = options
  let merged = 0 // deletions
  let unfinishedSweep: IsDead | undefined
  let draining: Promise<void> | undefined

  async function sendDeletions(): Promise<void> {
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
      if (!known || known.remainingMs <= 0) continue
      batch.push({ key, value, ttlMs: known.remainingMs, isNewer: known.storedAtMs >= awaySinceMs })
      bytes += value.byteLength
      if (bytes < WRITE_BACK_BYTES) continue
      await redis.fill(batch)
      batch = []
      bytes = 0
    }
    if (batch.length > 0) await redis.fill(batch)
  }

  async function finishSweep(): Promise<void> {
    const isDead = unfinishedSweep
    if (!isDead) return
    await redis.sweep('', isDead)
    if (unfinishedSweep === isDead) unfinishedSweep = undefined
  }

  return {
    isPending: () => pendingInvalidations.size() > 0,
    async run(awaySinceMs) {
      if (await redis.isOlder()) await distrust()
      await sendDeletions()
      if (!isShared) await writeBack(awaySinceMs)
    },
    // One at a time: two would acknowledge each other's deletions.
    drain() {
      draining ??= sendDeletions()
        .then(finishSweep)
        .finally(() => {
          draining = undefined
        })
      return draining
    },
    sweepLater(isDead) {
      unfinishedSweep = isDead
    },
    takeMerged() {
      const taken = merged
      merged = 0
      return taken > 0 ? { deletion: taken } : {}
    },
  }
}
