// Requests of many commands on a Redis that answers each of them just in time: none waits longer than one budget in
// all, and what was answered without Redis is in it afterwards.
import { randomUUID } from 'node:crypto'
import { startApp, type TestApp } from '../helpers/app.ts'
import { timed } from '../helpers/control-clock.ts'
import { eventually } from '../helpers/eventually.ts'
import { BOT_TOKEN } from '../helpers/fake-telegram.ts'
import { startRedis, type TestRedis } from '../helpers/redis-server.ts'
import { startTcpProxy, type TcpProxy } from '../helpers/tcp-proxy.ts'
import { signWidget, widgetFields } from '../helpers/telegram-signer.ts'
import { type Visitor, visit } from '../helpers/visitor.ts'

const BUDGET_MS = 300 // so that a busy machine does not make the answers of the test too late
const MOST_MS = 2 * BUDGET_MS // more than on a Redis that is not slow; four answers, one after the other, cost more

let redis: TestRedis
let proxy: TcpProxy
let app: TestApp
const env = (url: string) => ({
  REDIS_URL: url,
  REDIS_BUDGET_MS: String(BUDGET_MS),
  TELEGRAM_BOT_TOKEN: BOT_TOKEN,
  SESSION_SECRET: 'a secret of thirty-two characters',
})

beforeEach(async () => {
  redis = await startRedis()
  proxy = await startTcpProxy(redis.port)
  app = await startApp(env(proxy.url))
  await app.untilStatus('redis')
})
afterEach(async () => {
  proxy.set({})
  await app.close()
  await proxy.close()
  await redis.stop()
})

/** How long a login takes, by the control clock. */
async function logIn(visitor: Visitor, id: string): Promise<number> {
  // The same fields would be a login that was overheard.
  const fields = await signWidget(widgetFields({ id, username: randomUUID() }), BOT_TOKEN)
  const { answer, tookMs } = await timed(() => visitor.post('/api/auth/telegram', fields))
  expect(answer.status).toBe(200)
  return tookMs
}

/** How long it takes to end the user's other sessions. */
async function endOthers(visitor: Visitor): Promise<number> {
  const { answer, tookMs } = await timed(() => visitor.delete('/api/sessions?others=true'))
  expect(answer.status).toBe(204)
  return tookMs
}

/** Who the visitor is to an app that knows nothing but what is in Redis. */
async function strangerSays(visitors: readonly Visitor[]): Promise<number[]> {
  const stranger = await startApp(env(redis.url))
  try {
    await stranger.untilStatus('redis')
    const asked = visitors.map(async ({ cookies }) => {
      const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
      return (await stranger.get('/api/me', { headers: { cookie } })).status
    })
    return await Promise.all(asked)
  } finally {
    await stranger.close()
  }
}

test.each([0.7, 0.85])('each answer takes %d of the budget', async (part) => {
  const latency = part * BUDGET_MS
  await logIn(visit(app), '1') // so that what is measured is not the first run of each function
  const longer = { logins: [] as number[], ends: [] as number[] }
  let asked = 0
  for (const id of ['2', '3', '4']) {
    const control = visit(app)
    const healthy = { login: await logIn(control, '1'), end: await endOthers(control) }
    proxy.set({ latency })
    const visitors = [visit(app), visit(app), visit(app)] as const
    for (const visitor of visitors) {
      const startedAtMs = performance.now()
      longer.logins.push((await logIn(visitor, id)) - healthy.login)
      if (performance.now() - startedAtMs >= latency) asked += 1
    }
    longer.ends.push((await endOthers(visitors[0])) - healthy.end)
    const merged = { status: 'redis', fallback: { pendingWrites: 0 } }
    await eventually(async () => expect(await app.stats()).toMatchObject(merged))
    expect(await strangerSays(visitors)).toEqual([200, 401, 401])
    proxy.set({})
  }
  expect(asked).toBeGreaterThan(longer.logins.length / 2) // Redis was
  expect(median(longer.logins)).toBeLessThan(MOST_MS)
  expect(median(longer.ends)).toBeLessThan(MOST_MS)
})

const median = (all: readonly number[]) => [...all].sort((a, b) => a - b)[Math.floor(all.length / 2)]
