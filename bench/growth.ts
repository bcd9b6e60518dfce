// How costs grow with the number of cached values and of sessions: each size has servers, a data directory and an app
// of its own, started as the image starts it, over servers that have the keys already. Seconds of processor, of the
// app and of its Redis, as the kernel counts them.
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as pause } from 'node:timers/promises'
import { fillCache, fillSessions } from './many-keys.ts'
import { connectRaw, type RawClient } from './open-app-roles.ts'
import { cpuMs, type Processes, type RedisServer, residentBytes, type Script } from './processes.ts'
import { type Benchmark, formatCount, formatMs, type Report } from './report.ts'

const sizes = (name: string, usual: readonly number[]) =>
  process.env[name] === undefined ? usual : process.env[name].split(',').map(Number)
const KEYS = sizes('SAMOVAR_GROWTH_KEYS', [0, 1e3, 1e4, 1e5, 1e6])
const SESSIONS = sizes('SAMOVAR_GROWTH_SESSIONS', [0, 1e3, 1e4, 1e5])

const ADMIN_TOKEN = 'growth-growth-growth-growth-growth'
const authorization = `Bearer ${ADMIN_TOKEN}`
const STATS = 200 // calls: one alone is shorter than what the kernel counts
const LONGEST_MS = 600_000
const POLL_MS = 100
const KIB = 1024
/** All of 10⁵ sessions: on the smallest plan a copy of so many is partial, and would cost less. */
const ROOM = { heapMb: 1_024, env: { MEMORY_BUDGET_MB: '1024' } }

export const growth: Benchmark = {
  summary: 'start, full standby, clear and stats over 0 to 10⁶ cached values and 0 to 10⁵ sessions',
  async run(processes) {
    return [await keysReport(processes), await sessionsReport(processes)]
  },
}

interface World {
  readonly cache: RedisServer
  readonly state: RedisServer
  readonly cacheClient: RawClient
  readonly stateClient: RawClient
  readonly dataDir: string
}

async function inWorld<T>(processes: Processes, work: (world: World) => Promise<T>): Promise<T> {
  const [cache, state] = await Promise.all([
    processes.startRedis(),
    processes.startRedis('--appendonly', 'yes'),
  ])
  const [cacheClient, stateClient] = await Promise.all([connectRaw(cache.url), connectRaw(state.url)])
  try {
    return await work({ cache, state, cacheClient, stateClient, dataDir: processes.makeFolder() })
  } finally {
    for (const client of [cacheClient, stateClient]) client.destroy()
    for (const server of [cache, state]) server.kill()
  }
}

const startApp = (processes: Processes, { cache, state, dataDir }: World) =>
  processes.startScript(
    'src/main.ts',
    { REDIS_URL: cache.url, STATE_REDIS_URL: state.socketUrl, DATA_DIR: dataDir, ADMIN_TOKEN, ...ROOM.env },
    { heapMb: ROOM.heapMb },
  )

interface Stats {
  readonly status: string
  readonly fallback: { readonly standby: string }
}

async function stats({ port }: Script): Promise<Stats> {
  const response = await fetch(`http://127.0.0.1:${port}/api/cache/stats`, { headers: { authorization } })
  return (await response.json()) as Stats
}

async function until(what: string, isSo: () => Promise<boolean> | boolean): Promise<void> {
  const deadline = performance.now() + LONGEST_MS
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`not within ${LONGEST_MS} ms: ${what}`)
    await pause(POLL_MS)
  }
}

/** What both have used since, ms. */
function meter(app: Script, server: RedisServer) {
  const [appMs, serverMs] = [cpuMs(app.pid), cpuMs(server.pid)]
  return () => ({ appMs: cpuMs(app.pid) - appMs, serverMs: cpuMs(server.pid) - serverMs })
}

const both = ({ appMs, serverMs }: { appMs: number; serverMs: number }) =>
  `${formatMs(appMs)}, ${formatMs(serverMs)}`

async function keysReport(processes: Processes): Promise<Report> {
  const rows: string[][] = []
  for (const count of KEYS) rows.push(await inWorld(processes, (world) => keysRow(processes, world, count)))
  return {
    title: 'Cached values: CPU of the app, and of its Redis',
    columns: [
      'values',
      'start until Redis is asked',
      'one GET /api/cache/stats',
      'clear answered within',
      'clear, until the space is free',
    ],
    rows,
    note:
      'Of 558 bytes each, in Redis before the app starts. A clear counts until Redis has none of them left. Seconds ' +
      'are of this machine; how they grow is not.',
  }
}

