// Between the bytes in the store and the values that callers get: decoded and checked once, judged each time.
import { corrupt, parseJson } from '../../lib/codec.ts'
import { etagOf } from '../../lib/etag.ts'
import type { Now } from '../../lib/time.ts'
import type { Log } from '../../log.ts'
import { decodeEntry, type Entry, type EntryHead } from './cache-entry.ts'
import type { Cached, CacheOutcome, CachePolicy } from './cached.ts'
import type { GenerationCounters } from './generation-counters.ts'

const JITTER = 0.1 // of the fresh time, so that what was loaded together does not expire together

interface Decoded {
  readonly entry: Entry
  readonly value: unknown
}

/** A value that was stored. */
export interface Found<T> extends Cached<T> {
  /** It is stale by a clear: a new one is waited for. */
  readonly isCleared: boolean
  /** By the clear alone: its own time has not ended. */
  readonly isEarly: boolean
}

export interface CacheValues {
  /** The value in these bytes, `hit` or `stale`; undefined when there is none that may be used. */
  read<T>(key: string, bytes: Buffer | undefined, policy: Pick<CachePolicy<T>, 'parse'>): Found<T> | undefined
  /** A value that has just been loaded. */
  make<T>(outcome: CacheOutcome, value: T | undefined, policy: CachePolicy<T>): Cached<T>
}

export interface CacheValuesOptions {
  clears: Pick<GenerationCounters, 'isDead' | 'isStale'>
  /** How long a value is fresh whose policy does not say, ms. */
  defaultFreshMs: number
  log: Log
  now: Now
}

export function createCacheValues({ clears, defaultFreshMs, log, now }: CacheValuesOptions): CacheValues {
  // A value in memory is the same bytes each time, so it is decoded and checked once.
  const known = new WeakMap<Buffer, Decoded | 'corrupt'>()

  function decode(key: string, bytes: Buffer, parse: (json: unknown) => unknown): Decoded | 'corrupt' {
    const before = known.get(bytes)
    if (before) return before
    const decoded = decodeOnce(bytes, parse) ?? 'corrupt'
    if (decoded === 'corrupt')
      log.warn({ key }, 'a cached value could not be read: it counts as a miss (кэш)')
    known.set(bytes, decoded)
    return decoded
  }

  return {
    read<T>(key: string, bytes: Buffer | undefined, { parse }: Pick<CachePolicy<T>, 'parse'>) {
      const decoded = bytes && decode(key, bytes, parse)
      if (!decoded || decoded === 'corrupt') return undefined
      const { entry, value } = decoded
      const nowMs = now()
      if (entry.staleUntilMs <= nowMs || clears.isDead(key, entry)) return undefined
      const { body, etag, storedAtMs, freshUntilMs } = entry
      const isCleared = clears.isStale(key, entry)
      // "There is none" is believed while it is fresh, and never for want of better.
      if (isCleared && entry.absent) return undefined
      const outcome = freshUntilMs > nowMs && !isCleared ? 'hit' : 'stale'
      const untilMs = isCleared ? Math.min(freshUntilMs, nowMs) : freshUntilMs
      return {
        outcome,
        isCleared,
        isEarly: isCleared && freshUntilMs > nowMs,
        body,
        etag,
        storedAtMs,
        freshUntilMs: untilMs,
        value: value as T | undefined,
      }
    },

    make(outcome, value, policy) {
      const body = value === undefined ? Buffer.alloc(0) : Buffer.from(JSON.stringify(value))
      const freshMs = (value === undefined ? policy.absentMs : freshOf(value, policy)) ?? defaultFreshMs
      const storedAtMs = now()
      const freshUntilMs = Math.round(storedAtMs + freshMs * (1 - JITTER * Math.random()))
      return { outcome, body, etag: etagOf(body), storedAtMs, freshUntilMs, value }
    },
  }
}

function freshOf<T>(value: T, { freshMs }: CachePolicy<T>): number | undefined {
  return typeof freshMs === 'function' ? freshMs(value) : freshMs
}

/** What is stored with a value; "there is none" is never used after its time. */
export function headOf<T>(
  cached: Cached<T>,
  { staleMs, tags = [] }: CachePolicy<T>,
  generation: number,
): EntryHead {
  const { storedAtMs, freshUntilMs, etag, value } = cached
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

function decodeOnce(bytes: Buffer, parse: (json: unknown) => unknown): Decoded | undefined {
  const entry = decodeEntry(bytes)
  if (!entry) return undefined
  if (entry.absent) return { entry, value: undefined }
  const json = parseJson(entry.body)
  if (json === corrupt) return undefined
  try {
    return { entry, value: parse(json) }
  } catch {
    return undefined // a schema refuses it: these bytes are of no use
  }
}
