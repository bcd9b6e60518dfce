// Requests of many commands on a Redis that answers each of them just in time: none waits longer than one budget in all,
// and what was answered without Redis is in it afterwards.
import { randomUUID } from 'node:crypto'
import { startApp, type TestApp } from '../helpers/app.ts'
import { eventually } from '../helpers/eventually.ts'
import { BOT_TOKEN } from '../helpers/fake-telegram.ts'
import { startRedis, type TestRedis } from '../helpers/redis-server.ts'
import { startTcpProxy, type TcpProxy } from '../helpers/tcp-proxy.ts'
import { signWidget, widgetFields } from '../helpers/telegram-signer.ts'
import { type Visitor, visit } from '../helpers/visitor.ts'

const MOST_MS = 200 // a budget of 100, a sweep of 20, and the request itself

let redis: TestRedis
let proxy: TcpProxy
let app: TestApp
const env = (url: string) => ({
  REDIS_URL: url,
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

async function timed(request: Promise<Response>) {
  const startedAt = performance.now()
  const { status } = await request
  return { status, ms: performance.now() - startedAt }
}

async function logIn(visitor: Visitor, id: string) {
  // The same fields would be a login that was overheard.
  const fields = await signWidget(widgetFields({ id, username: randomUUID() }), BOT_TOKEN)
  return timed(visitor.post('/api/auth/telegram', fields))
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

test.each([70, 85])('each answer takes %i ms', async (latency) => {
  await logIn(visit(app), '1') // so that what is measured is not the first run of each function
  proxy.set({ latency })
  const took = { logins: [] as number[], ends: [] as number[] }
  for (const id of ['2', '3', '4']) {
    const visitors = [visit(app), visit(app), visit(app)] as const
    for (const visitor of visitors) {
      const { status, ms } = await logIn(visitor, id)
      expect(status).toBe(200)
      took.logins.push(ms)
    }
    const { status, ms } = await timed(visitors[0].delete('/api/sessions?others=true'))
    expect(status).toBe(204)
    took.ends.push(ms)
    const merged = { status: 'redis', fallback: { pendingWrites: 0 } }
    await eventually(async () => expect(await app.stats()).toMatchObject(merged), 15_000)
    expect(await strangerSays(visitors)).toEqual([200, 401, 401])
  }
  // The wall clock of a machine that stands still at times: not every single one.
  expect(median(took.logins)).toBeGreaterThan(latency) // Redis was asked
  expect(median(took.logins)).toBeLessThan(MOST_MS)
  expect(median(took.ends)).toBeLessThan(MOST_MS)
})

const median = (all: readonly number[]) => [...all].sort((a, b) => a - b)[Math.floor(all.length / 2)]
