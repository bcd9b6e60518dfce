// What the whole is for, in figures: both servers frozen under load, and nobody who asks can tell.
// GET /api/countries is the cache's half. The state's is a webhook that is delivered again and again: each delivery counts
// under a limit, which is a script in redis-state each time, and is answered as the first one was.
// The figures are held against those of a bare server in a container beside it, asked in the same way at the same moment.
import { execFile } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { bootBare } from '../helpers/bare-container.ts'
import { bootReady, type Container, removeAll, until } from '../helpers/image.ts'
import { bothAway, outages, recovered, signalBoth } from '../helpers/image-state.ts'

const ADMIN_TOKEN = 'a-token-for-the-admin-of-this-test'
const WEBHOOK_TOKEN = 'the-token-of-a-webhook'
/** A call waits for Redis so long in all, and up to a quarter more until that is noticed. */
const BUDGET_MS = 100

afterAll(removeAll)

interface Result {
  latency: { max: number; p99: number }
  requests: { total: number }
  '2xx': number
  non2xx: number
  errors: number
  timeouts: number
}

// autocannon, ended by a signal instead of after a time; then it prints what it counted.
const GENERATOR = `
  const run = require('autocannon')(JSON.parse(process.argv[1]), (_, result) => console.log(JSON.stringify(result)))
  process.on('SIGINT', () => run.stop())`

/** Asks so many times a second, from a process of its own, until it is ended. */
function load(target: Container, path: string, perSecond: number, more: object = {}) {
  const options = { url: target.origin() + path, connections: 10, overallRate: perSecond, duration: 60, ...more }
  const running = promisify(execFile)(process.execPath, ['-e', GENERATOR, JSON.stringify(options)])
  const result = running.then(({ stdout }) => JSON.parse(stdout) as Result)
  return () => {
    running.child.kill('SIGINT')
    return result
  }
}

/** Delivers; one address may do so 600 times a minute. */
const deliver = (target: Container, address: string, perSecond: number) =>
  load(target, '/api/webhooks/bot', perSecond, {
    method: 'POST',
    body: '{"update_id":1}',
    headers: {
      'content-type': 'application/json',
      'x-telegram-bot-api-secret-token': WEBHOOK_TOKEN,
      'x-forwarded-for': address,
    },
    maxOverallRequests: 599,
  })

test('both frozen under load: no request fails or waits for more than a budget, stats tell soon, and of the return within 10 s', async () => {
  const samovar = await bootReady({ env: { ADMIN_TOKEN, WEBHOOK_SECRETS: `bot:telegram=${WEBHOOK_TOKEN}` } })
  const bare = await bootBare()
  await bare.firstAnswerMs('/')
  // Once before, so that what is measured is not the first run of each function.
  const warmUp = [load(samovar, '/api/countries', 200), deliver(samovar, '198.51.100.1', 200)]
  await until('each was asked', async () => (await samovar.stats()).hits > 300)
  await Promise.all(warmUp.map((end) => end()))

  const { hits } = await samovar.stats()
  const loads = [samovar, bare].map((target) => [
    load(target, '/api/countries', 100),
    deliver(target, '198.51.100.2', 20),
  ])
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

  const [ours = [], bares = []] = await Promise.all(
    loads.map((ends) => Promise.all(ends.map((end) => end()))),
  )
  const longestMs = (results: Result[]) => Math.max(...results.map(({ latency }) => latency.max))
  process.stdout.write(`${JSON.stringify([ours, bares].map((r) => r.map((x) => [x.latency.max, x.latency.p99, x['2xx']])))}\n`)
  ours.forEach(({ non2xx, errors, timeouts, '2xx': good }, index) => {
    expect({ non2xx, errors, timeouts }).toEqual({ non2xx: 0, errors: 0, timeouts: 0 })
    expect(good).toBeGreaterThan(bares[index]!['2xx'] / 2)
  })
  expect(longestMs(ours)).toBeLessThan(longestMs(bares) + 3 * BUDGET_MS)

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
