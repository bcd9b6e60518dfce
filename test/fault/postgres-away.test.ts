// PostgreSQL stopped, hung and restarted under load: nobody who reads countries is refused, and webhooks lose nothing.
import { setTimeout as pause } from 'node:timers/promises'
import { startApp, type TestApp } from '../helpers/app.ts'
import { createCountries, renameGermany } from '../helpers/countries-tables.ts'
import { eventually, HUNG_MS } from '../helpers/eventually.ts'
import { keepAliveSeconds } from '../helpers/keep-alive.ts'
import { startLoopClock } from '../helpers/loop-clock.ts'
import { startPostgres, type TestPostgres } from '../helpers/postgres-server.ts'
import { startRedis, type TestRedis } from '../helpers/redis-server.ts'
import { SECRET, signedRequest } from '../helpers/webhook-app.ts'

const ADMIN_TOKEN = 'the-admin-token'
const headers = { authorization: `Bearer ${ADMIN_TOKEN}` }

let postgres: TestPostgres
let redis: TestRedis
let database: string
let app: TestApp
let load: ReturnType<typeof startLoad> | undefined
beforeAll(async () => {
  postgres = await startPostgres()
  redis = await startRedis()
})
afterAll(async () => {
  await redis.stop()
  await postgres.close()
})
beforeEach(async () => {
  database = await createCountries(postgres)
  app = await startApp({
    REDIS_URL: redis.url,
    ADMIN_TOKEN,
    DATABASE_URL: postgres.url(database),
    WEBHOOK_SECRETS: `payments=${SECRET}`,
    CACHE_TTL_HOURS: '0.0001', // 360 ms: the database is asked all the time
  })
  await app.untilStatus('redis')
})
afterEach(async () => {
  postgres.thaw()
  await load?.end()
  load = undefined
  await app.close()
  await postgres.start()
})

interface Answer {
  readonly status: number
  /** Which question it answers; and by the control clock. */
  readonly number: number
  readonly tookMs: number
  readonly stale: boolean
  readonly name: string | undefined
}

/** 50 requests a second, whether or not the last one is answered: a list, a search, one country. */
function startLoad() {
  const answers: Answer[] = []
  const underWay = new Set<Promise<void>>()
  const paths = ['/api/countries', '/api/countries?q=germ', '/api/countries/de']
  async function ask(number: number): Promise<void> {
    const askedAtMs = loop.elapsedMs()
    const response = await app.get(paths[number % paths.length] as string)
    const { stale, name } = (await response.json()) as { stale: boolean; name?: string }
    answers.push({ status: response.status, number, tookMs: loop.elapsedMs() - askedAtMs, stale, name })
  }
  // The app runs on this thread.
  const loop = startLoopClock()
  let asked = 0
  const timer = setInterval(() => {
    const asking = ask(asked++).finally(() => underWay.delete(asking))
    underWay.add(asking)
  }, 20)
  return {
    answers,
    /** The answers to the next so many questions, all of which were asked from now on. */
    async next(count: number): Promise<Answer[]> {
      const from = asked
      const among = () => answers.filter(({ number }) => number >= from && number < from + count)
      await eventually(() => expect(among()).toHaveLength(count))
      return among()
    },
    async end() {
      clearInterval(timer)
      await Promise.all(underWay)
      loop.stop()
    },
  }
}

const clear = () => app.get('/api/cache/clear', { method: 'POST', headers })

test('stopped, hung, restarted, with the cache cleared meanwhile: no 5xx, marked stale, fresh afterwards', async () => {
  load = startLoad()
  const { answers, next } = load
  await next(50)

  await postgres.stop()
  await pause(1_000) // longer than anything is fresh
  expect((await next(50)).every(({ stale }) => stale)).toBe(true)
  await clear()
  expect((await next(50)).some(({ stale }) => stale)).toBe(true)
  await postgres.start()
  await renameGermany(postgres, database, 'After the stop')
  await eventually(() => expect(answers.at(-1)).toMatchObject({ stale: false }))
  await eventually(() => expect(answers.slice(-10).map(({ name }) => name)).toContain('After the stop'))

  postgres.freeze()
  await pause(1_500)
  await clear()
  expect((await next(200)).some(({ stale }) => stale)).toBe(true)
  postgres.thaw()
  await renameGermany(postgres, database, 'After the hang')
  await eventually(() => expect(answers.slice(-10).map(({ name }) => name)).toContain('After the hang'))
  await load.end()

  expect(answers.filter(({ status }) => status !== 200)).toEqual([])
  // One second for who asks first, and five and more that the database may take.
  expect(Math.max(...answers.map(({ tookMs }) => tookMs))).toBeLessThan(2_500)
})

test('a webhook is done in PostgreSQL, refused while it is away, and done when it comes again', async () => {
  const send = (id: string) =>
    app.get('/api/webhooks/payments', signedRequest(id, '{"text":"\\u0000 and \u0000"}', Date.now()))
  const first = await send('msg_1')
  expect([first.status, first.headers.get('idempotent-replayed')]).toEqual([204, null])
  expect((await send('msg_1')).headers.get('idempotent-replayed')).toBe('true')
  expect(await postgres.query(database, 'SELECT source, id FROM webhook_done')).toEqual([
    { source: 'payments', id: 'msg_1' },
  ])
  await eventually(() => {
    const seconds = keepAliveSeconds(postgres.port)
    expect(seconds.length).toBeGreaterThanOrEqual(1)
    for (const left of seconds) expect(left).toBeLessThanOrEqual(60)
  })

  for (const [harm, heal] of [
    [postgres.stop, postgres.start],
    [postgres.freeze, postgres.thaw],
  ] as const) {
    const id = `msg_${harm.name}`
    await harm()
    const refused = await send(id)
    expect([refused.status, await refused.json()]).toEqual([
      503,
      expect.objectContaining({ code: 'records_unavailable' }),
    ])
    expect((await send('msg_1')).status).toBe(204) // Redis knows it
    await heal()
    await eventually(async () => expect((await send(id)).status).toBe(204), HUNG_MS, 200)
  }
  const response = await app.get('/api/webhooks/payments/deliveries', { headers })
  const { deliveries } = (await response.json()) as { deliveries: { id: string; body: string }[] }
  expect(deliveries).toHaveLength(3)
  expect(deliveries[0]?.body).toContain('and \ufffd')
})
