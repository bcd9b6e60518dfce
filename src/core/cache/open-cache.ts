// Opens the cache role: Redis and the memory before it, or memory alone where Redis is switched off.

import { randomUUID } from 'node:crypto'
import type { RedisTarget } from '../../lib/redis-url.ts'
import { MINUTE, SECOND } from '../../lib/time.ts'
import type { Log } from '../../log.ts'
import { inBackground } from '../background.ts'
import { RedisUnavailable } from '../errors.ts'
import type { Outages } from '../outages.ts'
import { connectRedis } from '../redis/connection.ts'
import { createFailover, type Failover, type RoleStatus, switchedOff } from '../redis/failover.ts'
import { CACHE_COMMANDS } from '../redis/needed-commands.ts'
import { createSampler, type ServerSample } from '../redis/server-sample.ts'
import type { CacheStore } from './cache.ts'
import { decodeHead } from './cache-entry.ts'
import { createCacheMerge, type Inspect } from './cache-merge.ts'
import type { GenerationCounters } from './generation-counters.ts'
import { createMemoryStore } from './memory-cache-store.ts'
import type { PendingInvalidations } from './pending-invalidations.ts'
import { createRedisStore } from './redis-cache-store.ts'
import { createTieredStore } from './tiered-cache-store.ts'

export interface CacheRole {
  readonly store: CacheStore
  status(): RoleStatus
  onStatus: Failover['onStatus']
  memorySize(): { keys: number; bytes: number }
  /** The server; its sizes are null where it holds more than the cache. */
  server(): { isConnected: boolean; lastError: string | null; sample: ServerSample | undefined }
  /** Asks the server; null where it is away, or holds more than the cache. */
  countKeys(): Promise<number | null>
  /** Begins to probe Redis. */
  start(): void
  close(): void
}

export interface CacheRoleOptions {
  /** Undefined: Redis is switched off. */
  target: RedisTarget | undefined
  ca: string | undefined
  budgetMs: number
  /** Put before every key: empty where the server is ours, so that operators find literal names. */
  prefix: string
  /** Whether every key of the server is the cache's. */
  isOwnServer: boolean
  /** Whether the server is an external one, which may bill every command. */
  isExternal: boolean
  /** Whether other processes write to this Redis. */
  isShared: boolean
  memoryBudgetBytes: number
  clears: GenerationCounters
  pendingInvalidations: PendingInvalidations
  outages: Outages
  /** Why the clears are not known yet. */
  stateError: () => string | null
  log: Log
}

export function openCacheRole(options: CacheRoleOptions): CacheRole {
  const {
    target,
    ca,
    budgetMs,
    prefix,
    isOwnServer,
    isExternal,
    isShared,
    clears,
    pendingInvalidations,
    outages,
    stateError,
    log,
  } = options
  const memory = createMemoryStore({ budgetBytes: options.memoryBudgetBytes })
  if (!target) {
    const status = switchedOff(Date.now())
    return {
      store: memory,
      status: () => status,
      onStatus: () => {},
      memorySize: memory.size,
      server: () => ({ isConnected: false, lastError: null, sample: undefined }),
      countKeys: async () => null,
      start: () => {},
      close: () => {},
    }
  }

  const connection = connectRedis({ target, ca, budgetMs, trackPrefix: prefix })
  const failover = createFailover({
    role: 'cache',
    connection,
    probeKey: `${prefix}probe:${randomUUID()}`,
    commands: CACHE_COMMANDS,
    hasHeartbeat: !isExternal,
    events: {
      cut: () => {},
      left: () => {},
      outageBegan: (cause, atMs, served) => outages.began('cache', cause, atMs, served),
      returned(servedCalls, atMs) {
        const merged = merge.takeMerged()
        const end = { servedCalls, merged, accepted: [], conflicts: [], corrupt: 0, lost: 0, note: null }
        return outages.ended('cache', end, atMs)
      },
    },
    log,
  })
  // Our own server starts from the snapshot of its last clean stop, or empty.
  const redis = createRedisStore({ connection, prefix, mayComeBackOlder: !isOwnServer })
  const inspect: Inspect = (key, value) => {
    const head = decodeHead(value)
    if (!head || clears.isDead(key, head)) return undefined
    return { remainingMs: head.staleUntilMs - Date.now(), storedAtMs: head.storedAtMs }
  }
  const merge = createCacheMerge({
    redis,
    memory,
    pendingInvalidations,
    inspect,
    async distrust() {
      log.warn(
        'Redis may hold what was deleted: the cache (кэш) is cleared, so that nothing deleted comes back',
      )
      await clears.raise('all')
    },
    isShared,
  })
  const parts = { redis, memory, failover, merge, pendingInvalidations, connection, inspect, log }
  const store = createTieredStore(parts)
  const timer = setInterval(() => {
    if (failover.isRedis()) void inBackground(merge.drain(), log)
  }, SECOND).unref()
  const sampler = createSampler({ connection, everyMs: isExternal ? MINUTE : 5 * SECOND, log })

  return {
    store: isOwnServer ? store : { ...store, sweepBehind: undefined },
    status: failover.status,
    onStatus: failover.onStatus,
    memorySize: memory.size,
    server() {
      const sample = sampler.last()
      return {
        isConnected: failover.isRedis(),
        lastError: failover.status().lastError,
        sample: sample && !isOwnServer ? { ...sample, keys: null, datasetBytes: null } : sample,
      }
    },
    async countKeys() {
      if (!isOwnServer || !failover.isRedis()) return null
      await sampler.refresh()
      return sampler.last()?.keys ?? null
    },
    start: () =>
      failover.start({
        isPending: merge.isPending,
        async run(awaySinceMs) {
          // Without the clears, nobody knows which values in Redis were cleared.
          if (!clears.isLoaded()) {
            const reason = stateError() ?? 'it has not been read yet'
            throw new RedisUnavailable('waiting', `the cache waits for the state role: ${reason}`)
          }
          await merge.run(awaySinceMs)
          store.revalidate()
          await sampler.refresh()
        },
        resume: merge.drain,
      }),
    close() {
      clearInterval(timer)
      failover.close()
      sampler.close()
    },
  }
}
