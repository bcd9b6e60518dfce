// What the app's roles cost against raw node-redis on the same server and the same kind of connection: the price of
// deadlines, failover and the in-process tier while all is well.
import { encodeEntry } from '../src/core/cache/cache-entry.ts'
import { HOUR } from '../src/lib/time.ts'
import { connectRaw, openAppRoles, type RawClient, untilStatus } from './open-app-roles.ts'
import { type Benchmark, formatCount, type Report } from './report.ts'
import { callsPerSecond, formatRatio, median } from './statistics.ts'

const CALLERS = [1, 64]
const CALLS: Record<number, number> = { 1: 6_000, 64: 20_000 }
const WARM_UP_ROUNDS = 2
const ROUNDS = 11
const MEMORY_CALLS = 200_000
const BODY = Buffer.alloc(400, 'x')
const KEYS = Array.from({ length: 20_000 }, (_, i) => `bench:${i}`)

const entry = encodeEntry(
  {
    generation: 0,
    storedAtMs: Date.now(),
    freshUntilMs: Date.now() + HOUR,
    staleUntilMs: Date.now() + HOUR,
    etag: '"bench"',
    tags: [],
    absent: false,
  },
  BODY,
)

interface Contest {
  readonly name: string
  ours(key: string): Promise<unknown>
  raw(key: string): Promise<unknown>
  /** Before each round of ours. */
  prepare?(): Promise<void>
}

export const store: Benchmark = {
  summary: 'the roles as the app wires them against raw node-redis; hits in memory against a Map',
  async run(processes) {
    // The image's two servers, the append-only file of the state role included; and one like the cache's for the raw
    // client, whose writes the app would otherwise be told of while they are timed.
    const cacheServer = await processes.startRedis()
    const rawServer = await processes.startRedis()
    const stateServer = await processes.startRedis('--appendonly', 'yes')
    const urls = { cache: cacheServer.url, state: stateServer.socketUrl }
    const [app, rawCache, rawState, another] = await Promise.all([
      openAppRoles(urls),
      connectRaw(rawServer.url),
      connectRaw(urls.state),
      connectRaw(urls.cache),
    ])
    try {
      const { roles } = app
      await Promise.all(KEYS.map((key) => rawCache.set(key, entry)))
      await Promise.all(KEYS.map((key) => rawState.set(key, entry)))
      for (const key of KEYS) await app.state.write(`session:${key}`, entry, HOUR)
      const contests: Contest[] = [
        {
          name: 'state get',
          ours: (key) => app.state.read(`session:${key}`),
          raw: (key) => rawState.get(key),
        },
        {
          name: 'state set',
          ours: (key) => app.state.write(`session:${key}`, entry, HOUR),
          raw: (key) => rawState.set(key, entry, { PX: HOUR }),
        },
        {
          name: 'cache get, not in memory',
          ours: (key) => roles.cache.store.get(key),
          raw: (key) => rawCache.get(key),
          prepare: () => makeMemoryForget(another, app),
        },
        {
          name: 'cache set',
          ours: (key) => roles.cache.store.set(key, entry, HOUR),
          raw: (key) => rawCache.set(key, entry, { PX: HOUR }),
        },
      ]
      const rows: string[][] = []
      for (const callers of CALLERS)
        for (const contest of contests) rows.push(await compare(contest, callers))
      return [againstRaw(rows), await memoryHits(app, [cacheServer, stateServer])]
    } finally {
      for (const client of [rawCache, rawState, another]) client.destroy()
      await app.close()
    }
  },
}

type AppStores = Awaited<ReturnType<typeof openAppRoles>>

