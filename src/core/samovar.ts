// Both roles of Redis, the clears that tie the cache to the state, and the channel layer beside it, wired together: what the app, the tests and the
// benchmarks open alike.
import type { RedisTarget } from '../lib/redis-url.ts'
import { createScope } from '../lib/scope.ts'
import type { Log } from '../log.ts'
import type { Bus } from './bus/bus.ts'
import { type BusParts, openBus } from './bus/open-bus.ts'
import { createGenerationCounters, type GenerationCounters } from './cache/generation-counters.ts'
import { type CacheRole, openCacheRole } from './cache/open-cache.ts'
import { createPendingInvalidations } from './cache/pending-invalidations.ts'
import type { DataLock } from './data-lock.ts'
import { statePrefix } from './keys.ts'
import { type AppStatus, combineStatus } from './redis/status.ts'
import type { OnDisk } from './state/disk/state-files.ts'
import { openState } from './state/open-state.ts'
import type { StateGuest, StateParts, StateRole } from './state/state-role.ts'

export interface Roles {
  readonly cache: CacheRole
  readonly state: StateRole
  readonly clears: GenerationCounters
  readonly bus: Bus
  status(): AppStatus
  /** What was written while Redis was away and is not in it yet. */
  pendingWrites(): number
  /** Reads what is on disk and begins to look for Redis. `others` keep something of their own there and in Redis. */
  start(others?: readonly (StateGuest & OnDisk)[]): void
  close(): Promise<void>
}

export interface RolesOptions {
  mode: 'embedded' | 'external' | 'memory'
  redis: {
    /** Undefined: switched off. */
    cache: RedisTarget | undefined
    state: RedisTarget | undefined
    /** Whether the state role has a server of its own, so that the other one holds nothing but the cache. */
    hasStateServer: boolean
    ca: string | undefined
    budgetMs: number
    prefix: string
  }
  workers: number
  memoryBudgetBytes: number
  dataDir: string
  dataLock: DataLock
  log: Log
  stateParts?: StateParts
  busParts?: BusParts
}

export function openRoles({
  mode,
  redis,
  workers,
  memoryBudgetBytes,
  dataDir,
  dataLock,
  log,
  stateParts,
  busParts,
}: RolesOptions): Roles {
  const scope = createScope()
  const isExternal = mode === 'external'
  const isShared = isExternal || workers > 1
  const { ca, budgetMs, prefix, hasStateServer } = redis
  const shared = { ca, budgetMs, memoryBudgetBytes: memoryBudgetBytes / 2, log }
  const pendingInvalidations = createPendingInvalidations()

  const state = scope.add(
    openState({
      ...shared,
      target: redis.state,
      prefix: statePrefix(prefix),
      hasHeartbeat: !isExternal,
      isShared,
      dataDir,
      dataLock,
      ...(stateParts && { parts: stateParts }),
    }),
  )
  const clears = createGenerationCounters({ numbers: state.numbers, log })
  const cache = scope.add(
    openCacheRole({
      ...shared,
      target: redis.cache,
      prefix: isExternal ? `${prefix}cache:` : '',
      isOwnServer: hasStateServer,
      isExternal,
      isShared,
      clears,
      pendingInvalidations,
      outages: state.outages,
      stateError: () => state.status().lastError,
    }),
  )
  const { bus, guests } = scope.add(
    openBus({
      redis: state.redis,
      target: redis.state,
      ca,
      budgetMs,
      prefix: `${prefix}bus:`,
      isExternal,
      log,
      ...(busParts && { parts: busParts }),
    }),
  )

  return {
    cache,
    state,
    clears,
    bus,
    status: () => combineStatus([cache.status(), state.status()]),
    pendingWrites: () => state.pendingWrites() + pendingInvalidations.size() + (clears.isPending() ? 1 : 0),
    start(others = []) {
      state.start(clears, [clears, pendingInvalidations, ...others], [...guests, ...others])
      cache.start()
    },
    close: scope.close,
  }
}
