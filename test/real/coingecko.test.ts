// CoinGecko as it is: behind a thin link, with ids, rows and refusals of the kinds that it really sends. The shapes are
// those of its documentation and of public reports; the server is the tests' own.

import { startApp, type TestApp } from '../helpers/app.ts'
import { coinIds } from '../helpers/coin-ids.ts'
import { eventually } from '../helpers/eventually.ts'
import { type FakeCoinGecko, priceOf, startFakeCoinGecko } from '../helpers/fake-coingecko.ts'

interface ShownCoin {
  readonly id: string
  readonly price: number | null
  readonly week: number[]
  readonly stale: boolean
}
interface ShownList {
  readonly coins: ShownCoin[]
  readonly unknown: string[]
  readonly unavailable: string[]
  readonly asOf: string
}

let fake: FakeCoinGecko
const apps: TestApp[] = []

beforeEach(async () => {
  fake = await startFakeCoinGecko()
})
afterEach(async () => {
  await Promise.all(apps.splice(0).map((app) => app.close()))
  await fake.close()
})

async function start(env: Record<string, string> = {}): Promise<TestApp> {
  const app = await startApp({ REDIS_URL: 'off', COINGECKO_CALLS_PER_MINUTE: '60', ...fake.env, ...env })
  apps.push(app)
  return app
}
async function read<T>(app: TestApp, path: string): Promise<T> {
  const response = await app.get(path)
  expect([path, response.status]).toEqual([path, 200])
  return (await response.json()) as T
}
const charts = () => fake.calls.map(({ query }) => query.get('sparkline'))
const lines = (app: TestApp, begin: string) =>
  app.lines.map(({ message }) => message).filter((message) => message.startsWith(begin))

describe('a thin link', () => {
  test('of 150 kB/s: answers are compressed, so one call brings the list with its charts', async () => {
    Object.assign(fake, { bytesPerSecond: 150_000, compression: 'gzip' })
    const app = await start()
    const { coins } = await read<ShownList>(app, '/api/coins')
    expect([coins.length, coins.every(({ week }) => week.length > 0), charts()]).toEqual([50, true, ['true']])
  })

  test('of 75 kB/s without compression: a coin does not wait for the list, and the list comes without charts', async () => {
    fake.bytesPerSecond = 75_000
    const app = await start()
    const list = app.get('/api/coins')
    expect(await read(app, '/api/coins/sui')).toMatchObject({ price: priceOf('sui') })
    expect(fake.calls.at(-1)?.query.get('ids')).toBe('sui') // while the list is still coming
    const { coins } = (await (await list).json()) as ShownList
    expect(coins.map(({ id, price }) => [id, price])).toEqual(
      coinIds.slice(0, 50).map((id) => [id, priceOf(id)]),
    )
    expect(charts()).toEqual(['true', 'true', 'false'])
    expect(lines(app, 'CoinGecko unavailable')).toEqual([])
    expect(lines(app, 'CoinGecko: the answer was too large, too slow')).toHaveLength(1)
    fake.bytesPerSecond = undefined
    await read(app, '/api/coins?vs=eur') // it is remembered
    expect(charts().at(-1)).toBe('false')
  })

  test('where even rows are too much, prices alone are asked for, by name', async () => {
    fake.instead = ({ path }) =>
      path === '/coins/markets' ? { status: 200, body: '[{"id":"bitcoin",', isCut: true } : undefined
    const app = await start()
    expect((await app.get('/api/coins')).status).toBe(503) // a list of the largest needs rows
    expect(await read(app, '/api/coins?ids=sui,tron')).toMatchObject({
      coins: [
        { id: 'sui', price: priceOf('sui') },
        { id: 'tron', price: priceOf('tron') },
      ],
    })
    expect(fake.calls.map(({ path, query }) => [path, query.get('sparkline')])).toEqual([
      ['/coins/markets', 'true'],
      ['/coins/markets', 'false'],
      ['/coins/markets', 'false'],
      ['/simple/price', null],
    ])
  })
})

describe('ids as they are', () => {
  const ids = [
    'hive_dollar',
    'boringdao-[old]',
    '1move token',
    'cvault.finance',
    'UPPER',
    'монета',
    '100%',
    'a:rub',
    'a&b=c#d',
  ]

  test('in routes, keys, lists and calls', async () => {
    fake.extra.push(...ids, 'a')
    for (const [i, id] of [...ids, 'a'].entries()) fake.moved.set(id, i + 1)
    const app = await start()
    const list = await read<ShownList>(app, `/api/coins?ids=${ids.map(encodeURIComponent)}`)
    expect(list.coins.map(({ id, price }) => [id, price])).toEqual(ids.map((id, i) => [id, i + 1]))
    for (const [i, id] of ids.entries()) {
      expect(await read(app, `/api/coins/${encodeURIComponent(id)}`)).toMatchObject({ id, price: i + 1 })
      expect(await read(app, `/api/coins/${encodeURIComponent(id)}/history?days=1`)).toMatchObject({ id })
    }
    // A coin in a currency is not the coin whose id looks like that.
    expect(await read(app, '/api/coins/a?vs=rub')).toMatchObject({ id: 'a', price: 10 * 81.5 })
    expect(await read(app, '/api/coins/a:rub')).toMatchObject({ id: 'a:rub', price: 8 })
    expect(await read(app, '/api/coins?ids=UPPER,upper')).toMatchObject({ unknown: ['upper'] })
  })

  test('a coin that was removed is 404, and pauses nothing', async () => {
    const app = await start({ COINGECKO_TTL: '1' })
    await read(app, '/api/coins/sui')
    fake.removed.add('sui')
    await eventually(async () => expect((await app.get('/api/coins/sui')).status).toBe(404))
    expect((await app.get('/api/coins/sui/history')).status).toBe(404)
    expect(await read(app, '/api/markets/stats')).toMatchObject({
      failures: 0,
      pausedUntil: null,
      lastError: null,
    })
    expect(await read(app, '/api/coins?ids=sui,tron')).toMatchObject({
      unknown: ['sui'],
      coins: [{ id: 'tron' }],
    })
  })
})

