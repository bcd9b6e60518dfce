// Prices over real HTTP, with a real Redis and a CoinGecko of the tests' own that counts its calls and can fail.

import { once } from 'node:events'
import { connect } from 'node:net'
import { type Ahead, beginAhead } from '../helpers/ahead.ts'
import { PATIENCE, startApp, type TestApp } from '../helpers/app.ts'
import { coinIds } from '../helpers/coin-ids.ts'
import { timed } from '../helpers/control-clock.ts'
import { eventually } from '../helpers/eventually.ts'
import { type FakeCoinGecko, type FakeFault, priceOf, startFakeCoinGecko } from '../helpers/fake-coingecko.ts'
import { createRandom } from '../helpers/random.ts'
import { startRedis, type TestRedis } from '../helpers/redis-server.ts'

const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE

interface ShownCoin {
  readonly id: string
  readonly vs: string
  readonly price: number
  readonly stale: boolean
  readonly asOf: string
}
interface ShownList {
  readonly coins: ShownCoin[]
  readonly unknown: string[]
  readonly unavailable: string[]
  readonly stale: boolean
  readonly asOf: string | null
}

const BAD_PATHS = [
  '/api/coins?vs=gbp',
  '/api/coins?ids=',
  '/api/coins?ids=a%2Fb',
  '/api/coins?ids=a&ids=b',
  `/api/coins?ids=${Array.from({ length: 251 }, (_, i) => `c${i}`)}`,
  '/api/coins?page=0',
  '/api/coins?perPage=251',
  '/api/coins?page=5000&perPage=2',
  '/api/coins/..%2fping',
  '/api/coins/a%00b',
  '/api/coins/bit%E2%80%8Bcoin',
  `/api/coins/${'a'.repeat(101)}`,
  '/api/coins/bitcoin/history?days=2',
  '/markets?vs=gbp',
  '/markets?page=x',
]

let redis: TestRedis
let time: Ahead
let fake: FakeCoinGecko
const apps: TestApp[] = []

beforeAll(async () => {
  time = beginAhead()
  redis = await startRedis()
})
afterAll(async () => {
  await redis.stop()
  time.end()
})
beforeEach(async () => {
  await redis.command('FLUSHALL')
  fake = await startFakeCoinGecko()
})
afterEach(async () => {
  time.thaw()
  await Promise.all(apps.splice(0).map((app) => app.close()))
  await fake.close()
})

async function start(env: Record<string, string> = {}): Promise<TestApp> {
  const app = await startApp({ REDIS_URL: redis.url, ...PATIENCE, ...fake.env, ...env })
  apps.push(app)
  if (env.REDIS_URL !== 'off') await app.untilStatus('redis')
  return app
}

async function read<T>(app: TestApp, path: string): Promise<T> {
  const response = await app.get(path)
  expect([path, response.status]).toEqual([path, 200])
  return (await response.json()) as T
}
const idsOf = ({ coins }: ShownList) => coins.map(({ id }) => id)
const stats = (app: TestApp) =>
  read<{ answered: number; calls: number; saved: number; perMinute: number; pausedUntil: string | null }>(
    app,
    '/api/markets/stats',
  )

