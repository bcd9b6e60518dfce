// What the whole is for, in figures: both servers frozen under load, and nobody who asks can tell.
// GET /api/countries is the cache's half. The state's is a webhook that is delivered again and again: each delivery counts
// under a limit, which is a script in redis-state each time, and is answered as the first one was.
import { execFile } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { bootReady, removeAll, type Samovar } from '../helpers/image.ts'
import { outages, recovered, signalBoth } from '../helpers/image-state.ts'

const ADMIN_TOKEN = 'a-token-for-the-admin-of-this-test'
const WEBHOOK_TOKEN = 'the-token-of-a-webhook'
const withToken = { authorization: `Bearer ${ADMIN_TOKEN}` }

afterAll(removeAll)

interface Load {
  latency: { max: number; p99: number }
  '2xx': number
  non2xx: number
  errors: number
  timeouts: number
}

/** Asks so many times a second, from a process of its own. */
async function load(samovar: Samovar, path: string, perSecond: number, seconds: number, ...more: string[]) {
  const rate = ['-c', '10', '-R', String(perSecond), '-d', String(seconds)]
  const args = ['node_modules/autocannon/autocannon.js', '--json', ...rate, ...more, samovar.origin() + path]
  return JSON.parse((await promisify(execFile)(process.execPath, args)).stdout) as Load
}

/** Delivers at most as often in a minute as one address may. */
function deliver(samovar: Samovar, address: string, perSecond: number, seconds: number) {
  expect(perSecond * seconds).toBeLessThan(600)
  const headers = {
    'content-type': 'application/json',
    'x-telegram-bot-api-secret-token': WEBHOOK_TOKEN,
    'x-forwarded-for': address,
  }
  const asOptions = Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}=${value}`])
  const post = ['-m', 'POST', '-b', '{"update_id":1}', ...asOptions]
  return load(samovar, '/api/webhooks/bot', perSecond, seconds, ...post)
}

test('both frozen under load: no request fails or takes 250 ms, stats tell within a second, and of the return within 10 s', async () => {
  const samovar = await bootReady({ env: { ADMIN_TOKEN, WEBHOOK_SECRETS: `bot:telegram=${WEBHOOK_TOKEN}` } })
  // Once slowly, so that what is measured is not the first run of each function.
  await load(samovar, '/api/countries', 200, 2)
  await deliver(samovar, '198.51.100.1', 200, 2)
  const SECONDS = 12
  const loads = Promise.all([
    load(samovar, '/api/countries', 100, SECONDS),
    deliver(samovar, '198.51.100.2', 40, SECONDS),
  ])
  await sleep(3000)

  await signalBoth(samovar, 'STOP')
  await samovar.status('memory', 1000)
  await sleep(4000)
  expect((await samovar.stats()).status).toBe('memory')
  await signalBoth(samovar, 'CONT') // before the guard would kill them
  await recovered(samovar, 10_000)

  for (const { latency, non2xx, errors, timeouts, '2xx': good } of await loads) {
    expect({ non2xx, errors, timeouts }).toEqual({ non2xx: 0, errors: 0, timeouts: 0 })
    expect(good).toBeGreaterThan(SECONDS * 30)
    expect(latency.max).toBeLessThan(250)
  }

  expect((await samovar.get('/api/outages')).status).toBe(401)
  const reports = await outages(samovar, withToken)
  expect(reports.map(({ role }) => role).sort()).toEqual(['cache', 'state'])
  for (const { cause, endedAt, durationMs, servedCalls, conflicts } of reports) {
    expect(cause).toMatch(/^silent: /)
    expect(Date.parse(endedAt)).toBeGreaterThan(0)
    expect(durationMs).toBeGreaterThan(3500)
    expect(durationMs).toBeLessThan(14_000)
    expect(servedCalls).toBeGreaterThan(100)
    expect(conflicts).toEqual([])
  }
})
