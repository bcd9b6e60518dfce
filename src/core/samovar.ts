// The one way in: cache, state, channels, jobs, limits and work that is done once, over Redis while it answers and
// without it while it does not. The app, the tests and the benchmarks open the same.
import type { RedisTarget } from '../lib/redis-url.ts'
import { createScope } from '../lib/scope.ts'
import type { Log } from '../log.ts'
import type { Bus } from './bus/bus.ts'
import { type BusParts, openBus } from './bus/open-bus.ts'
import { type Cache, type CacheOptions, createCache } from './cache/cache.ts'
import { createGenerationCounters } from './cache/generation-counters.ts'
import { type CacheRole, openCacheRole } from './cache/open-cache.ts'
import { createPendingInvalidations } from './cache/pending-invalidations.ts'
import type { DataLock } from './data-lock.ts'
import { createInstallation, type Installation } from './files/installation.ts'
import { createKeyKinds, type DeclaredKeys, statePrefix } from './keys.ts'
import { createLimiter, type Limiter } from './limiter.ts'
import { createOnce, type Once } from './once.ts'
import type { Outages } from './outages.ts'
import { inOrder } from './participant.ts'
import type { FailoverQueue } from './queue/failover-queue.ts'
import { openQueue } from './queue/open-queue.ts'
import { type AppStatus, createAppStatus } from './redis/status.ts'
import { openState } from './state/open-state.ts'
import type { State } from './state/state.ts'
import type { StateParts, StateRole } from './state/state-role.ts'
import { createValues, type Values } from './values.ts'

export interface Samovar {
  readonly cache: Cache
  /** The cache role as bytes that are put and taken. */
  readonly values: Values
  readonly state: State
  readonly bus: Bus
  readonly queue: FailoverQueue
  readonly limiter: Limiter
  readonly once: Once
  readonly outages: Outages
  /** What the roles say of themselves, each for its Redis. */
  readonly roles: { readonly cache: CacheRole; readonly state: StateRole }
  status(): AppStatus
  /** What was written while Redis was away and is not in it yet. */
  pendingWrites(): number
  /** Takes up what is on disk and begins to look for Redis. */
  start(): void
  close(): Promise<void>
}

export interface SamovarOptions {
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
  /** Words of keys that features have declared. */
  keys: readonly DeclaredKeys[]
  cache: { readonly enabled: boolean; readonly ttlMs?: number }
  workers: number
  memoryBudgetBytes: number
  /** Undefined: nothing is on disk. */
  dataDir: string | undefined
  /** Whose files are in it; made where none is given. */
  installation?: Installation
  /** Kept in samovar.db as well, by their names. */
  facts?: Readonly<Record<string, string>>
  dataLock: DataLock
  /** Where the image says what it found; undefined outside of it. */
  runDir?: string | undefined
  log: Log
  parts?: SamovarParts
}

/** What it is made of, where it can be broken or hurried: tests plant their bugs here. */
export interface SamovarParts {
  readonly state?: StateParts
  readonly bus?: BusParts
  readonly clears?: (clears: CacheOptions['clears'], isRedis: () => boolean) => CacheOptions['clears']
  /** How long a job may be silent before it counts as stuck. */
  readonly stuckMs?: number
}

/** Throws, in one sentence, when a word of a key is declared twice. */
export function openSamovar(options: SamovarOptions): Samovar {
  const { mode, redis, keys, workers, memoryBudgetBytes, dataDir, dataLock, log, parts = {} } = options
  const scope = createScope()
  const isExternal = mode === 'external'
  const isShared = isExternal || workers > 1
  const { ca, budgetMs, prefix, hasStateServer } = redis
  const shared = { ca, budgetMs, memoryBudgetBytes: memoryBudgetBytes / 2, log }

  const stateRole = scope.add(
    openState({
      ...shared,
      target: redis.state,
      prefix: statePrefix(prefix),
      kindOf: createKeyKinds(keys),
      hasHeartbeat: !isExternal,
      isExternal,
      isShared,
      dataDir,
      installation: options.installation ?? createInstallation(dataDir, log, options.runDir),
      facts: options.facts,
      dataLock,
      runDir: options.runDir,
      ...(parts.state && { parts: parts.state }),
    }),
  )
  const { state, outages } = stateRole
  const generationCounters = createGenerationCounters({ counters: stateRole.counters, log })
  const pendingInvalidations = createPendingInvalidations()
  const { changes } = dataLock
  const counted = parts.clears?.(generationCounters, stateRole.counters.isRedis) ?? generationCounters
  const clears: typeof counted = {
    ...counted,
    raise: (scope, how) => changes.pass(() => counted.raise(scope, how)),
  }
  const cacheRole = scope.add(
    openCacheRole({
      ...shared,
      target: redis.cache,
      prefix: isExternal ? `${prefix}cache:` : '',
      isOwnServer: hasStateServer,
      isExternal,
      isShared,
      clears: generationCounters,
      pendingInvalidations,
      outages,
      stateError: () => stateRole.status().lastError,
    }),
  )
  const { enabled, ttlMs } = options.cache
  const cache = scope.add(
    createCache({
      store: cacheRole.store,
      clears,
      enabled,
      ...(ttlMs !== undefined && { defaultFreshMs: ttlMs }),
      log,
    }),
  )
  const busRole = scope.add(
    openBus({
      redis: stateRole.redis,
      target: redis.state,
      ca,
      budgetMs,
      prefix: `${prefix}bus:`,
      isExternal,
      log,
      ...(parts.bus && { parts: parts.bus }),
    }),
  )
  const { stuckMs } = parts
  const queue = scope.add(openQueue({ redis, state: stateRole, changes, log, ...(stuckMs && { stuckMs }) }))

  // The order in which each takes its step at a loss of Redis, in a merge, and when the disk is taken up: clears
  // before any key.
  const participants = inOrder([
    generationCounters.participant,
    ...stateRole.own,
    pendingInvalidations.participant,
    ...busRole.participants,
    queue,
  ])

  return {
    cache,
    values: createValues({
      store: cacheRole.store,
      clears: generationCounters,
      clear: cache.clear,
      isRedis: () => cacheRole.server().isConnected,
    }),
    state,
    bus: busRole.bus,
    queue,
    limiter: createLimiter({ state }),
    once: createOnce({ state, damaged: (key) => stateRole.damage.note('Redis', key) }),
    outages,
    roles: { cache: cacheRole, state: stateRole },
    status: createAppStatus([cacheRole, stateRole]),
    pendingWrites: () => (redis.state ? participants.pending() : 0),
    start() {
      stateRole.start(participants)
      cacheRole.start()
    },
    close: scope.close,
  }
}