describe('what is answered', () => {
  test('a coin, from one call, under the key that operators look up', async () => {
    const app = await start()
    const first = await app.get('/api/coins/bitcoin')
    expect([first.status, first.headers.get('cache-status')]).toEqual([200, 'samovar; fwd=miss'])
    expect(await first.json()).toMatchObject({
      id: 'bitcoin',
      name: 'Bitcoin',
      rank: 1,
      vs: 'usd',
      price: priceOf('bitcoin'),
      asOf: expect.stringMatching(/^\d{4}-.*Z$/),
      stale: false,
    })
    const again = await app.get('/api/coins/bitcoin')
    expect(again.headers.get('cache-status')).toMatch(/^samovar; hit; ttl=\d+$/)
    const headers = { 'if-none-match': again.headers.get('etag') ?? '', 'cache-control': 'max-age=0' }
    expect((await app.get('/api/coins/bitcoin', { headers })).status).toBe(304)
    expect(await redis.command('GET', 'coin_details:bitcoin')).toContain('"id":"bitcoin"')
    expect(fake.calls).toHaveLength(1)
  })

  test('lists by market capitalisation, in pages and in three currencies', async () => {
    const app = await start()
    const list = await read<ShownList>(app, '/api/coins')
    expect(idsOf(list)).toEqual(coinIds.slice(0, 50))
    expect(list).toMatchObject({
      vs: 'usd',
      page: 1,
      perPage: 50,
      stale: false,
      unknown: [],
      unavailable: [],
    })
    expect(idsOf(await read(app, '/api/coins?page=3&perPage=7'))).toEqual(coinIds.slice(14, 21))
    expect(idsOf(await read(app, '/api/coins?page=2&perPage=200'))).toEqual(coinIds.slice(200))
    expect(await read(app, '/api/coins?page=20&perPage=250')).toMatchObject({ coins: [], asOf: null })
    for (const vs of ['rub', 'eur']) {
      const { coins } = await read<ShownList>(app, `/api/coins?vs=${vs}&perPage=3`)
      expect(coins.map(({ price }) => price)).toEqual(coinIds.slice(0, 3).map((id) => priceOf(id, vs)))
    }
    expect(fake.calls.map(({ query }) => [query.get('vs_currency'), query.get('page')])).toEqual([
      ['usd', '1'],
      ['usd', '2'],
      ['usd', '20'],
      ['rub', '1'],
      ['eur', '1'],
    ])
  })

  test('coins by id, in the order asked for; what does not exist is named', async () => {
    const app = await start()
    const list = await read<ShownList>(app, '/api/coins?ids=solana,no-such-coin,bitcoin,solana&vs=eur')
    expect(list.coins.map(({ id, vs, price }) => [id, vs, price])).toEqual([
      ['solana', 'eur', priceOf('solana', 'eur')],
      ['bitcoin', 'eur', priceOf('bitcoin', 'eur')],
    ])
    expect(list.unknown).toEqual(['no-such-coin'])
    expect(idsOf(await read(app, '/api/coins?ids=a,b,c'))).toEqual([])
    expect(idsOf(await read(app, '/api/coins?ids=tron,sui,dai&page=2&perPage=2'))).toEqual(['dai'])
  })

  test('a coin that does not exist is 404, and is believed for a while', async () => {
    const app = await start()
    for (const _ of [1, 2, 3]) {
      const response = await app.get('/api/coins/no-such-coin')
      expect([response.status, await response.json()]).toMatchObject([404, { code: 'not_found' }])
      expect((await app.get('/api/coins/no-such-coin/history')).status).toBe(404)
    }
    expect(fake.calls).toHaveLength(2) // the first page, and this coin by its name
  })

  test('a history, kept as long as it is worth', async () => {
    const app = await start()
    const history = await read<{ points: [number, number][]; days: number }>(
      app,
      '/api/coins/sui/history?days=30',
    )
    expect([history.days, history.points.length]).toEqual([30, 720])
    expect(await read(app, '/api/coins/sui/history')).toMatchObject({ days: 7, vs: 'usd', stale: false })
    const before = fake.calls.length
    time.pass(10 * MINUTE)
    const later = await app.get('/api/coins/sui/history?days=30')
    expect(later.headers.get('cache-status')).toContain('hit; ttl=')
    expect(await later.json()).toMatchObject({ stale: false })
    expect(fake.calls).toHaveLength(before)
  })

  test('bad input is refused, and CoinGecko is not asked', async () => {
    const app = await start({ REDIS_URL: 'off' })
    for (const path of BAD_PATHS) {
      const response = await app.get(path)
      expect([path, response.status, await response.json()]).toMatchObject([
        path,
        400,
        { code: 'invalid_input' },
      ])
    }
    expect(fake.calls).toEqual([])
  })

  test.each([
    [{}, undefined, undefined],
    [{ COINGECKO_API_KEY: 'CG-demo' }, 'CG-demo', undefined],
    [{ COINGECKO_API_KEY: 'CG-pro', COINGECKO_PLAN: 'pro' }, undefined, 'CG-pro'],
  ])('the key goes in the header of its plan: %j', async (env, demo, pro) => {
    await read(await start({ REDIS_URL: 'off', ...env }), '/api/coins/bitcoin')
    const [call] = fake.calls
    expect([call?.headers['x-cg-demo-api-key'], call?.headers['x-cg-pro-api-key']]).toEqual([demo, pro])
  })
})

