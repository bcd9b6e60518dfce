// The read-through cache: one load for each key across processes, old values while a new one is fetched or cannot be,
// and clears that nothing older survives. Features say what to load and for how long; they never see Redis.
import { randomUUID } from 'node:crypto'
import { AppError, sourceFailed } from '../errors.ts'
import { etagOf } from '../lib/etag.ts'
import { createSingleFlight } from '../lib/single-flight.ts'
import { MINUTE, type Now, pause, SECOND } from '../lib/time.ts'
import type { Log } from '../log.ts'
import { decodeEntry, decodeHead, type Entry, type EntryHead, encodeEntry } from './cache-entry.ts'
import type { ClearNumbers } from './clear-numbers.ts'
import { type ClearScope, keys } from './keys.ts'
import type { MemoryStore } from './store/memory-store.ts'
import type { Lease, Store } from './store/store.ts'

const LEASE_MS = 6 * SECOND // renewed while the load runs, so a crashed loader blocks the others no longer than this
const LOAD_LIMIT_MS = 30 * SECOND
const FAILURE_REMEMBERED_MS = SECOND
const POLL_MS = { first: 10, cap: 200 }
const JITTER = 0.1 // of the fresh time, so that what was loaded together does not expire together

export interface CachePolicy<T> {
  /** How long a value is used without asking the source again, ms; the cache's own default when not said. */
  freshMs?: number
  /** How much longer it is used while a new one is loaded in the background, or while the source fails, ms. */
  staleMs: number
  /** How long "there is no such thing" is believed, ms; the cache's own default when not said. */
  absentMs?: number
  tags?: readonly string[]
  /** Throws when the stored JSON is not a T: the entry is then a miss. */
  parse: (json: unknown) => T
}

/** `bypass`: the cache is switched off. */
export type CacheOutcome = 'hit' | 'stale' | 'miss' | 'bypass'

export interface Cached<T> {
  readonly outcome: CacheOutcome
  /** The JSON as it is sent; empty when the value is undefined. */
  readonly body: Buffer
  readonly etag: string
  readonly storedAtMs: number
  readonly freshUntilMs: number
  /** Undefined when the source said that there is none. The same object each time: do not change it. */
  readonly value: T | undefined
}

export interface CacheCounts {
  readonly hits: number
  readonly misses: number
}

export interface Cache {
  /** The cached value, loaded first if need be. `load` answers undefined for "there is none". Rejects as `load` does, or `source_failed`. */
  getOrLoad<T>(key: string, policy: CachePolicy<T>, load: () => Promise<T | undefined>): Promise<Cached<T>>
  /** Deletes these entries; a load of them that runs now will not be stored. */
  invalidate(keys: readonly string[]): Promise<void>
  /**
   * Makes every entry of the scope dead at once; the space is given back in the background.
   * How many of them this process knew.
   */
  clear(scope: ClearScope): Promise<number>
  counts(): CacheCounts
  close(): Promise<void>
}

/** A store with a part that answers at once: the tiered one, or memory alone. */
export type CacheStore = Store & Pick<MemoryStore, 'peek' | 'sweepNow'>

export interface CacheOptions {
  store: CacheStore
  clears: ClearNumbers
  enabled: boolean
  /** How long a value is fresh whose policy does not say, ms. */
  defaultFreshMs?: number
  log: Log
  now?: Now
}

interface Decoded {
  readonly entry: Entry
  readonly value: unknown
}

interface Load {
  readonly tags: readonly string[]
  revoked: boolean
}

