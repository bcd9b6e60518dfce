// What the whole is for, in figures: both servers frozen under load, and nobody who asks can tell.
// The second route is GET /api/me of somebody logged in. What the session says comes from memory as a rule, also while
// Redis answers; whether it was revoked meanwhile is asked of redis-state on each call.
import { execFile } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { bootReady, removeAll, type Samovar } from '../helpers/image.ts'
import { outages, recovered, signalBoth } from '../helpers/image-state.ts'
import { signWidget, widgetFields } from '../helpers/telegram-signer.ts'
import { visit } from '../helpers/visitor.ts'

const ADMIN_TOKEN = 'a-token-for-the-admin-of-this-test'
const TELEGRAM_BOT_TOKEN = '123456789:the-token-of-a-bot-that-is-not'
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

/** The header of somebody who has logged in, as autocannon takes it. */
async function cookieOf(samovar: Samovar): Promise<string> {
  const visitor = visit(samovar)
  const fields = await signWidget(widgetFields(), TELEGRAM_BOT_TOKEN)
  expect((await visitor.post('/api/auth/telegram', fields)).status).toBe(200)
  return [...visitor.cookies].map(([name, value]) => `cookie=${name}=${value}`).join()
}

test('both frozen under load: no request fails or takes 250 ms, stats tell within a second, and of the return within 10 s', async () => {
  const samovar = await bootReady({ env: { ADMIN_TOKEN, TELEGRAM_BOT_TOKEN } })
  const cookie = await cookieOf(samovar)
  // Once slowly, so that what is measured is not the first run of each function.
  await load(samovar, '/api/countries', 200, 2)
  await load(samovar, '/api/me', 200, 2, '-H', cookie)
  const SECONDS = 12
  const loads = Promise.all([
    load(samovar, '/api/countries', 100, SECONDS),
    load(samovar, '/api/me', 40, SECONDS, '-H', cookie),
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