test('10,000 mixed requests within a minute: calls within the budget, 99 % answered, each with its coin', async () => {
  Object.assign(fake, { perMinute: 10, delayMs: 150 })
  const app = await start({ COINGECKO_CALLS_PER_MINUTE: '10' })
  time.freeze() // they are a minute's requests by the clock of the budget, however long this machine takes
  const random = createRandom(7)
  const [requests, callers, steps] = [10_000, 50, 60]
  const statuses: number[] = []
  const wrong: string[] = []
  const check = ({ id, vs, price }: ShownCoin) => void (price === priceOf(id, vs) || wrong.push(id))

  async function one(): Promise<void> {
    const vs = ['usd', 'rub', 'eur'][random.below(3)] ?? 'usd'
    const ids = Array.from({ length: 1 + random.below(5) }, () => coinIds[random.below(250)] ?? '')
    const kind = random.below(10)
    const path =
      kind < 7
        ? `/api/coins/${ids[0]}?vs=${vs}`
        : kind < 9
          ? `/api/coins?ids=${ids}&vs=${vs}`
          : `/api/coins?vs=${vs}&page=${1 + random.below(5)}`
    const response = await app.get(path)
    statuses.push(response.status)
    const body = (await response.json()) as ShownCoin & ShownList
    if (response.status !== 200) return
    if (kind < 7) {
      check(body)
      if (body.id !== ids[0]) wrong.push(path)
    } else {
      body.coins.forEach(check)
      if (kind < 9 && idsOf(body).join() !== [...new Set(ids)].join()) wrong.push(path)
    }
  }

  for (let step = 1; step <= steps; step += 1) {
    const each = Math.ceil(requests / steps / callers)
    await Promise.all(
      Array.from({ length: callers }, async () => {
        for (let i = 0; i < each && statuses.length < requests; i += 1) await one()
      }),
    )
    time.pass(0.98 * SECOND)
  }
  expect(statuses.length).toBeGreaterThanOrEqual(requests)
  const good = statuses.filter((status) => status === 200).length
  process.stdout.write(
    `10,000 mixed requests: ${good} of ${statuses.length} answered 200, ${fake.calls.length} calls\n`,
  )
  expect(wrong).toEqual([])
  expect(good / statuses.length).toBeGreaterThanOrEqual(0.99)
  expect(fake.calls.length).toBeLessThanOrEqual(10)
  const { answered, calls, saved } = await stats(app)
  expect([calls, saved]).toEqual([fake.calls.length, answered - calls])
})

