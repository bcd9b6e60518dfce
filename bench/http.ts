// The real app, its answers in the cache, against the same bytes from bare node:http (the limit) and from a bare
// Express route (the peer): four processes, asked in turn by a fifth, round by round.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { Order, Outcome } from './load-generator.ts'
import { cpuMs, type Processes, type Script } from './processes.ts'
import { type Benchmark, formatCount, formatMs, type Report } from './report.ts'
import { formatRatio, median } from './statistics.ts'

const CONNECTIONS = 20
const ROUNDS = 9
const ROUND_S = 1
const WARM_UP_S = 2
const PATHS = ['/api/countries', '/api/countries/DE']

interface Contender {
  readonly name: string
  readonly script: Script
}

interface Measured {
  readonly requestsPerSecond: number
  readonly p99Ms: number
  readonly cpuMsPerRequest: number
  /** Share of one core that each of them used. */
  readonly serverBusy: number
  readonly generatorBusy: number
}

export const http: Benchmark = {
  summary: 'GET /api/countries from the cache against bare node:http and a bare Express route',
  async run(processes) {
    const [cacheServer, stateServer, generator] = await Promise.all([
      processes.startRedis(),
      processes.startRedis('--appendonly', 'yes'),
      processes.startScript('bench/load-generator.ts'),
    ])
    const samovar = await processes.startScript('src/main.ts', {
      REDIS_URL: cacheServer.url,
      STATE_REDIS_URL: stateServer.socketUrl,
      DATA_DIR: processes.makeFolder(),
    })
    await untilInRedis(samovar.port)
    const reports: Report[] = []
    for (const path of PATHS) reports.push(await compare({ processes, path, samovar, generator }))
    return reports
  },
}

interface Contest {
  processes: Processes
  path: string
  samovar: Script
  generator: Script
}

async function compare({ processes, path, samovar, generator }: Contest): Promise<Report> {
  await fetch(`http://127.0.0.1:${samovar.port}${path}`) // the one load
  const body = Buffer.from(await (await fetch(`http://127.0.0.1:${samovar.port}${path}`)).arrayBuffer())
  const file = join(processes.makeFolder(), 'body.json')
  writeFileSync(file, body)
  const env = { BODY_FILE: file, ROUTE: path }
  const contenders: Contender[] = [
    { name: 'Samovar', script: samovar },
    { name: 'node:http', script: await processes.startScript('bench/peers/bare-http.ts', env) },
    { name: 'Express 5', script: await processes.startScript('bench/peers/bare-express.ts', env) },
  ]
  for (const contender of contenders) await requireSame(contender, path, body)

  const rounds = contenders.map((): Measured[] => [])
  for (let round = -1; round < ROUNDS; round += 1) {
    for (const [i, contender] of contenders.entries()) {
      const durationS = round < 0 ? WARM_UP_S : ROUND_S
      const measured = await measure({ ...contender, generator, path, durationS })
      if (round >= 0) rounds[i]!.push(measured)
    }
  }
  return report(contenders, rounds, { path, bytes: body.byteLength })
}

interface Round extends Contender {
  readonly generator: Script
  readonly path: string
  readonly durationS: number
}

async function measure({ name, script, generator, path, durationS }: Round): Promise<Measured> {
  const order: Order = { url: `http://127.0.0.1:${script.port}${path}`, connections: CONNECTIONS, durationS }
  const startedAt = performance.now()
  const before = [cpuMs(script.pid), cpuMs(generator.pid)] as const
  const { requests, requestsPerSecond, p99Ms, failures } = await generator.ask<Outcome>(order)
  const after = [cpuMs(script.pid), cpuMs(generator.pid)] as const
  const tookMs = performance.now() - startedAt
  if (failures > 0) throw new Error(`${name} failed ${failures} of ${requests} requests`)
  return {
    requestsPerSecond,
    p99Ms,
    cpuMsPerRequest: (after[0] - before[0]) / requests,
    serverBusy: (after[0] - before[0]) / tookMs,
    generatorBusy: (after[1] - before[1]) / tookMs,
  }
}

function report(
  contenders: readonly Contender[],
  rounds: readonly Measured[][],
  { path, bytes }: { path: string; bytes: number },
): Report {
  const column = (i: number, name: keyof Measured) => rounds[i]!.map((measured) => measured[name])
  const [, limit, peer] = contenders.keys()
  return {
    title: `GET ${path}: ${bytes} bytes from the cache, ${CONNECTIONS} connections`,
    columns: [
      '',
      'requests/s',
      '÷ node:http (min–max)',
      '÷ Express 5 (min–max)',
      'p99',
      'p99 ÷ Express 5',
      'server CPU a request',
      'busy: server, generator',
    ],
    rows: contenders.map(({ name }, i) => [
      name,
      formatCount(median(column(i, 'requestsPerSecond'))),
      formatRatio(column(i, 'requestsPerSecond'), column(limit!, 'requestsPerSecond')),
      formatRatio(column(i, 'requestsPerSecond'), column(peer!, 'requestsPerSecond')),
      formatMs(median(column(i, 'p99Ms'))),
      formatRatio(column(i, 'p99Ms'), column(peer!, 'p99Ms')),
      formatMs(median(column(i, 'cpuMsPerRequest'))),
      `${percent(column(i, 'serverBusy'))}, ${percent(column(i, 'generatorBusy'))}`,
    ]),
    note:
      `${ROUNDS} rounds of ${ROUND_S} s, the servers in turn; medians of the rounds. The ratios hold on other ` +
      'machines. Where the load generator is busy for its whole core and the server is not, the generator was the ' +
      'limit: requests/s then tell the servers apart less than they differ, and the CPU a request is the figure to ' +
      'compare.',
  }
}

const percent = (shares: readonly number[]) => `${Math.round(median(shares) * 100)} %`

/** Throws unless the contender sends exactly these bytes, as JSON; Samovar from its cache. */
async function requireSame({ name, script }: Contender, path: string, body: Buffer): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${script.port}${path}`)
  const type = response.headers.get('content-type')
  const isSame = body.equals(Buffer.from(await response.arrayBuffer()))
  if (response.status !== 200 || type !== 'application/json; charset=utf-8' || !isSame) {
    throw new Error(`${name} does not send the same: ${response.status}, ${type}, same bytes: ${isSame}`)
  }
  const cacheStatus = response.headers.get('cache-status')
  if (cacheStatus && !cacheStatus.startsWith('samovar; hit')) throw new Error(`not a hit: ${cacheStatus}`)
}

async function untilInRedis(port: number): Promise<void> {
  for (let tries = 0; ; tries += 1) {
    const response = await fetch(`http://127.0.0.1:${port}/readyz`)
    const { redis } = (await response.json()) as { redis: string }
    if (redis === 'redis') return
    if (tries === 500) throw new Error(`the app did not take up its Redis: status ${redis}`)
    await pause(20)
  }
}
