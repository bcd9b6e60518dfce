// The read-through cache: one load for each key across processes, old values while a new one is fetched or cannot be,
// and clears that nothing older survives. Features say what to load and for how long; they never see Redis.

import { withoutDeadline } from '../../lib/async/request-deadline.ts'
import { MINUTE, type Now } from '../../lib/time.ts'
import type { Log } from '../../log.ts'
import type { ClearScope } from '../keys.ts'
import { decodeHead } from './cache-entry.ts'
import { createCacheLoads } from './cache-loads.ts'
import type { Store } from './cache-store.ts'
import { createCacheValues } from './cache-values.ts'
import type { Cached, CachePolicy, Load } from './cached.ts'
import type { ClearHow, GenerationCounters } from './generation-counters.ts'
import type { MemoryStore } from './memory-cache-store.ts'
import { type CopiesStore, createStaleCopies, type StaleCopies } from './stale-copies.ts'

export interface CacheCounts {
  readonly hits: number
  readonly misses: number
}

export interface Cache {
  /** The cached value, loaded first if need be. Rejects with the AppError of `load`, else with `source_failed`. */
  getOrLoad<T>(key: string, policy: CachePolicy<T>, load: Load<T>): Promise<Cached<T>>
  /** The cached value if memory may answer and it is fresh: a hit, without a promise. Undefined: ask `getOrLoad`. */
  peek<T>(key: string, policy: Pick<CachePolicy<T>, 'parse'>): Cached<T> | undefined
  /** Deletes these entries; a load of them that runs now will not be stored. */
  invalidate(keys: readonly string[]): Promise<void>
  /**
   * Makes every entry of the scope dead immediately; the space is freed in the background.
   * A soft one makes them stale: the next read loads, and has the old value only if that fails.
   * How many of them this process knew.
   */
  clear(scope: ClearScope, how?: ClearHow): Promise<number>
  counts(): CacheCounts
  /** How many values are only stale copies of cleared ones; of Redis only where it is asked for its size. */
  staleCopies: StaleCopies['counts']
  close(): Promise<void>
}

/** A store with a part that answers immediately: the tiered one, or memory alone. */
export type CacheStore = Store & CopiesStore & Pick<MemoryStore, 'peek'>

export interface CacheOptions {
  store: CacheStore
  clears: GenerationCounters
  enabled: boolean
  /** How long a value is fresh whose policy does not say, ms. */
  defaultFreshMs?: number
  log: Log
  now?: Now
}

/** What is to be deleted: of these keys, with `below` what was loaded before that clear. */
interface Sweep {
  readonly prefix: string
  readonly below?: number
}

const UNCACHED = { generation: 0, clearedAt: 0, isCleared: false }

export function createCache(options: CacheOptions): Cache {
  const { store, clears, enabled, defaultFreshMs = 5 * MINUTE, log, now = Date.now } = options
  const values = createCacheValues({ clears, defaultFreshMs, log, now })
  const stale = createStaleCopies({ store, clears, log, now })
  const loads = createCacheLoads({ store, clears, values, onReplaced: stale.replaced, log, now })
  let hits = 0
  let misses = 0
  let sweeping: Promise<void> | undefined
  let sweepAgain: Sweep | undefined

  async function getOrLoad<T>(key: string, policy: CachePolicy<T>, load: Load<T>): Promise<Cached<T>> {
    if (!enabled) return values.make('bypass', await load(UNCACHED), policy)
    const found = values.read(key, store.peek(key) ?? (await store.get(key)), policy)
    if (!found || found.isCleared) {
      misses += 1
      log.debug({ key }, 'cache (кэш) empty: loading from the source')
      if (found) return loads.run(key, policy, load).catch(() => found)
      if (!loads.isRunning(key)) await policy.admit?.()
      return loads.run(key, policy, load)
    }
    hits += 1
    log.debug({ key, outcome: found.outcome }, 'answered from the cache (кэш)')
    if (found.outcome !== 'stale') return found
    // Logged where it fails; the old value is the answer then.
    const fresh = loads.run(key, policy, load).catch(() => found)
    const { unwaitedMs = Number.POSITIVE_INFINITY } = policy
    return now() < found.freshUntilMs + unwaitedMs ? found : fresh
  }

  function peek<T>(key: string, policy: Pick<CachePolicy<T>, 'parse'>): Cached<T> | undefined {
    const found = enabled ? values.read(key, store.peek(key), policy) : undefined
    if (found?.outcome !== 'hit' || found.value === undefined) return undefined
    hits += 1
    log.debug({ key, outcome: found.outcome }, 'answered from the cache (кэш)')
    return found
  }

  function isDead(key: string, bytes: Buffer): boolean {
    const head = decodeHead(bytes)
    return head !== undefined && clears.isDead(key, head)
  }

  // One sweep at a time: one more does what is requested while it runs, over everything if need be.
  function sweep(wanted: Sweep): void {
    if (sweeping) {
      const isSame = sweepAgain === undefined || sweepAgain.prefix === wanted.prefix
      sweepAgain = isSame ? wanted : { prefix: '' }
      return
    }
    sweeping = sweepOnce(wanted).finally(() => {
      sweeping = undefined
      const next = sweepAgain
      sweepAgain = undefined
      if (next) sweep(next)
    })
  }

  async function sweepOnce({ prefix, below }: Sweep): Promise<void> {
    try {
      const deleted = await store.sweep(prefix, isDead, below)
      log.debug({ deleted }, 'the space of cleared cache (кэш) entries is free again')
    } catch (error) {
      log.error({ err: error }, 'sweeping the cache (кэш) failed')
    }
    stale.count()
  }

  async function clearSoftly(scope: ClearScope): Promise<number> {
    const known = stale.live(scope)
    await clears.raise(scope, { isSoft: true })
    await Promise.all(loads.cleared().map(loads.supersede))
    stale.count()
    return known
  }

  async function invalidate(names: readonly string[]): Promise<void> {
    for (const key of names) loads.revoke(key)
    await store.delete(names)
  }

  return {
    getOrLoad,
    peek,
    invalidate,
    staleCopies: stale.counts,
    async clear(scope, { isSoft = false } = {}) {
      if (isSoft) return clearSoftly(scope)
      const below = await clears.raise(scope)
      const isTag = typeof scope === 'object' && 'tag' in scope
      const prefix = typeof scope === 'object' && 'prefix' in scope ? scope.prefix : ''
      const known = store.sweepNow(prefix, isDead)
      // Loads under way are dead now: without their leases the next reader need not wait for them.
      const dead = loads.cleared()
      if (dead.length > 0) await invalidate(dead)
      withoutDeadline(() => sweep({ prefix, ...(!isTag && { below }) }))
      return known
    },
    counts: () => ({ hits, misses }),
    async close() {
      while (sweeping) await sweeping
      await stale.close()
    },
  }
}
