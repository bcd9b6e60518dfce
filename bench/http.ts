// The real app, its answers in the cache, against the same bytes from bare node:http (the limit), from frameworks, and
// from Express over another cache or session store: all of them processes of their own, asked in turn by another one.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { ask, BOT_TOKEN, type Case, cases, logIn } from './http-cases.ts'
import type { Order, Outcome } from './load-generator.ts'
import { cpuMs, type Processes, type RedisServer, type Script } from './processes.ts'
import { type Benchmark, formatCount, formatMs, type Report } from './report.ts'
import { formatRatio, median } from './statistics.ts'

const CONNECTIONS = Number(process.env.SAMOVAR_HTTP_CONNECTIONS ?? 20)
const ROUNDS = Number(process.env.SAMOVAR_HTTP_ROUNDS ?? 9)
const ROUND_S = 1
const WARM_UP_S = Number(process.env.SAMOVAR_HTTP_WARM_UP_S ?? 2)

interface Contender {
  readonly name: string
  readonly script: Script
  readonly headers: Readonly<Record<string, string>>
  /** The servers that it asks. */
  readonly servers: readonly RedisServer[]
}

interface Measured {
  readonly requestsPerSecond: number
  readonly p99Ms: number
  readonly cpuMsPerRequest: number
  readonly redisMsPerRequest: number
  /** Share of one core that each of them used. */
  readonly serverBusy: number
  readonly generatorBusy: number
}

interface World {
  readonly processes: Processes
  readonly samovar: Script
  readonly servers: readonly RedisServer[]
  /** Of the peers. */
  readonly peers: RedisServer
  readonly generator: Script
}

export const http: Benchmark = {
  summary: 'cached answers, 304s and a logged-in route against node:http, Express, Fastify, Hono and others',
  async run(processes) {
    const [cacheServer, stateServer, peers, generator] = await Promise.all([
      processes.startRedis(),
      processes.startRedis('--appendonly', 'yes'),
      processes.startRedis('--appendonly', 'yes'),
      processes.startScript('bench/load-generator.ts'),
    ])
    const samovar = await processes.startScript('src/main.ts', {
      REDIS_URL: cacheServer.url,
      STATE_REDIS_URL: stateServer.socketUrl,
      DATA_DIR: processes.makeFolder(),
      TELEGRAM_BOT_TOKEN: BOT_TOKEN,
    })
    await untilInRedis(samovar.port)
    const world = { processes, samovar, servers: [cacheServer, stateServer], peers, generator }
    const reports: Report[] = []
    for (const one of cases) reports.push(await compare(world, one))
    return reports
  },
}

async function compare(world: World, one: Case): Promise<Report> {
  const { samovar, servers, peers, processes } = world
  const { path, headers = {} } = one
  for (let i = 0; i < 2; i += 1) await ask(samovar.port, path, headers) // the one load; and the one compression
  await pause(200)
  const sample = await ask(samovar.port, path, headers)
  const file = join(processes.makeFolder(), 'body')
  writeFileSync(file, sample.body)
  const env = {
    BODY_FILE: file,
    ROUTE: path,
    ETAG: String(sample.headers.etag ?? ''),
    ENCODING: String(sample.headers['content-encoding'] ?? ''),
    REDIS_URL: peers.url,
  }
  const contenders: Contender[] = [await contend({ name: 'Samovar', script: samovar, headers, servers }, one)]
  for (const { name, script } of one.peers) {
    const peer = { name, script: await processes.startScript(script, env), headers, servers: [peers] }
    contenders.push(await contend(peer, one))
  }
  for (const contender of contenders) await requireSame(contender, one, sample.body)

  const rounds = contenders.map((): Measured[] => [])
  for (let round = -1; round < ROUNDS; round += 1) {
    for (const [i, contender] of contenders.entries()) {
      const durationS = round < 0 ? WARM_UP_S : ROUND_S
      const measured = await measure(world.generator, contender, one, durationS)
      if (round >= 0) rounds[i]!.push(measured)
    }
  }
  for (const { script } of contenders.slice(1)) script.kill()
  const [{ headers: sent = headers } = {}] = contenders
  return report(one, contenders, rounds, (await ask(samovar.port, path, sent)).body.byteLength)
}