async function keysRow(processes: Processes, world: World, count: number): Promise<string[]> {
  await fillCache(world.cacheClient, count)
  const serverBefore = cpuMs(world.cache.pid)
  const app = await startApp(processes, world)
  await until('Redis is asked', async () => (await stats(app)).status === 'redis')
  const start = { appMs: cpuMs(app.pid), serverMs: cpuMs(world.cache.pid) - serverBefore }

  const asked = meter(app, world.cache)
  for (let i = 0; i < STATS; i += 1) await stats(app)
  const statsMs = asked().appMs / STATS

  const cleared = meter(app, world.cache)
  const startedAt = performance.now()
  const response = await fetch(`http://127.0.0.1:${app.port}/api/cache/clear`, {
    method: 'POST',
    headers: { authorization, 'content-type': 'application/json' },
    body: '{}',
  })
  if (!response.ok) throw new Error(`the clear was answered with ${response.status}`)
  const answeredMs = performance.now() - startedAt
  // A few keys of the app's own may be there.
  await until('the space is free', async () => (await world.cacheClient.dbSize()) < Math.max(20, count / 1e3))
  const row = [formatCount(count), both(start), formatMs(statsMs), formatMs(answeredMs), both(cleared())]
  app.kill()
  return row
}

async function sessionsReport(processes: Processes): Promise<Report> {
  const rows: string[][] = []
  let baseBytes = Number.NaN // of an app without sessions, once that row has been measured
  for (const count of SESSIONS) {
    const found = await inWorld(processes, (world) => sessionsRow(processes, world, count))
    if (count === 0) baseBytes = found.residentBytes
    const perSession = count === 0 ? Number.NaN : (found.residentBytes - baseBytes) / count / KIB
    const ownMemory = Number.isFinite(perSession) ? `${perSession.toFixed(2)} KiB` : '–'
    rows.push([
      ...found.row,
      ownMemory,
      count === 0 ? '–' : `${(found.inRedisBytes / count / KIB).toFixed(2)} KiB`,
    ])
  }
  return {
    title: 'Sessions: CPU of the app, and of its Redis',
    columns: [
      'sessions',
      'start until the standby is full',
      'and until it is on disk',
      'start over a copy on disk, until the standby is full',
      'memory of the app a session (RSS)',
      'of Redis',
    ],
    rows,
    note:
      `Two keys each, in Redis before the app starts. The app has ${ROOM.heapMb} MB of heap, so that all fit. The ` +
      'first two columns are of one start, the second from its beginning as well. Memory is of one reading after the ' +
      'copy is on disk, above that of the row without sessions, whatever garbage is in it.',
  }
}

interface SessionsFound {
  readonly row: string[]
  readonly residentBytes: number
  readonly inRedisBytes: number
}

async function sessionsRow(processes: Processes, world: World, count: number): Promise<SessionsFound> {
  const { state, stateClient, dataDir } = world
  const emptyBytes = await usedBytes(stateClient)
  await fillSessions(stateClient, count)
  const inRedisBytes = (await usedBytes(stateClient)) - emptyBytes

  const serverBefore = cpuMs(state.pid)
  const since = (app: Script) => ({ appMs: cpuMs(app.pid), serverMs: cpuMs(state.pid) - serverBefore })
  const first = await startApp(processes, world)
  await until('the standby is full', async () => (await stats(first)).fallback.standby === 'full')
  const filled = since(first)
  await until('the copy is on disk', () => rowsOnDisk(dataDir) >= 2 * count)
  const saved = since(first)
  const taken = residentBytes(first.pid)
  first.kill()

  const serverAgain = cpuMs(state.pid)
  const second = await startApp(processes, world)
  await until('the standby is full again', async () => (await stats(second)).fallback.standby === 'full')
  const again = { appMs: cpuMs(second.pid), serverMs: cpuMs(state.pid) - serverAgain }
  second.kill()
  return {
    row: [formatCount(count), both(filled), both(saved), both(again)],
    residentBytes: taken,
    inRedisBytes,
  }
}

function rowsOnDisk(dataDir: string): number {
  const database = new DatabaseSync(join(dataDir, 'samovar.db'), { readOnly: true })
  try {
    return Number(database.prepare('SELECT count(*) AS found FROM copy').get()?.found)
  } finally {
    database.close()
  }
}

async function usedBytes(client: RawClient): Promise<number> {
  const info = String(await client.info('memory'))
  return Number(/^used_memory:(\d+)/m.exec(info)?.[1])
}