describe('CoinGecko away', () => {
  test('for an hour, in every way: all answers 200 and stale, then fresh within one refresh', async () => {
    const app = await start({ REDIS_URL: 'off' }) // where time goes by as the test says, for leases too
    const paths = [
      '/api/coins/bitcoin',
      '/api/coins?perPage=100',
      '/api/coins?ids=sui,tron&vs=rub',
      '/api/coins/sui/history?days=1',
    ]
    for (const path of paths) await read(app, path)
    const faults: FakeFault[] = [429, 500, 'garbage', 'hangs up', 503, 'wrong shape', 'too large', 'empty']
    time.pass(5 * MINUTE)
    for (let minute = 0; minute < 60; minute += 1) {
      fake.fault = minute === 30 ? 'hangs' : faults[minute % faults.length]
      time.pass(MINUTE)
      for (const path of paths) {
        const response = await app.get(path)
        expect([minute, path, response.status, await response.json()]).toMatchObject([
          minute,
          path,
          200,
          { stale: true },
        ])
        expect(response.headers.get('cache-status')).toMatch(/^samovar; hit; ttl=-\d+$/)
        expect(Number(response.headers.get('age'))).toBeGreaterThanOrEqual(minute * 60)
      }
    }
    expect(fake.calls.length).toBeGreaterThan(40) // it was asked again and again, within the budget
    expect(app.lines.filter(({ message }) => message.startsWith('CoinGecko unavailable'))).toHaveLength(1)

    fake.fault = undefined
    fake.moved.set('bitcoin', 7)
    time.pass(MINUTE)
    await app.get('/api/coins/bitcoin')
    await eventually(async () => {
      expect(await read(app, '/api/coins/bitcoin')).toMatchObject({ price: 7, stale: false })
      expect(await read(app, '/api/coins?perPage=100')).toMatchObject({ stale: false })
    })
    expect(app.lines.map(({ message }) => message)).toContain('CoinGecko answers again')
  })

  test('after a day nothing is shown for a price any more', async () => {
    const app = await start({ REDIS_URL: 'off' })
    await read(app, '/api/coins/bitcoin')
    fake.fault = 500
    time.pass(25 * HOUR)
    expect((await app.get('/api/coins/bitcoin')).status).toBe(503)
  })

  test.each<FakeFault>([429, 500, 'hangs', 'garbage', 'too large', 'empty'])(
    'and nothing cached: 503 that says when to come back (%s)',
    async (fault) => {
      fake.fault = fault
      const app = await start({ REDIS_URL: 'off' })
      for (const path of [
        '/api/coins/bitcoin',
        '/api/coins',
        '/api/coins?ids=sui,tron',
        '/api/coins/sui/history',
      ]) {
        const response = await app.get(path)
        expect([path, response.status, await response.json()]).toMatchObject([path, 503, {}])
        expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0)
      }
      const page = await app.get('/markets?lang=en')
      expect([page.status, page.headers.get('retry-after')]).toEqual([503, expect.any(String)])
      expect(await page.text()).toContain('There are no prices at the moment')
      // What is too large is asked for in smaller parts first.
      expect(fake.calls.length).toBeLessThanOrEqual(fault === 'too large' ? 4 : 2)
    },
  )

  test('a chart with holes is a chart, and the coins beside it have their prices', async () => {
    fake.fault = 'holes in a chart'
    const app = await start()
    const { coins } = await read<{ coins: { week: number[] }[] }>(app, '/api/coins')
    expect(coins).toHaveLength(50)
    expect(coins.every(({ week }) => week.every((price) => price > 0))).toBe(true)
  })

  test('an empty history is not believed of a coin that has a price', async () => {
    const app = await start()
    const path = '/api/coins/bitcoin/history?days=365'
    const { points } = await read<{ points: unknown[] }>(app, path)
    time.pass(13 * HOUR)
    await read(app, '/api/coins/bitcoin')
    fake.fault = 'empty histories'
    for (let i = 0; i < 3; i += 1) {
      expect(await read(app, path)).toMatchObject({ points: { length: points.length }, stale: true })
      time.pass(MINUTE)
    }
    const asked = () => fake.calls.filter(({ path }) => path.endsWith('market_chart')).length
    await eventually(() => expect(asked()).toBeGreaterThan(1))
    expect(await read(app, path)).toMatchObject({ points: { length: points.length }, stale: true })
  })

  test('where nobody listens', async () => {
    const app = await start({ REDIS_URL: 'off', COINGECKO_URL: 'http://127.0.0.1:1' })
    const response = await app.get('/api/coins/bitcoin')
    expect([response.status, await response.json()]).toMatchObject([503, { code: 'prices_unavailable' }])
  })

  test('an old price is not shown while a new one can be had', async () => {
    const app = await start({ REDIS_URL: 'off' })
    await read(app, '/api/coins/bitcoin')
    fake.moved.set('bitcoin', 9)
    time.pass(2 * MINUTE)
    expect(await read(app, '/api/coins/bitcoin')).toMatchObject({ price: priceOf('bitcoin'), stale: true })
    await eventually(async () =>
      expect(await read(app, '/api/coins/bitcoin')).toMatchObject({ price: 9, stale: false }),
    )
    fake.moved.set('bitcoin', 11)
    time.pass(3 * HOUR)
    expect(await read(app, '/api/coins/bitcoin')).toMatchObject({ price: 11, stale: false })
  })
})

