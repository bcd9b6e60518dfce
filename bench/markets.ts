// What the cache saves of CoinGecko: a first read against a repeated one over HTTP, and the calls that 10,000 mixed
// requests make. CoinGecko is a server on this machine that takes its time, or none, which is the hardest case.
import { once } from 'node:events'
import { Agent, get, type IncomingMessage } from 'node:http'
import { coinIds } from '../test/helpers/coin-ids.ts'
import { type FakeCoinGecko, startFakeCoinGecko } from '../test/helpers/fake-coingecko.ts'
import { createRandom } from '../test/helpers/random.ts'
import type { Processes, Script } from './processes.ts'
import { type Benchmark, formatCount, formatMs, type Report } from './report.ts'
import { callsPerSecond, median, quantile } from './statistics.ts'

const ROUNDS = 7
const READS = 2_000
const WARM_UP_READS = 500
const DELAYS_MS = [300, 0]
const MIXED = 10_000
const CALLERS = 50
const PATHS = ['/api/coins/bitcoin', '/api/coins', '/api/coins/bitcoin/history?days=1']

export const markets: Benchmark = {
  summary:
    'a repeated read of a price against the first, and the calls to CoinGecko that 10,000 requests make',
  async run(processes) {
    const [generous, strict] = [await startFakeCoinGecko(), await startFakeCoinGecko()]
    Object.assign(strict, { delayMs: 300, perMinute: 10 })
    const agent = new Agent({ keepAlive: true })
    try {
      return [await compare(processes, generous, agent), await mix(processes, strict, agent)]
    } finally {
      agent.destroy()
      await generous.close()
      await strict.close()
    }
  },
}

async function startApp(processes: Processes, fake: FakeCoinGecko, callsPerMinute: number): Promise<Script> {
  const [cacheServer, stateServer] = await Promise.all([processes.startRedis(), processes.startRedis()])
  const app = await processes.startScript('src/main.ts', {
    REDIS_URL: cacheServer.url,
    STATE_REDIS_URL: stateServer.socketUrl,
    DATA_DIR: processes.makeFolder(),
    COINGECKO_CALLS_PER_MINUTE: String(callsPerMinute),
    ...fake.env,
  })
  for (;;) {
    const response = await fetch(`http://127.0.0.1:${app.port}/readyz`)
    if (((await response.json()) as { redis: string }).redis === 'redis') return app
  }
}

async function compare(processes: Processes, fake: FakeCoinGecko, agent: Agent): Promise<Report> {
  const rows: string[][] = []
  for (const delayMs of DELAYS_MS) {
    fake.delayMs = delayMs
    const firsts = PATHS.map((): number[] => [])
    const repeated = PATHS.map((): number[] => [])
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const [i, path] of PATHS.entries()) {
        // A new app for each: what one call brings would be there for the next.
        const app = await startApp(processes, fake, 1_000)
        await timed(agent, app, '/livez')
        firsts[i]!.push(await timed(agent, app, path))
        for (let read = 0; read < WARM_UP_READS; read += 1) await timed(agent, app, path)
        const tookMs: number[] = []
        for (let read = 0; read < READS; read += 1) tookMs.push(await timed(agent, app, path))
        repeated[i]!.push(quantile(tookMs, 0.5))
        processes.close()
      }
    }
    for (const [i, path] of PATHS.entries()) {
      const ratios = firsts[i]!.map((firstMs, round) => firstMs / repeated[i]![round]!)
      const [least, most] = [Math.min(...ratios), Math.max(...ratios)].map(formatCount)
      const range = `${formatCount(median(ratios))} (${least}–${most})`
      rows.push([
        `GET ${path}`,
        `${delayMs} ms`,
        formatMs(median(firsts[i]!)),
        formatMs(median(repeated[i]!)),
        range,
      ])
    }
  }
  return {
    title: 'A repeated read of a price against the first',
    columns: ['', 'CoinGecko takes', 'first', 'repeated, p50', 'first ÷ repeated (min–max)'],
    rows,
    note:
      `${ROUNDS} rounds, each with a new app and empty Redis servers; medians of the rounds, ${READS} repeated reads ` +
      'in each, one after another over one connection. The times are those of the caller, HTTP included.',
  }
}

async function mix(processes: Processes, fake: FakeCoinGecko, agent: Agent): Promise<Report> {
  const app = await startApp(processes, fake, 10)
  const random = createRandom(1)
  let answered = 0
  const perSecond = await callsPerSecond(CALLERS, MIXED, async () => {
    const vs = random.pick(['usd', 'rub', 'eur'])
    const path = `/api/coins/${random.pick(coinIds)}?vs=${vs}`
    const { statusCode } = await ask(agent, app, random.chance(0.8) ? path : `/api/coins?vs=${vs}`)
    if (statusCode === 200) answered += 1
  })
  const calls = fake.calls.length
  return {
    title: `${formatCount(MIXED)} mixed requests from cold, with a budget of 10 calls a minute`,
    columns: ['', 'requests/s', 'answered 200', 'calls to CoinGecko', 'requests a call'],
    rows: [
      [
        '250 coins, 3 currencies, 1 in 5 a list',
        formatCount(perSecond),
        `${((answered / MIXED) * 100).toFixed(2)} %`,
        String(calls),
        formatCount(MIXED / calls),
      ],
    ],
    note: `${CALLERS} callers; CoinGecko takes 300 ms and answers 429 from the eleventh call in a minute on.`,
  }
}

async function timed(agent: Agent, app: Script, path: string): Promise<number> {
  const startedAt = performance.now()
  const { statusCode } = await ask(agent, app, path)
  if (statusCode !== 200) throw new Error(`${path} answered ${statusCode}`)
  return performance.now() - startedAt
}

async function ask(agent: Agent, { port }: Script, path: string): Promise<IncomingMessage> {
  const [response] = (await once(get({ host: '127.0.0.1', port, path, agent }), 'response')) as [
    IncomingMessage,
  ]
  response.resume()
  await once(response, 'end')
  return response
}
