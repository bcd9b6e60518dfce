// What the whole is for, in figures: both servers frozen under load, and nobody who asks can tell.
// The second route is POST /api/cache/clear with a token: no route reads state without a limit of its own yet, and this
// one raises a number in redis-state on each call.
import { execFile } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { bootReady, removeAll, type Samovar } from '../helpers/image.ts'
import { outages, recovered, signalBoth } from '../helpers/image-state.ts'

const ADMIN_TOKEN = 'a-token-for-the-admin-of-this-test'
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

test('both frozen under load: no request fails or takes 250 ms, stats tell within a second, and of the return within 10 s', async () => {
  const samovar = await bootReady({ env: { ADMIN_TOKEN } })
  // Once slowly, so that what is measured is not the first run of each function.
  await load(samovar, '/api/countries', 200, 2)
  const SECONDS = 12
  const loads = Promise.all([
    load(samovar, '/api/countries', 100, SECONDS),
    load(samovar, '/api/cache/clear', 40, SECONDS, '-m', 'POST', '-b', '{"prefix":"nothing"}', ...headers()),
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
}, 90_000)

function headers(): string[] {
  return ['-H', 'content-type=application/json', '-H', `authorization=${withToken.authorization}`]
}