describe('the budget', () => {
  test('is one for all processes', async () => {
    const both = [
      await start({ COINGECKO_CALLS_PER_MINUTE: '10' }),
      await start({ COINGECKO_CALLS_PER_MINUTE: '10' }),
    ]
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, i) => both[i % 2]?.get(`/api/coins/${coinIds[i]}/history?days=1`)),
    )
    const statuses = answers.map((answer) => answer?.status)
    expect(statuses.filter((status) => status === 200).length).toBeGreaterThan(0)
    expect(new Set(statuses)).toEqual(new Set([200, 503]))
    const refused = answers.find((answer) => answer?.status === 503)
    expect(Number(refused?.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(fake.calls.length).toBeLessThanOrEqual(10)
    // Some of it is kept for prices.
    expect((await both[0]?.get('/api/coins/bitcoin?vs=eur'))?.status).toBe(200)
    expect(fake.calls.length).toBeLessThanOrEqual(10)
  })

  test('is not exceeded by calls whose connection is lost', async () => {
    fake.fault = 'hangs up'
    const app = await start({ COINGECKO_CALLS_PER_MINUTE: '3' })
    for (const id of coinIds.slice(0, 8)) {
      await app.get(`/api/coins/${id}`)
      time.pass(2.5 * SECOND)
    }
    expect((await stats(app)).calls).toBe(3)
    expect(fake.calls).toHaveLength(3)
  })

  test('made-up names leave some of it to prices', async () => {
    const app = await start({ COINGECKO_CALLS_PER_MINUTE: '7' })
    await read(app, '/api/coins/bitcoin')
    for (let i = 0; i < 6; i += 1) await app.get(`/api/coins/made-up-${i}`)
    expect(fake.calls.length).toBeLessThanOrEqual(5)
    for (const vs of ['eur', 'rub']) await read(app, `/api/coins?vs=${vs}`)
    expect(fake.calls.length).toBeLessThanOrEqual(7)
  })

  test('a pause is not waited for: old prices are answered at once', async () => {
    const app = await start({ COINGECKO_CALLS_PER_MINUTE: '10' })
    await read(app, '/api/coins')
    for (const id of coinIds.slice(0, 6)) await read(app, `/api/coins/${id}/history?days=1`)
    Object.assign(fake, { fault: 429, retryAfter: '3600' })
    await app.get('/api/coins/made-up')
    time.pass(20 * MINUTE)
    const { tookMs } = await timed(async () => {
      for (const id of coinIds.slice(0, 4))
        expect(await read(app, `/api/coins/${id}`)).toMatchObject({ id, stale: true })
    })
    expect(tookMs).toBeLessThan(2_000) // each of the four would wait that long for a fuller call
  })

  test('learns from 429, waits for Retry-After, and comes back slowly', async () => {
    const app = await start()
    await read(app, '/api/coins/bitcoin')
    Object.assign(fake, { fault: 429, retryAfter: '90' })
    time.pass(MINUTE)
    await read(app, '/api/coins/bitcoin')
    await eventually(async () =>
      expect(await stats(app)).toMatchObject({ perMinute: 7, configuredPerMinute: 10 }),
    )
    expect((await stats(app)).pausedUntil).not.toBeNull()

    const other = await start()
    expect(await stats(other)).toMatchObject({ perMinute: 7, pausedUntil: (await stats(app)).pausedUntil })
    const before = fake.calls.length
    fake.fault = undefined
    time.pass(80 * SECOND)
    await read(app, '/api/coins/bitcoin')
    expect((await other.get('/api/coins/bitcoin?vs=rub')).status).toBe(503)
    expect(fake.calls).toHaveLength(before)

    time.pass(15 * SECOND)
    await eventually(async () =>
      expect(await read(app, '/api/coins/bitcoin')).toMatchObject({ stale: false }),
    )
    time.pass(10 * MINUTE)
    expect(await stats(app)).toMatchObject({ perMinute: 9, pausedUntil: null })
    time.pass(HOUR)
    expect(await stats(app)).toMatchObject({ perMinute: 10 })
  })

  test('what it may ask for it also gets: a CoinGecko as strict as the budget never answers 429', async () => {
    fake.perMinute = 10
    const app = await start()
    const paths = coinIds.flatMap((id, i) => [`/api/coins/${id}/history?days=1`, `/api/coins/made-up-${i}`])
    const [few, many] = [paths.slice(0, 6), paths.slice(6)]
    for (const path of few) await app.get(path)
    await Promise.all(many.map((path) => app.get(path)))
    expect(fake.calls.length).toBeLessThanOrEqual(10)
    expect(await stats(app)).toMatchObject({ perMinute: 10, failures: 0 })
  })
})

describe('names that are made up, from one client', () => {
  const madeUp = (from: number, count = 250) =>
    Array.from({ length: count }, (_, i) => `made-up-${from}-${i}`)
  const by = (address: string) => ({ headers: { 'x-forwarded-for': address } })
  const startBehindProxy = () => start({ TRUST_PROXY: '1', COINGECKO_CALLS_PER_MINUTE: '60' })

  test('60 lists of 250, left at once: nothing is asked for them later, no lease stays, others are served', async () => {
    const app = await startBehindProxy()
    await read(app, '/api/coins') // so that names are asked for by name
    fake.delayMs = 500
    const calls = fake.calls.length
    await Promise.all(Array.from({ length: 60 }, (_, i) => leave(app, `/api/coins?ids=${madeUp(i)}`)))
    expect((await app.get('/livez')).status).toBe(200)
    expect((await app.get('/api/coins?vs=eur', by('203.0.113.9'))).status).toBe(200)
    await eventually(async () => expect(await redis.command('KEYS', '*lock:*')).toBe('*0\r\n'))
    expect(fake.calls.length - calls).toBeLessThan(6) // of the 60 that would be needed
    expect(app.lines.filter(({ message }) => message.startsWith('loading for the cache'))).toEqual([])
  })

  test('are refused it when it has used its share up; who asks for what is cached, and others, are not', async () => {
    const app = await startBehindProxy()
    await read(app, '/api/coins')
    const statuses: number[] = []
    for (let i = 0; i < 5; i += 1) {
      const response = await app.get(`/api/coins?ids=${madeUp(i)}`, by('203.0.113.1'))
      statuses.push(response.status)
      if (response.status !== 200) expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0)
    }
    expect([statuses[0], statuses[4]]).toEqual([200, 429])
    expect((await app.get('/api/coins', by('203.0.113.1'))).status).toBe(200)
    expect((await app.get(`/api/coins?ids=${madeUp(0)}`, by('203.0.113.1'))).status).toBe(200) // "there is none" is cached
    expect((await app.get('/api/coins/other-made-up', by('203.0.113.2'))).status).toBe(404)
    expect(fake.calls.length).toBeLessThan(8)
  })
})

