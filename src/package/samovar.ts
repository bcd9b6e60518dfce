// What `import … from 'samovar'` gives: the core, opened with few words and for an app of one's own.

import type { Bus } from '../core/bus/bus.ts'
import type { Cache } from '../core/cache/cache.ts'
import { createDataLock } from '../core/data-lock.ts'
import { Refusal } from '../core/errors.ts'
import { type DeclaredKeys, defineKeys } from '../core/keys.ts'
import type { Limiter } from '../core/limiter.ts'
import type { Once } from '../core/once.ts'
import type { OutageReport } from '../core/outages.ts'
import type { DeadLetters, Queue } from '../core/queue/queue.ts'
import type { AppStatus } from '../core/redis/status.ts'
import { openSamovar as openCore } from '../core/samovar.ts'
import type { State } from '../core/state/state.ts'
import type { Values } from '../core/values.ts'
import { isLoopback, parseRedisUrl, type RedisTarget } from '../lib/redis-url.ts'
import { pause, SECOND } from '../lib/time.ts'
import { adapterKeys } from './adapter-keys.ts'
import { createPackageLog, type GivenLog } from './package-log.ts'

const READY_MS = 2 * SECOND
const READY_POLL_MS = 10
const MEGABYTE = 1024 * 1024

export interface OpenOptions {
  /**
   * `redis://[user:password@]host[:port][/database]`, `rediss://…` or `unix:///path`; or two of them, where the cache
   * has a server of its own that may evict. Everything is in the memory of this process without it.
   */
  redis?: string | { readonly cache: string; readonly state: string } | undefined
  /**
   * A directory for one file, `samovar.db`, that nobody else writes: with it an acknowledged write outlives this
   * process also while Redis is away. Without it nothing is on disk.
   */
  dataDir?: string | undefined
  /** Before every key in Redis; `app:` unless said. Processes of one app have the same one. */
  prefix?: string
  /** The first words of your own keys in `state`, as `defineKeys` makes them. */
  keys?: readonly DeclaredKeys[]
  /** How long one command may take before memory answers; 100 unless said, or 500 for a Redis elsewhere. */
  budgetMs?: number
  /** The memory for cached values and for the copy of the state, half each; 32 unless said. */
  memoryMb?: number
  /** A pino logger, or what has its methods; warnings and errors go to stderr without it. */
  log?: GivenLog
}

/** Everything below answers while Redis is killed, frozen, full or emptied; each call waits at most one budget. */
export interface Samovar {
  /** Values that may be lost, loaded once for everybody who waits: see `getOrLoad`. */
  readonly cache: Cache
  /** Bytes that may be lost, put and taken as they are: what the adapters for caches use. */
  readonly values: Values
  /** Data that is neither lost nor evicted: sessions, claims, marks. Keys begin with a declared word. */
  readonly state: State
  /** Messages to every process, in order, with a history; and who is there. */
  readonly bus: Bus
  /** Jobs that run at least once, and are known as done afterwards. */
  readonly queue: Queue & { readonly deadLetters: DeadLetters }
  /** At most so many hits in any window. */
  readonly limiter: Limiter
  /** Work that is done once for each key, no matter how often it is asked for, or by which process. */
  readonly once: Once
  /** Whether Redis is asked (`redis`), memory answers (`memory`), or the one is merged into the other (`merging`). */
  status(): AppStatus
  /** A report for each outage of the last 100, newest first. */
  outages(): readonly OutageReport[]
  /** Resolves once Redis has been read; after two seconds in any case, since nothing needs to wait for it. */
  ready(): Promise<void>
  /** Finishes what is under way. It keeps the process alive until then. */
  close(): Promise<void>
}

/** Throws, in one sentence, when an option cannot be what it should be; never because Redis is away. */
export function openSamovar(options: OpenOptions = {}): Samovar {
  const { dataDir, prefix = 'app:', keys = [], memoryMb = 32 } = options
  const redis = targetsOf(options.redis)
  const { budgetMs = redis && !isLoopback(redis.state) ? 500 : 100 } = options
  expectPositive({ budgetMs, memoryMb })
  const log = createPackageLog(options.log)
  const samovar = openCore({
    // Whoever else uses this Redis keeps its keys, and every process of the app may write.
    mode: redis ? 'external' : 'memory',
    redis: {
      cache: redis?.cache,
      state: redis?.state,
      hasStateServer: false,
      ca: undefined,
      budgetMs,
      prefix,
    },
    keys: [adapterKeys, ...keys],
    cache: { enabled: true },
    workers: 1,
    memoryBudgetBytes: memoryMb * MEGABYTE,
    dataDir,
    dataLock: createDataLock(undefined),
    log,
  })
  samovar.start()
  const { cache, values, state, bus, queue, limiter, once, outages, status, roles } = samovar

  const isRead = () => !redis || (roles.cache.server().isConnected && roles.state.redis?.isRedis() === true)

  async function ready(): Promise<void> {
    const untilMs = performance.now() + READY_MS
    while (!isRead() && performance.now() < untilMs) await pause(READY_POLL_MS)
  }

  return {
    cache,
    values,
    state,
    bus,
    queue,
    limiter,
    once,
    status,
    outages: outages.all,
    ready,
    async close() {
      await samovar.close()
      log.flush()
    },
  }
}

function targetsOf(redis: OpenOptions['redis']) {
  if (redis === undefined) return undefined
  const urls = typeof redis === 'string' ? { cache: redis, state: redis } : redis
  return { cache: targetOf(urls.cache), state: targetOf(urls.state) }
}

function targetOf(url: string): RedisTarget {
  const target = parseRedisUrl(url)
  if (typeof target === 'string') throw new TypeError(`the URL of Redis ${target}`)
  return target
}

function expectPositive(numbers: Record<string, number>): void {
  for (const [name, number] of Object.entries(numbers))
    if (!(number > 0 && number < Number.POSITIVE_INFINITY))
      throw new TypeError(`${name} must be a number above 0`)
}

export type {
  AppStatus,
  Bus,
  Cache,
  DeadLetters,
  DeclaredKeys,
  Limiter,
  Once,
  OutageReport,
  Queue,
  State,
  Values,
}
export { defineKeys, Refusal }