async function contend(contender: Contender, { path, isConditional, isLoggedIn }: Case): Promise<Contender> {
  const { script, headers, name } = contender
  if (isLoggedIn)
    return { ...contender, headers: { ...headers, cookie: await logIn(script, name === 'Samovar') } }
  if (!isConditional) return contender
  const { etag = '' } = (await ask(script.port, path, headers)).headers
  return { ...contender, headers: { ...headers, 'if-none-match': String(etag) } }
}

async function measure(
  generator: Script,
  { name, script, headers, servers }: Contender,
  { path, isConditional }: Case,
  durationS: number,
): Promise<Measured> {
  const url = `http://127.0.0.1:${script.port}${path}`
  const status = isConditional ? 304 : 200
  const order: Order = { url, connections: CONNECTIONS, durationS, headers, status }
  const startedAt = performance.now()
  const pids = [script.pid, generator.pid, ...servers.map(({ pid }) => pid)]
  const before = pids.map(cpuMs)
  const { requests, requestsPerSecond, p99Ms, failures } = await generator.ask<Outcome>(order)
  const [serverMs = 0, generatorMs = 0, ...redisMs] = pids.map((pid, i) => cpuMs(pid) - (before[i] ?? 0))
  const tookMs = performance.now() - startedAt
  if (failures > 0) throw new Error(`${name} failed ${failures} of ${requests} requests for ${path}`)
  return {
    requestsPerSecond,
    p99Ms,
    cpuMsPerRequest: serverMs / requests,
    redisMsPerRequest: redisMs.reduce((total, ms) => total + ms, 0) / requests,
    serverBusy: serverMs / tookMs,
    generatorBusy: generatorMs / tookMs,
  }
}

function report(
  { title, path, against }: Case,
  contenders: readonly Contender[],
  rounds: readonly Measured[][],
  bytes: number,
): Report {
  const column = (i: number, name: keyof Measured) => rounds[i]!.map((measured) => measured[name])
  const peers = against.map((name) => contenders.findIndex((contender) => contender.name === name))
  const rates = (i: number) => column(i, 'requestsPerSecond')
  const costs = (i: number) => column(i, 'cpuMsPerRequest')
  return {
    title: `GET ${path}, ${title}: ${bytes} bytes, ${CONNECTIONS} connections`,
    columns: [
      '',
      'requests/s',
      ...against.map((name) => `÷ ${name} (min–max)`),
      'p99',
      'server CPU a request',
      `${against[0]}'s CPU ÷ it (min–max)`,
      'of Redis',
      'busy: server, generator',
    ],
    rows: contenders.map(({ name }, i) => [
      name,
      formatCount(median(rates(i))),
      ...peers.map((peer) => formatRatio(rates(i), rates(peer))),
      formatMs(median(column(i, 'p99Ms'))),
      formatMs(median(costs(i))),
      formatRatio(costs(peers[0]!), costs(i)),
      formatMs(median(column(i, 'redisMsPerRequest'))),
      `${percent(column(i, 'serverBusy'))}, ${percent(column(i, 'generatorBusy'))}`,
    ]),
    note:
      `${ROUNDS} rounds of ${ROUND_S} s, the servers in turn; medians of the rounds. The ratios hold on other ` +
      'machines. Where the load generator is busy for its whole core and the server is not, the generator was the ' +
      'limit: requests/s then tell the servers apart less than they differ, and the CPU a request is the figure to ' +
      'compare. Samovar runs with the flags of the image, the peers with those of Node; a peer without a cache of its ' +
      'own sends bytes that it has had since its start.',
  }
}

const percent = (shares: readonly number[]) => `${Math.round(median(shares) * 100)} %`

/** Throws unless the contender sends exactly these bytes, as JSON, or 304; Samovar from its cache. */
async function requireSame({ name, script, headers }: Contender, one: Case, body: Buffer): Promise<void> {
  const found = await ask(script.port, one.path, headers)
  const { 'content-type': type, 'cache-status': cacheStatus } = found.headers
  const isSame = one.isLoggedIn
    ? JSON.parse(found.body.toString()).user.id === 'telegram:42'
    : body.equals(found.body)
  const isRight = one.isConditional
    ? found.status === 304
    : found.status === 200 && type === 'application/json; charset=utf-8' && isSame
  if (!isRight)
    throw new Error(`${name} does not send the same: ${found.status}, ${type}, same bytes: ${isSame}`)
  if (cacheStatus && !String(cacheStatus).startsWith('samovar; hit'))
    throw new Error(`not a hit: ${cacheStatus}`)
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