export function createCache(options: CacheOptions): Cache {
  const { store, clears, enabled, defaultFreshMs = 5 * MINUTE, log, now = Date.now } = options
  const flights = createSingleFlight<Cached<unknown>>()
  const loads = new Map<string, Load>()
  // A value in memory is the same bytes each time, so it is decoded and checked once.
  const decoded = new WeakMap<Buffer, Decoded | 'corrupt'>()
  let hits = 0
  let misses = 0
  let sweeping: Promise<void> | undefined
  let sweepAgain: string | undefined
  let closed = false

  function decode(bytes: Buffer, key: string, parse: (json: unknown) => unknown): Decoded | undefined {
    const known = decoded.get(bytes)
    if (known) return known === 'corrupt' ? undefined : known
    const result = decodeOnce(bytes, parse)
    if (!result) log.warn({ key }, 'a cached value could not be read: it counts as a miss (кэш)')
    decoded.set(bytes, result ?? 'corrupt')
    return result
  }

  function live(
    key: string,
    bytes: Buffer | undefined,
    parse: (json: unknown) => unknown,
  ): Decoded | undefined {
    const found = bytes && decode(bytes, key, parse)
    if (!found || found.entry.staleUntilMs <= now() || clears.isDead(key, found.entry)) return undefined
    return found
  }

  async function getOrLoad<T>(key: string, policy: CachePolicy<T>, load: () => Promise<T | undefined>) {
    if (!enabled) return fresh('bypass', await load(), policy)
    const found = live(key, store.peek(key) ?? (await store.get(key)), policy.parse)
    if (!found) {
      misses += 1
      log.debug({ key }, 'cache (кэш) empty: loading from the source')
      return (await renew(key, policy, load)) as Cached<T>
    }
    hits += 1
    const isFresh = found.entry.freshUntilMs > now()
    log.debug({ key, fresh: isFresh }, 'answered from the cache (кэш)')
    if (!isFresh) renew(key, policy, load).catch(() => {}) // logged where it failed; the old value is the answer
    return cached<T>(isFresh ? 'hit' : 'stale', found)
  }

  function renew<T>(key: string, policy: CachePolicy<T>, load: () => Promise<T | undefined>) {
    return flights.run(key, () => loadOnce(key, policy, load))
  }

  async function loadOnce<T>(key: string, policy: CachePolicy<T>, load: () => Promise<T | undefined>) {
    const lease: Lease = { key: keys.loadLock(key), holder: randomUUID() }
    const others = await waitForTurn(key, lease, policy)
    if (others) return cached<T>('miss', others)

    const running: Load = { tags: policy.tags ?? [], revoked: false }
    const generation = clears.top()
    loads.set(key, running)
    const renewal = setInterval(() => void store.lease(lease, LEASE_MS), LEASE_MS / 3).unref()
    try {
      const value = await limited(load(), key)
      const result = fresh('miss', value, policy)
      const head = headOf(result, policy, generation)
      if (!running.revoked && !clears.isDead(key, head)) {
        await store.set(key, encodeEntry(head, result.body), head.staleUntilMs - now(), lease)
      }
      await store.release(lease, 'done', 0)
      return result
    } catch (cause) {
      await store.release(lease, 'failed', FAILURE_REMEMBERED_MS)
      if (cause instanceof AppError) throw cause
      log.warn({ key, err: cause }, 'loading for the cache (кэш) failed')
      throw sourceFailed({ cause })
    } finally {
      clearInterval(renewal)
      if (loads.get(key) === running) loads.delete(key)
    }
  }

  /** Resolves with the value that another process loaded meanwhile, or with undefined when the load is ours. */
  async function waitForTurn<T>(
    key: string,
    lease: Lease,
    policy: CachePolicy<T>,
  ): Promise<Decoded | undefined> {
    const deadlineMs = performance.now() + LOAD_LIMIT_MS
    for (let waitMs = POLL_MS.first; ; waitMs = Math.min(POLL_MS.cap, waitMs * 2)) {
      const state = await store.lease(lease, LEASE_MS)
      if (state === 'failed') throw sourceFailed()
      const found = live(key, await store.get(key), policy.parse)
      if (found && found.entry.freshUntilMs > now()) {
        if (state === 'taken') await store.release(lease, 'done', 0)
        return found
      }
      if (state === 'taken' || performance.now() > deadlineMs) return undefined
      await pause(waitMs)
    }
  }

  function fresh<T>(outcome: CacheOutcome, value: T | undefined, policy: CachePolicy<T>): Cached<T> {
    const body = value === undefined ? Buffer.alloc(0) : Buffer.from(JSON.stringify(value))
    const freshMs = (value === undefined ? policy.absentMs : policy.freshMs) ?? defaultFreshMs
    const storedAtMs = now()
    const freshUntilMs = Math.round(storedAtMs + freshMs * (1 - JITTER * Math.random()))
    return { outcome, body, etag: etagOf(body), storedAtMs, freshUntilMs, value }
  }

  function revoke(key: string): void {
    const running = loads.get(key)
    if (running) running.revoked = true
    flights.forget(key)
  }

  function isDead(key: string, head: Buffer): boolean {
    const found = decodeHead(head)
    return found !== undefined && clears.isDead(key, found)
  }

  // One sweep at a time: what is asked for meanwhile is done by one more over everything.
  function sweep(prefix: string): void {
    if (sweeping) {
      sweepAgain = sweepAgain === undefined || sweepAgain === prefix ? prefix : ''
      return
    }
    sweeping = sweepOnce(prefix).finally(() => {
      sweeping = undefined
      const next = sweepAgain
      sweepAgain = undefined
      if (next !== undefined && !closed) sweep(next)
    })
  }

  async function sweepOnce(prefix: string): Promise<void> {
    try {
      const deleted = await store.sweep(prefix, isDead)
      log.debug({ deleted }, 'the space of cleared cache (кэш) entries is free again')
    } catch (error) {
      log.error({ err: error }, 'sweeping the cache (кэш) failed')
    }
  }

  return {
    getOrLoad,
    async invalidate(names) {
      for (const key of names) revoke(key)
      await store.delete(names)
    },
    async clear(scope) {
      await clears.raise(scope)
      // Loads under way are dead now; their leases are broken, so that the next reader need not wait for them.
      const dead = [...loads].filter(([key, { tags }]) =>
        clears.isDead(key, { generation: clears.top() - 1, tags }),
      )
      for (const [key] of dead) revoke(key)
      if (dead.length > 0) await store.delete(dead.map(([key]) => key))
      const prefix = typeof scope === 'object' && 'prefix' in scope ? scope.prefix : ''
      const known = store.sweepNow(prefix, isDead)
      sweep(prefix)
      return known
    },
    counts: () => ({ hits, misses }),
    async close() {
      closed = true
      await sweeping
    },
  }
}