test('one bad row costs that row: one line, and a count', async () => {
  fake.distort = (rows) =>
    rows.map((row) => {
      if (row.id === 'ethereum') return { ...row, current_price: -5 }
      if (row.id === 'tether') return { ...row, current_price: 'n/a' }
      if (row.id === 'solana') return { ...row, current_price: 0 }
      if (row.id === 'ripple')
        return { ...row, current_price: '0.5', last_updated: '2019-01-01T00:00:00.000Z' }
      if (row.id === 'tron') return { nonsense: true }
      return row
    })
  fake.rewrite = (text) => text.replace(/"market_cap":[\d.e+]+/, '"market_cap":NaN')
  const app = await start()
  const list = await read<ShownList>(app, '/api/coins?perPage=10')
  expect(list.coins.map(({ id }) => id)).toEqual(
    coinIds.filter((id) => !['ethereum', 'tether', 'tron'].includes(id)).slice(0, 10),
  )
  expect(list.coins.find(({ id }) => id === 'solana')?.price).toBe(0)
  expect(list.coins.find(({ id }) => id === 'ripple')?.price).toBe(0.5)
  expect(Date.now() - Date.parse(list.asOf)).toBeLessThan(60_000) // not that of the coin that nobody trades
  for (let i = 0; i < 3; i += 1)
    expect(await read(app, '/api/coins?ids=bitcoin,ethereum')).toMatchObject({
      coins: [{ id: 'bitcoin' }],
      unavailable: ['ethereum'],
      unknown: [],
    })
  expect(fake.calls).toHaveLength(2) // a bad row is not asked for again and again
  expect(await read(app, '/api/markets/stats')).toMatchObject({ badRows: 4, failures: 0 })
  const told = app.lines.filter(({ message }) => message.startsWith('CoinGecko: some rows could not be used'))
  expect(told).toMatchObject([{ fields: { badRows: 3, rows: 250, ids: ['ethereum', 'tether'] } }])
})

describe('its own reason is in the log, on one line, with what to do', () => {
  const json = (error_code: number, error_message: string) =>
    JSON.stringify({ status: { timestamp: '2026-11-20T08:00:00.000+00:00', error_code, error_message } })

  test.each<[string, number, string, RegExp]>([
    ['no key', 401, json(10002, 'API Key Missing'), /401, 10002: API Key Missing \(.*COINGECKO_API_KEY/],
    ['a plan', 401, json(10005, 'limited to paid plans'), /401, 10005: limited to paid plans \(the plan/],
    [
      'a paid key',
      400,
      json(10010, 'change your root URL'),
      /400, 10010: change your root URL \(.*COINGECKO_PLAN=pro/,
    ],
    [
      'a demo key',
      400,
      json(10011, 'change your root URL'),
      /400, 10011: change your root URL \(.*COINGECKO_PLAN=demo/,
    ],
    [
      'a firewall',
      403,
      '<html><title>Access denied</title>error code: 1020',
      /403, 1020: a page, "Access denied" \(/,
    ],
    [
      '200 that is 429',
      200,
      json(429, "You've exceeded the Rate Limit."),
      /status 429: You've exceeded the Rate/,
    ],
    ['429 as text', 429, 'Throttled', /status 429: Throttled \(/],
    [
      'a page for a list',
      200,
      '<html><title>Just a moment...</title>',
      /malformed 200: a page, "Just a moment..."\./,
    ],
    [
      'a gateway',
      502,
      '<html><head><title>502 Bad Gateway</title>',
      /status 502: a page, "502 Bad Gateway"\./,
    ],
  ])('%s', async (_name, status, body, expected) => {
    fake.instead = () => ({ status, body })
    const app = await start()
    expect((await app.get('/api/coins/bitcoin')).status).toBe(503)
    const told = lines(app, 'CoinGecko unavailable')
    expect(told).toEqual([expect.stringMatching(expected)])
    expect(told[0]).not.toContain('\n')
    if (status === 200 && body.includes('429'))
      expect(await read(app, '/api/markets/stats')).toMatchObject({
        perMinute: 45,
        pausedUntil: expect.any(String),
      })
  })
})
