// Bytes that are put and taken, in the cache role: for libraries that cache by themselves. A value may be gone at any
// time, and what was deleted or overwritten never comes back, also not when a Redis that was away returns.
import { DAY, type Now } from '../lib/time.ts'
import type { CacheStore } from './cache/cache.ts'
import { decodeEntry, encodeEntry } from './cache/cache-entry.ts'
import type { GenerationCounters } from './cache/generation-counters.ts'
import type { ClearScope } from './keys.ts'

const LONGEST_MS = 365 * DAY

/** Never rejects because Redis is away, and waits no longer than the budget of one command. */
export interface Values {
  get(key: string): Promise<Buffer | undefined>
  /** Kept for `ttlMs`, at most a year; a year unless said. */
  set(key: string, bytes: Buffer, ttlMs?: number): Promise<void>
  delete(keys: readonly string[]): Promise<void>
  /** Deletes everything whose key begins so. */
  clear(prefix: string): Promise<void>
  /** The keys that begin so. While Redis is away, those in the memory of this process. Reads all keys of the cache. */
  keys(prefix: string): Promise<string[]>
}

export interface ValuesOptions {
  store: CacheStore
  clears: Pick<GenerationCounters, 'top' | 'isDead'>
  clear: (scope: ClearScope) => Promise<unknown>
  /** Whether Redis is asked. */
  isRedis: () => boolean
  now?: Now
}

export function createValues({ store, clears, clear, isRedis, now = Date.now }: ValuesOptions): Values {
  function valueIn(key: string, bytes: Buffer | undefined): Buffer | undefined {
    const entry = bytes && decodeEntry(bytes)
    return entry && entry.staleUntilMs > now() && !clears.isDead(key, entry) ? entry.body : undefined
  }

  return {
    get: async (key) => valueIn(key, store.peek(key) ?? (await store.get(key))),
    async set(key, bytes, ttlMs = LONGEST_MS) {
      const [storedAtMs, keptMs] = [now(), Math.min(ttlMs, LONGEST_MS)]
      const untilMs = storedAtMs + keptMs
      const times = { storedAtMs, freshUntilMs: untilMs, staleUntilMs: untilMs }
      const head = { generation: clears.top(), ...times, etag: '""', tags: [], absent: false }
      // A Redis that is away, or too slow to take it, must not return with the value before it.
      await Promise.all([store.delete([key]), store.set(key, encodeEntry(head, bytes), keptMs)])
    },
    delete: (keys) => store.delete(keys),
    async clear(prefix) {
      await clear({ prefix })
    },
    async keys(prefix) {
      const found = new Set<string>()
      const note = (key: string, head: Buffer) => {
        if (key.startsWith(prefix) && valueIn(key, head)) found.add(key)
        return false
      }
      // Not while Redis is away: the store would sweep it later, in the place of a sweep that is needed.
      if (isRedis()) await store.sweep(prefix, note)
      else store.sweepNow(prefix, note)
      return [...found]
    },
  }
}
