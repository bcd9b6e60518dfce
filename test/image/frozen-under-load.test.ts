// What the whole is for, in figures: both servers frozen under load, and nobody who asks can tell.
// GET /api/countries is the cache's half. The state's is a webhook that is delivered again and again: each delivery
// counts under a limit, which is a script in redis-state each time, and is answered as the first one was.
// The figures are held against two controls that are asked in the same way at the same moment: a route of the app that
// needs no Redis, and a bare server in a container beside it.
import { execFile } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { bootBare } from '../helpers/bare-container.ts'
import { bootReady, type Container, removeAll, until } from '../helpers/image.ts'
import { bothAway, outages, recovered, signalBoth } from '../helpers/image-state.ts'

const ADMIN_TOKEN = 'a-token-for-the-admin-of-this-test'
const WEBHOOK_TOKEN = 'the-token-of-a-webhook'
/** So long a request waits for Redis in all. */
const BUDGET_MS = 100

afterAll(removeAll)

interface Result {
  latency: { max: number }
  '2xx': number
  non2xx: number
  errors: number
  timeouts: number
}

// One process for all, so that its own waits are in the figures of each. A signal ends it.
const GENERATOR = `
  const runs = JSON.parse(process.argv[1]).map((options) => require('autocannon')(options))
  process.on('SIGINT', () => runs.forEach((run) => run.stop()))
  Promise.all(runs).then((results) => console.log(JSON.stringify(results)))`

/** Asks each so many times a second until it is ended. */
function load(...targets: object[]) {
  const all = targets.map((target) => ({ connections: 10, duration: 60, ...target }))
  const running = promisify(execFile)(process.execPath, ['-e', GENERATOR, JSON.stringify(all)])
  const results = running.then(({ stdout }) => JSON.parse(stdout) as Result[])
  return () => {
    running.child.kill('SIGINT')
    return results
  }
}

const read = (target: Container, perSecond: number) => ({
  url: `${target.origin()}/api/countries`,
  overallRate: perSecond,
})

/** One address may do so 600 times a minute. */
const deliver = (target: Container, address: string, perSecond: number) => ({
  url: `${target.origin()}/api/webhooks/bot`,
  method: 'POST',
  body: '{"update_id":1}',
  headers: {
    'content-type': 'application/json',
    'x-telegram-bot-api-secret-token': WEBHOOK_TOKEN,
    'x-forwarded-for': address,
  },
  overallRate: perSecond,
  maxOverallRequests: 600,
})

test('both frozen under load: no request fails or waits long, stats tell within 3 s, and of the return within 10 s', async () => {
  const samovar = await bootReady({ env: { ADMIN_TOKEN, WEBHOOK_SECRETS: `bot:telegram=${WEBHOOK_TOKEN}` } })
  const bare = await bootBare()
  await bare.firstAnswerMs('/')
  // Once before, so that what is measured is not the first run of each function.
  const endWarmUp = load(read(samovar, 200), deliver(samovar, '198.51.100.1', 200))
  await until('each was asked', async () => (await samovar.stats()).hits > 300)
  await endWarmUp()

  const { hits } = await samovar.stats()
  const endLoad = load(
    read(samovar, 100),
    deliver(samovar, '198.51.100.2', 20),
    { ...read(samovar, 100), url: `${samovar.origin()}/livez` },
    read(bare, 100),
    deliver(bare, '198.51.100.2', 20),
  )
  await until('the load is on', async () => (await samovar.stats()).hits > hits + 100)

  const stoppedAtMs = Date.now()
  await signalBoth(samovar, 'STOP')
  await samovar.status('memory', 3000)
  await bothAway(samovar)
  await sleep(4000)
  expect((await samovar.stats()).status).toBe('memory')
  await signalBoth(samovar, 'CONT') // before the guard would kill them
  await recovered(samovar, 10_000)
  const recoveredAtMs = Date.now()
  await sleep(500)

  const results = await endLoad()
  const [reads, deliveries, live, bareReads, bareDeliveries] = results as [
    Result,
    Result,
    Result,
    Result,
    Result,
  ]
  for (const { non2xx, errors, timeouts } of results)
    expect({ non2xx, errors, timeouts }).toEqual({ non2xx: 0, errors: 0, timeouts: 0 })
  expect(reads['2xx']).toBeGreaterThan(bareReads['2xx'] / 2)
  expect(deliveries['2xx']).toBeGreaterThan(bareDeliveries['2xx'] / 2)
  const longestMs = (...some: Result[]) => Math.max(...some.map(({ latency }) => latency.max))
  // Who waits for the app's turn waits in each route; who waits for Redis, for its budget.
  const longest = longestMs(reads, deliveries)
  expect(longest).toBeLessThan(2 * longestMs(live) + 3 * BUDGET_MS)
  // Ours has more to do in its turns than the bare server has.
  expect(longest).toBeLessThan(4 * longestMs(bareReads, bareDeliveries) + 4 * BUDGET_MS)

  expect((await samovar.get('/api/outages')).status).toBe(401)
  const reports = await outages(samovar)
  expect(reports.map(({ role }) => role).sort()).toEqual(['cache', 'state'])
  for (const { cause, startedAt, endedAt, durationMs, servedCalls, conflicts } of reports) {
    expect(cause).toMatch(/^silent: /)
    expect(Date.parse(startedAt)).toBeGreaterThanOrEqual(stoppedAtMs)
    expect(Date.parse(endedAt)).toBeLessThanOrEqual(recoveredAtMs)
    expect(durationMs).toBeGreaterThan(3500)
    expect(servedCalls).toBeGreaterThan(20)
    expect(conflicts).toEqual([])
  }
})