async function compare({ name, ours, raw, prepare }: Contest, callers: number): Promise<string[]> {
  const calls = CALLS[callers]!
  const rates = { ours: [] as number[], raw: [] as number[] }
  for (let round = -WARM_UP_ROUNDS; round < ROUNDS; round += 1) {
    await prepare?.()
    // Whoever is first in one round is second in the next.
    for (const side of round % 2 === 0 ? (['ours', 'raw'] as const) : (['raw', 'ours'] as const)) {
      const call = side === 'ours' ? ours : raw
      const rate = await callsPerSecond(callers, calls, (i) => call(KEYS[i % KEYS.length]!))
      if (round >= 0) rates[side].push(rate)
    }
  }
  return [
    name,
    String(callers),
    formatCount(median(rates.ours)),
    formatCount(median(rates.raw)),
    formatRatio(rates.ours, rates.raw),
  ]
}

/** Another client writes every key: client tracking makes the app's memory tier drop it. */
async function makeMemoryForget(another: RawClient, { roles }: AppStores): Promise<void> {
  await Promise.all(KEYS.map((key) => another.set(key, entry, { PX: HOUR })))
  await roles.cache.store.get('bench:absent') // its answer comes after the invalidations on the same connection
}

function againstRaw(rows: string[][]): Report {
  return {
    title: 'The roles against raw node-redis',
    columns: ['', 'callers', 'Samovar, calls/s', 'raw, calls/s', 'Samovar ÷ raw (min–max)'],
    rows,
    note:
      `Values of ${entry.byteLength} bytes; ${ROUNDS} rounds, the two sides in turn. The last column holds on other ` +
      'machines: the median of the ratios of the rounds, with the smallest and the largest. Raw is node-redis ' +
      'without its command timeout. A cache get that is not in memory also puts the value there. State over a unix ' +
      'socket to a server with an append-only file, cache over TCP, as in the image.',
  }
}

async function memoryHits(app: AppStores, servers: { kill(): void }[]): Promise<Report> {
  const { roles, cache } = app
  const map = new Map([['bench:hit', { value: entry, expiresAtMs: Date.now() + HOUR }]])
  const policy = { freshMs: HOUR, staleMs: 0, parse: (json: unknown) => json }
  const load = async () => ({ country: 'DE' })
  await cache.getOrLoad('bench:loaded', policy, load)
  await roles.cache.store.set('bench:hit', entry, HOUR)
  const whileUp = [
    { name: 'cache store, get', call: () => roles.cache.store.get('bench:hit') },
    { name: 'cache, getOrLoad', call: () => cache.getOrLoad('bench:loaded', policy, load) },
  ]
  const rows: string[][] = []
  for (const { name, call } of whileUp) rows.push([name, 'redis', ...(await againstMap(call, map))])

  for (const server of servers) server.kill()
  await untilStatus(app, 'memory')
  await app.state.write('session:hit', entry, HOUR)
  const inOutage = [...whileUp, { name: 'state store, get', call: () => app.state.read('session:hit') }]
  for (const { name, call } of inOutage) rows.push([name, 'memory', ...(await againstMap(call, map))])
  return {
    title: 'A hit in memory',
    columns: ['', 'status', 'calls/s', 'a Map behind an async function, calls/s', 'ratio (min–max)'],
    rows,
    note:
      'One caller, each call awaited. `memory` was measured after both servers had been killed. The ratio holds on ' +
      'other machines.',
  }
}

async function againstMap(
  call: () => Promise<unknown>,
  map: Map<string, { value: Buffer; expiresAtMs: number }>,
): Promise<string[]> {
  const fromMap = async (key: string) => {
    const kept = map.get(key)
    return kept && kept.expiresAtMs > Date.now() ? kept.value : undefined
  }
  const rates = { ours: [] as number[], map: [] as number[] }
  for (let round = -WARM_UP_ROUNDS; round < ROUNDS; round += 1) {
    const ours = await callsPerSecond(1, MEMORY_CALLS, call)
    const theirs = await callsPerSecond(1, MEMORY_CALLS, () => fromMap('bench:hit'))
    if (round < 0) continue
    rates.ours.push(ours)
    rates.map.push(theirs)
  }
  return [formatCount(median(rates.ours)), formatCount(median(rates.map)), formatRatio(rates.ours, rates.map)]
}
