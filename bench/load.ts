// What the cache is for: a repeated load against a cold one, for a source that takes 2 s (as the pages of Samovar's
// first users did) and for a local database, which is the hardest case for a cache.
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { Cache } from '../src/core/cache/cache.ts'
import type { Cached, CacheOutcome } from '../src/core/cache/cached.ts'
import { createDataLock } from '../src/core/data-lock.ts'
import {
  COLUMNS,
  fillCountries,
  listCountries,
  parseCountries,
  TABLE,
} from '../src/features/reference/countries-table.ts'
import { createReference } from '../src/features/reference/reference.ts'
import { createReferenceTable } from '../src/features/reference/reference-table.ts'
import { HOUR } from '../src/lib/time.ts'
import { openSnapshot } from '../src/sql/snapshot.ts'
import type { TableSource } from '../src/sql/sql.ts'
import { connectRaw, openAppRoles, type RawClient, silent } from './open-app-roles.ts'
import { type Benchmark, formatCount, formatMs, type Report } from './report.ts'
import { callsPerSecond, median } from './statistics.ts'

const SLOW_SOURCE_MS = 2_000
const READS = 50
const BATCH = 1_000

interface Source {
  readonly name: string
  readonly key: string
  readonly coldRounds: number
  readonly warmUpRounds: number
  /** What loads it through this cache. */
  through(cache: Cache): () => Promise<Cached<unknown>>
}

type AppStores = Awaited<ReturnType<typeof openAppRoles>>

export const load: Benchmark = {
  summary:
    'a repeated load against a cold one: a source of 2 s, and SQLite; with Redis and from memory alone',
  async run(processes) {
    const cacheServer = await processes.startRedis()
    const stateServer = await processes.startRedis('--appendonly', 'yes')
    const database = openSnapshot({
      path: join(processes.makeFolder(), 'reference.db'),
      fill: fillCountries,
      dataLock: createDataLock(undefined),
      log: silent,
    })
    const withRedis = await openAppRoles({ cache: cacheServer.url, state: stateServer.socketUrl })
    const inMemory = await openAppRoles()
    const switchedOff = await openAppRoles(undefined, false)
    const raw = await connectRaw(cacheServer.url)
    try {
      const rows: string[][] = []
      for (const source of [slowSource(database), sqlite(database)]) {
        rows.push(...(await measure(source, { withRedis, inMemory, switchedOff, raw })))
      }
      return [report(rows)]
    } finally {
      raw.destroy()
      await switchedOff.close()
      await inMemory.close()
      await withRedis.close()
      database.close()
    }
  },
}

function slowSource(database: TableSource): Source {
  const policy = { freshMs: HOUR, staleMs: 0, parse: (json: unknown) => json }
  return {
    name: 'a source of 2 s',
    key: 'bench:slow',
    coldRounds: 3,
    warmUpRounds: 0, // of 2 s, what is saved by warm code is nothing
    through: (cache) => () =>
      cache.getOrLoad('bench:slow', policy, async () => {
        await pause(SLOW_SOURCE_MS)
        const { rows } = await database.read(TABLE, COLUMNS)
        return listCountries(parseCountries(rows).rows, 'en')
      }),
  }
}

function sqlite(database: TableSource): Source {
  return {
    name: 'SQLite, 252 countries',
    key: 'countries:list:en',
    coldRounds: 100,
    warmUpRounds: 100,
    through(cache) {
      const table = createReferenceTable({ source: database, copy: undefined, log: silent })
      const reference = createReference({ cache, table, freshMs: HOUR })
      return () => reference.list('en')
    },
  }
}

/** One row for each way to come by the value a second time. */
async function measure(
  source: Source,
  {
    withRedis,
    inMemory,
    switchedOff,
    raw,
  }: { withRedis: AppStores; inMemory: AppStores; switchedOff: AppStores; raw: RawClient },
): Promise<string[][]> {
  const tookMs = { uncached: [] as number[], withRedis: [] as number[], inMemory: [] as number[] }
  for (let round = -source.warmUpRounds; round < source.coldRounds; round += 1) {
    const uncached = await timeOf(source.through(switchedOff.cache))
    const cold = [await timeCold(source, withRedis.cache), await timeCold(source, inMemory.cache)] as const
    if (round < 0) continue
    tookMs.uncached.push(uncached)
    tookMs.withRedis.push(cold[0])
    tookMs.inMemory.push(cold[1])
  }
  const uncachedMs = median(tookMs.uncached)
  const coldMs = { withRedis: median(tookMs.withRedis), inMemory: median(tookMs.inMemory) }
  const row = (through: string, cold: number, repeated: number) => [
    source.name,
    through,
    formatMs(cold),
    formatMs(repeated),
    formatCount(cold / repeated),
    formatCount(uncachedMs / repeated),
  ]
  return [
    row('no cache', uncachedMs, uncachedMs),
    row(
      'Redis, value not in this process',
      coldMs.withRedis,
      await medianOf(READS, () => timeFromRedis(source, withRedis, raw)),
    ),
    row(
      'Redis, value in this process',
      coldMs.withRedis,
      await medianOf(READS, () => timeOfBatch(source, withRedis.cache)),
    ),
    row('memory alone', coldMs.inMemory, await medianOf(READS, () => timeOfBatch(source, inMemory.cache))),
  ]
}

async function timeCold(source: Source, cache: Cache): Promise<number> {
  await cache.invalidate([source.key])
  return await timeOf(source.through(cache), 'miss')
}

/** As the first read of a process that has just started: another client's write makes this one forget its copy. */
async function timeFromRedis(source: Source, { roles, cache }: AppStores, raw: RawClient): Promise<number> {
  const bytes = await raw.get(source.key)
  if (!bytes) throw new Error(`${source.key} is not in Redis`)
  await raw.set(source.key, bytes, { expiration: 'KEEPTTL' })
  while (roles.cache.store.peek(source.key)) await pause(1)
  return await timeOf(source.through(cache), 'hit')
}

async function timeOf(read: () => Promise<Cached<unknown>>, expected?: CacheOutcome): Promise<number> {
  const startedAt = performance.now()
  const { outcome } = await read()
  const tookMs = performance.now() - startedAt
  if (expected && outcome !== expected) throw new Error(`expected a ${expected}, and it was a ${outcome}`)
  return tookMs
}

async function timeOfBatch(source: Source, cache: Cache): Promise<number> {
  return 1_000 / (await callsPerSecond(1, BATCH, source.through(cache)))
}

async function medianOf(rounds: number, measureOnce: () => Promise<number>): Promise<number> {
  const figures: number[] = []
  for (let round = 0; round < rounds; round += 1) figures.push(await measureOnce())
  return median(figures)
}

function report(rows: string[][]): Report {
  return {
    title: 'A repeated load against a cold one',
    columns: ['source', 'through', 'cold', 'repeated', 'cold ÷ repeated', 'no cache ÷ repeated'],
    rows,
    note:
      'Medians. Both sources give the same 252 countries. `cold` includes the lock that keeps others from loading as ' +
      'well, and the write. The ratios to SQLite hold on other machines; those to a source of 2 s follow the speed ' +
      'of this one.',
  }
}