describe('clears', () => {
  const clear = (app: TestApp, token?: string) =>
    app.get('/api/cache/clear', {
      method: 'POST',
      headers: token ? { authorization: `Bearer ${token}` } : {},
    })

  test('five without the token, and CoinGecko fails: the page shows the old prices, and no entry is counted', async () => {
    const app = await start({ REDIS_URL: 'off', COINGECKO_CALLS_PER_MINUTE: '4' })
    await read(app, '/api/coins')
    expect((await app.stats()).keys).toBe(51)
    for (let i = 0; i < 4; i += 1) {
      expect((await clear(app)).status).toBe(200)
      expect((await app.stats()).keys).toBe(0)
      expect((await app.get('/markets')).status).toBe(200)
    }
    fake.fault = 503
    expect((await clear(app)).status).toBe(200)
    expect((await app.get('/markets')).status).toBe(200)
    expect(await read<ShownList>(app, '/api/coins')).toMatchObject({ unavailable: [] })
  })

  test.each([
    ['without the token', {}],
    ['with it', { ADMIN_TOKEN: 'a-long-token' }],
  ])(
    '%s: the next read asks CoinGecko, not what came with others',
    async (_name, env: Record<string, string>) => {
      const app = await start({ COINGECKO_CALLS_PER_MINUTE: '60', ...env })
      await read(app, '/api/coins/bitcoin')
      fake.moved.set('bitcoin', 7)
      expect((await clear(app, env.ADMIN_TOKEN)).status).toBe(200)
      expect(await read(app, '/api/coins/bitcoin')).toMatchObject({ price: 7, stale: false })
    },
  )

  test('with the token: never too many, and nothing old is left', async () => {
    const app = await start({ ADMIN_TOKEN: 'a-long-token' })
    await read(app, '/api/coins/bitcoin')
    for (let i = 0; i < 20; i += 1) expect((await clear(app, 'a-long-token')).status).toBe(200)
    fake.fault = 503
    expect((await app.get('/api/coins/bitcoin')).status).toBe(503)
  })
})

/** Sends a request and closes its socket at once. */
async function leave(app: TestApp, path: string): Promise<void> {
  const { hostname, port } = new URL(app.url)
  const socket = connect(Number(port), hostname)
  await once(socket, 'connect')
  const head = `GET ${path} HTTP/1.1\r\nHost: ${hostname}\r\nX-Forwarded-For: 203.0.113.1\r\n\r\n`
  await new Promise((sent) => socket.write(head, sent))
  socket.destroy()
}

test('without Redis prices go on from memory, and the budget holds', async () => {
  const app = await start()
  await read(app, '/api/coins/bitcoin')
  await redis.kill()
  await app.untilStatus('memory')
  expect(await read(app, '/api/coins/bitcoin')).toMatchObject({ stale: false })
  expect(await read(app, '/api/coins?vs=eur')).toMatchObject({ stale: false })
  await redis.start()
  await app.untilStatus('redis')
  expect(await read(app, '/api/coins/bitcoin')).toMatchObject({ price: priceOf('bitcoin') })
  expect(fake.calls).toHaveLength(2)
})

test('CACHE_ENABLED=false: prices are still asked for together', async () => {
  const app = await start({ REDIS_URL: 'off', CACHE_ENABLED: 'false' })
  const response = await app.get('/api/coins')
  expect([response.status, response.headers.get('cache-status')]).toEqual([200, 'samovar; fwd=bypass'])
  expect(fake.calls.length).toBeLessThanOrEqual(2)
})
