// Reference data through the cache: countries from a SQL database, under keys that an operator can look up. Every
// request is answered within PATIENCE_MS: from the cache, the database, or the last good copy of it.

import { z } from 'zod'
import type { Cache } from '../../core/cache/cache.ts'
import type { Cached, CachePolicy } from '../../core/cache/cached.ts'
import { Refusal, sourceFailed } from '../../core/errors.ts'
import { refreshFailed } from '../../errors.ts'
import { startDeadline } from '../../lib/async/deadlines.ts'
import { etagOf } from '../../lib/etag.ts'
import { DAY, type Now } from '../../lib/time.ts'
import { findCountry, listCountries } from './countries-table.ts'
import { countrySchema, type Language, languages } from './country.ts'
import { type CountryTable, PATIENCE_MS, RETRY_MS, type ReferenceTable } from './reference-table.ts'

const origin = {
  /** The database could not be read when this was due: it is what was last known. */
  stale: z.boolean(),
  /** When the database had it (ISO 8601); null: it came with the image. */
  asOf: z.string().nullable(),
  source: z.enum(['sqlite', 'postgres', 'supabase', 'image']),
}
const answerSchema = countrySchema.extend(origin)
const listSchema = z.object({
  language: z.string(),
  total: z.number(),
  ...origin,
  countries: z.array(countrySchema),
})
export type CountryAnswer = z.infer<typeof answerSchema>
export type CountryList = z.infer<typeof listSchema>

const HURRY_MS = 200
const PREFIX = 'countries:'
const listKey = (language: Language) => `${PREFIX}list:${language}`
const codeKey = (code: string, language: Language) => `${PREFIX}code:${code}:${language}`

export interface Refreshed {
  readonly refreshed: number
  /** Rows that are no countries, where there are any. */
  readonly skipped?: number
  readonly source: CountryTable['source']
}

export interface Reference {
  list(language: Language): Promise<Cached<CountryList>>
  /** What memory has and may be sent now. */
  peekList(language: Language): Cached<CountryList> | undefined
  peek(code: string, language: Language): Cached<CountryAnswer> | undefined
  /** `value` is undefined when no country has that code. */
  find(code: string, language: Language): Promise<Cached<CountryAnswer>>
  /** Reads the database now, for all processes. Rejects with `source_failed`, and then nothing has changed. */
  refresh(): Promise<Refreshed>
}

export interface ReferenceParts {
  cache: Pick<Cache, 'getOrLoad' | 'peek' | 'clear'>
  table: ReferenceTable
  freshMs: number
  now?: Now
}

type Answer = CountryList | CountryAnswer

export function createReference({ cache, table, freshMs, now = Date.now }: ReferenceParts): Reference {
  const lasting = { freshMs, staleMs: 7 * DAY, tags: ['countries'] }
  const listPolicy = { ...lasting, parse: listSchema.parse }
  const codePolicy = { ...lasting, parse: answerSchema.parse }
  let hurryUntilMs = 0
  const marked = new WeakMap<Answer, Cached<Answer>>()
  const ofCopy = new WeakMap<CountryTable, Map<string, Cached<Answer>>>()

  async function answer<T extends Answer>(
    key: string,
    policy: CachePolicy<T>,
    from: (table: CountryTable) => T | undefined,
  ): Promise<Cached<T>> {
    const load = async () => from(await table.readIfWell())
    try {
      const cached = await patiently(cache.getOrLoad(key, policy, load))
      return cached.outcome === 'stale' ? markStale(cached) : cached
    } catch (error) {
      if (!isSourceFailure(error)) throw error
      return fromCopy(key, from)
    }
  }

  // A load continues, and is cached when it arrives late. Requests that come while it is late wait only as long as a
  // cached value may take: another process may be loading.
  async function patiently<T>(loading: Promise<T>): Promise<T> {
    loading.catch(() => {}) // where it fails after our answer
    let stopWaiting = () => {}
    const late = new Promise<never>((_, reject) => {
      const giveUp = () => {
        hurryUntilMs = now() + RETRY_MS
        reject(sourceFailed())
      }
      stopWaiting = startDeadline(now() < hurryUntilMs ? HURRY_MS : PATIENCE_MS, giveUp)
    })
    try {
      return await Promise.race([loading, late])
    } finally {
      stopWaiting()
    }
  }

  // A cached value says that it is not stale, as when it was stored; it is the same object each time, so do it once.
  function markStale<T extends Answer>(cached: Cached<T>): Cached<T> {
    if (!cached.value) return cached
    const before = marked.get(cached.value) as Cached<T> | undefined
    const made = before ?? { ...cached, ...bodyOf({ ...cached.value, stale: true }) }
    marked.set(cached.value, made)
    return made
  }

  function fromCopy<T extends Answer>(key: string, from: (table: CountryTable) => T | undefined): Cached<T> {
    const copy = table.lastGood()
    const made = ofCopy.get(copy) ?? new Map<string, Cached<Answer>>()
    ofCopy.set(copy, made)
    const before = made.get(key) as Cached<T> | undefined
    if (before) return before
    const value = from(copy)
    const { asOfMs } = copy
    const storedAtMs = asOfMs ?? now()
    const head = {
      outcome: 'stale',
      storedAtMs,
      freshUntilMs: Math.min(storedAtMs + freshMs, now()),
    } as const
    const fresh = { ...head, ...bodyOf(value && { ...value, stale: true }) }
    made.set(key, fresh)
    return fresh
  }

  return {
    peekList: (language) => cache.peek(listKey(language), listPolicy),
    peek: (code, language) => cache.peek(codeKey(code, language), codePolicy),
    list: (language) => answer(listKey(language), listPolicy, (from) => listOf(from, language)),
    find(code, language) {
      return answer(codeKey(code, language), codePolicy, (from) => {
        const country = findCountry(from.rows, code, language)
        return country && { ...country, ...originOf(from) }
      })
    },
    async refresh() {
      const read = await table.read().catch((cause) => {
        throw refreshFailed({ cause })
      })
      await cache.clear({ prefix: PREFIX })
      // The most frequent answers are cached again before the next request.
      const load = (language: Language) => async () => listOf(read, language)
      await Promise.all(
        languages.map((language) => cache.getOrLoad(listKey(language), listPolicy, load(language))),
      )
      const { rows, skipped, source: from } = read
      return { refreshed: rows.length, ...(skipped > 0 && { skipped }), source: from }
    },
  }
}

function listOf(table: CountryTable, language: Language): CountryList {
  const countries = listCountries(table.rows, language)
  return { language, total: countries.length, ...originOf(table), countries }
}

const originOf = ({ asOfMs, source }: CountryTable) => ({
  stale: false,
  asOf: asOfMs === null ? null : new Date(asOfMs).toISOString(),
  source,
})

function bodyOf<T>(value: T | undefined) {
  const body = value === undefined ? Buffer.alloc(0) : Buffer.from(JSON.stringify(value))
  return { value, body, etag: etagOf(body) }
}

/** Also that there is no room for one more load: the copy is as good then. */
const isSourceFailure = (error: unknown) =>
  error instanceof Refusal && (error.code === 'source_failed' || error.code === 'too_many_loads')