function decodeOnce(bytes: Buffer, parse: (json: unknown) => unknown): Decoded | undefined {
  const entry = decodeEntry(bytes)
  if (!entry) return undefined
  if (entry.absent) return { entry, value: undefined }
  try {
    return { entry, value: parse(JSON.parse(entry.body.toString())) }
  } catch {
    return undefined // whatever a schema or the parser throws: these bytes are of no use
  }
}

function cached<T>(outcome: CacheOutcome, { entry, value }: Decoded): Cached<T> {
  const { body, etag, storedAtMs, freshUntilMs } = entry
  return { outcome, body, etag, storedAtMs, freshUntilMs, value: value as T | undefined }
}

function headOf<T>(result: Cached<T>, { staleMs, tags = [] }: CachePolicy<T>, generation: number): EntryHead {
  const { storedAtMs, freshUntilMs, etag, value } = result
  const absent = value === undefined
  return {
    generation,
    storedAtMs,
    freshUntilMs,
    staleUntilMs: freshUntilMs + (absent ? 0 : staleMs),
    etag,
    tags,
    absent,
  }
}

async function limited<T>(load: Promise<T>, key: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    const give = () => reject(new Error(`loading ${key} took longer than ${LOAD_LIMIT_MS / SECOND} s`))
    timer = setTimeout(give, LOAD_LIMIT_MS).unref()
  })
  try {
    return await Promise.race([load, late])
  } finally {
    clearTimeout(timer)
  }
}
