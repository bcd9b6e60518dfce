// Both roles of Redis with what stands in for each, in the variant the configuration names.
import { randomUUID } from 'node:crypto'
import type { RedisTarget } from '../../lib/redis-url.ts'
import { createScope } from '../../lib/scope.ts'
import { MINUTE, SECOND } from '../../lib/time.ts'
import type { Log } from '../../log.ts'
import type { CacheStore } from '../cache.ts'
import { decodeHead } from '../cache-entry.ts'
import { type ClearNumbers, createClearNumbers } from '../clear-numbers.ts'
import { keys } from '../keys.ts'
import { connectRedis } from '../redis.ts'
import { createSampler, type ServerSample } from '../server-sample.ts'
import { createFailover, type RoleStatus } from './failover.ts'
import { createFailoverStore } from './failover-store.ts'
import { createMemoryStore, type MemoryStore } from './memory-store.ts'
import { createRedisStore } from './redis-store.ts'
import { type Store, StoreUnavailable } from './store.ts'
import { createTieredStore } from './tiered-store.ts'

export interface Stores {
  readonly cache: {
    readonly store: CacheStore
    status(): RoleStatus
    memorySize(): { keys: number; bytes: number }
    server(): { isConnected: boolean; lastError: string | null; sample: ServerSample | undefined }
    /** Asks the server now; null where it is away, or shared with others. */
    countKeys(): Promise<number | null>
  }
  readonly state: { readonly store: Store; status(): RoleStatus }
  readonly clears: ClearNumbers
  /** What was written while Redis was away and is not in it yet. */
  pendingWrites(): number
  /** Begins to look for Redis. */
  start(): void
  close(): Promise<void>
}

export interface StoresOptions {
  mode: 'embedded' | 'external' | 'memory'
  redis: {
    cache: RedisTarget | undefined
    state: RedisTarget | undefined
    ca: string | undefined
    budgetMs: number
    prefix: string
  }
  memoryBudgetBytes: number
  log: Log
}

export function openStores(options: StoresOptions): Stores {
  const memory = createMemoryStore({ budgetBytes: options.memoryBudgetBytes / 2, whenFull: 'evict' })
  const standby = createMemoryStore({ budgetBytes: options.memoryBudgetBytes / 2, whenFull: 'refuse' })
  const { cache, state } = options.redis
  if (!cache || !state) return openMemoryStores(memory, standby, options.log)
  return openRedisStores(memory, standby, { ...options, redis: { ...options.redis, cache, state } })
}

function openMemoryStores(memory: MemoryStore, standby: MemoryStore, log: Log): Stores {
  const startedAtMs = Date.now()
  const status = (): RoleStatus => ({
    status: 'memory',
    sinceMs: startedAtMs,
    activations: 0,
    servedCalls: 0,
    lastError: null,
  })
  const clears = createClearNumbers({
    store: standby,
    redis: standby,
    isRedis: () => false,
    isTracked: () => false,
    log,
  })
  return {
    cache: {
      store: memory,
      status,
      memorySize: memory.size,
      server: () => ({ isConnected: false, lastError: null, sample: undefined }),
      countKeys: async () => null,
    },
    state: { store: standby, status },
    clears,
    pendingWrites: () => 0,
    start: () => log.info('Redis is switched off (REDIS_URL=off): cache (кэш) and state are in memory'),
    close: async () => {},
  }
}

function openRedisStores(
  memory: MemoryStore,
  standby: MemoryStore,
  { mode, redis: config, log }: StoresOptions & { redis: { cache: RedisTarget; state: RedisTarget } },
): Stores {
  const scope = createScope()
  const { ca, budgetMs, prefix } = config
  const cachePrefix = mode === 'embedded' ? '' : `${prefix}cache:` // literal names where the server is ours
  const statePrefix = `${prefix}state:`
  // Where others keep keys as well, or the state role does, the server's counts are not the cache's.
  const isOurs = mode === 'embedded' && 'path' in config.state.at
  const hasHeartbeat = mode === 'embedded' // a rented server counts every command
  const probeKey = `${prefix}probe:${randomUUID()}`

  const stateConnection = connectRedis({ target: config.state, ca, budgetMs, trackPrefix: statePrefix })
  const stateFailover = scope.add(
    createFailover({
      role: 'state',
      connection: stateConnection,
      probeKey: `${probeKey}:state`,
      hasHeartbeat,
      log,
    }),
  )
  const stateRedis = createRedisStore({ connection: stateConnection, prefix: statePrefix })
  const stateStore = createFailoverStore({ redis: stateRedis, standby, failover: stateFailover })
  const clears = createClearNumbers({
    store: stateStore,
    redis: stateRedis,
    isRedis: stateFailover.isRedis,
    isTracked: stateConnection.isTracked,
    log,
  })
  stateConnection.onInvalidate((key) => {
    if (key === keys.generations || key === undefined) void clears.refresh()
  })

  const cacheConnection = connectRedis({ target: config.cache, ca, budgetMs, trackPrefix: cachePrefix })
  const cacheFailover = scope.add(
    createFailover({
      role: 'cache',
      connection: cacheConnection,
      probeKey: `${probeKey}:cache`,
      hasHeartbeat,
      log,
    }),
  )
  const cacheStore = createTieredStore({
    redis: createRedisStore({ connection: cacheConnection, prefix: cachePrefix }),
    memory,
    failover: cacheFailover,
    connection: cacheConnection,
    lifeMs: (value) => {
      const head = decodeHead(value)
      return head && head.staleUntilMs - Date.now()
    },
  })
  const sampler = scope.add(
    createSampler({ connection: cacheConnection, everyMs: mode === 'external' ? MINUTE : 5 * SECOND, log }),
  )

  return {
    cache: {
      store: cacheStore,
      status: cacheFailover.status,
      memorySize: memory.size,
      server: () => ({
        isConnected: cacheFailover.isRedis(),
        lastError: cacheFailover.status().lastError,
        sample: isOurs ? sampler.last() : withoutSizes(sampler.last()),
      }),
      async countKeys() {
        if (!isOurs || !cacheFailover.isRedis()) return null
        await sampler.refresh()
        return sampler.last()?.keys ?? null
      },
    },
    state: { store: stateStore, status: stateFailover.status },
    clears,
    pendingWrites: () => stateStore.pendingCount() + cacheStore.pendingCount(),
    start() {
      stateFailover.start({
        isPending: stateStore.merge.isPending,
        async run() {
          await stateStore.merge.run()
          await clears.synchronize()
        },
      })
      cacheFailover.start({
        isPending: cacheStore.merge.isPending,
        async run() {
          // What the cache holds can be judged only by one who knows the clears.
          if (!clears.isLoaded()) {
            const reason = stateFailover.status().lastError ?? 'it has not been read yet'
            throw new StoreUnavailable('lost', `the cache waits for the state role: ${reason}`)
          }
          await cacheStore.merge.run()
          await sampler.refresh()
        },
      })
    },
    close: scope.close,
  }
}

function withoutSizes(sample: ServerSample | undefined): ServerSample | undefined {
  return sample && { ...sample, keys: null, datasetBytes: null }
}
