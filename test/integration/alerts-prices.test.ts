// What an alert is decided by: prices of now, through the real cache and the real budget, from a CoinGecko of the
// tests' own. A price that is only remembered makes no alert ring, neither when it is made nor when it is looked at.

import { createLimiter } from '../../src/core/limiter.ts'
import { createCallBudget } from '../../src/features/markets/call-budget.ts'
import type { Currency } from '../../src/features/markets/coin.ts'
import { createCoinGecko } from '../../src/features/markets/coingecko.ts'
import { createMarkets } from '../../src/features/markets/markets.ts'
import { createJsonFetcher } from '../../src/http/fetch-json.ts'
import { type Ahead, beginAhead } from '../helpers/ahead.ts'
import { type AlertsApp, openAlertsApp } from '../helpers/alerts-app.ts'
import { eventually } from '../helpers/eventually.ts'
import { type FakeBotApi, startFakeBotApi } from '../helpers/fake-bot-api.ts'
import { type FakeCoinGecko, startFakeCoinGecko } from '../helpers/fake-coingecko.ts'
import { recordLog } from '../helpers/log.ts'
import { openProcess } from '../helpers/stores.ts'

const MINUTE = 60_000
const FRESH_MS = MINUTE // COINGECKO_TTL, as it is set unless said otherwise

let time: Ahead
let fake: FakeCoinGecko
let bot: FakeBotApi
let app: AlertsApp
let prices: ReturnType<typeof createMarkets>
const closers: (() => void | Promise<void>)[] = []

beforeEach(async () => {
  time = beginAhead()
  ;[fake, bot] = await Promise.all([startFakeCoinGecko(), startFakeBotApi()])
  const around = await openProcess({ cacheUrl: 'off' })
  const { fetchJson, close } = createJsonFetcher()
  const { log } = recordLog()
  const { state } = around
  prices = createMarkets({
    cache: around.cache,
    coinGecko: createCoinGecko({ url: fake.url, plan: 'demo', apiKey: undefined, fetchJson }),
    budget: createCallBudget({ limiter: createLimiter({ state }), state, perMinute: 30, log }),
    freshMs: FRESH_MS,
  })
  app = await openAlertsApp({
    redisUrl: 'off',
    botUrl: bot.url,
    pricesOf: (ids, vs) => prices.freshPrices(ids, vs as Currency),
    unpricedOf: (ids, vs) => prices.unpriced(ids, vs as Currency),
  })
  closers.push(app.close, close, around.close, fake.close, bot.close)
})
afterEach(async () => {
  for (const close of closers.splice(0)) await close()
  time.end()
})

const priceIs = (price: number) => fake.moved.set('bitcoin', price)
async function make(): Promise<string> {
  const response = await app.send('POST', '/api/alerts', { coin: 'bitcoin', when: 'above', value: 100 })
  expect(response.status).toBe(201)
  return ((await response.json()) as { id: string }).id
}
const find = async (id: string) => app.alerts.find('telegram:42', id)
async function crossings() {
  const { crossings } = (await (await app.send('GET', '/api/alerts/crossings')).json()) as {
    crossings: { price: number; asOf: string; crossedAt: string }[]
  }
  return crossings
}

test('an alert is made by the price of now, and not by the one that the cache remembers', async () => {
  priceIs(95)
  await prices.coin('bitcoin', 'usd')
  time.pass(9 * MINUTE)
  priceIs(105)
  const id = await make()
  expect((await find(id))?.watch.armed).toBe(false) // past the line already
  for (let i = 0; i < 3; i += 1) {
    time.pass(MINUTE)
    await app.check()
  }
  expect(await crossings()).toEqual([])
})

test('a check sees the price of now, and says from when it is', async () => {
  priceIs(95)
  await make()
  time.pass(9 * MINUTE)
  priceIs(105)
  await app.check()
  const [crossing] = await crossings()
  expect(crossing).toMatchObject({ price: 105, asOf: expect.any(String) })
  expect(Date.parse(crossing?.crossedAt ?? '') - Date.parse(crossing?.asOf ?? '')).toBeLessThan(FRESH_MS)
})

test('while CoinGecko does not answer nothing is decided, and the first look is the one after it', async () => {
  priceIs(95)
  await prices.coin('bitcoin', 'usd')
  time.pass(9 * MINUTE)
  priceIs(105)
  fake.fault = 500
  const id = await make()
  expect((await find(id))?.watch).toEqual({
    armed: undefined,
    referencePrice: undefined,
    rangAtMs: undefined,
  })
  await app.check()
  expect((await find(id))?.watch.armed).toBeUndefined()
  expect(app.lines).toContainEqual(
    expect.objectContaining({
      message: 'alerts are not checked: no prices',
      fields: expect.objectContaining({ reason: 'stale', alerts: 1 }),
    }),
  )
  fake.fault = undefined
  time.pass(MINUTE)
  await app.check()
  expect((await find(id))?.watch.armed).toBe(false)
  expect(await crossings()).toEqual([])
})

test('a price of 0 is a price: it crosses, and what changes from it is a change', async () => {
  priceIs(95)
  const below = await app.send('POST', '/api/alerts', { coin: 'bitcoin', when: 'below', value: 10 })
  const { id } = (await below.json()) as { id: string }
  time.pass(2 * MINUTE)
  priceIs(0)
  await app.check()
  expect(await crossings()).toMatchObject([{ price: 0 }])
  const made = await app.send('POST', '/api/alerts', {
    coin: 'bitcoin',
    when: 'changes',
    value: 5,
    repeat: 'always',
  })
  expect(made.status).toBe(201)
  const changes = ((await made.json()) as { id: string }).id
  for (let i = 0; i < 3; i += 1) {
    time.pass(MINUTE)
    await app.check()
  }
  expect([(await find(id))?.triggerCount, (await find(changes))?.triggerCount]).toEqual([1, 0])
  priceIs(3)
  time.pass(2 * MINUTE)
  await app.check()
  expect((await find(changes))?.triggerCount).toBe(1)
})

test('a check asks for what it needs: no list, no charts', async () => {
  await make()
  await app.check()
  expect(fake.calls.map(({ path, query }) => [path, query.get('ids'), query.get('sparkline')])).toEqual([
    ['/coins/markets', 'bitcoin', 'false'],
  ])
  time.pass(11_000)
  await prices.coin('bitcoin', 'usd')
  await eventually(async () =>
    expect((await prices.coin('bitcoin', 'usd')).value?.week.length).toBeGreaterThan(0),
  )
  const before = fake.calls.length
  time.pass(2 * MINUTE)
  await app.check()
  expect(fake.calls.slice(before).map(({ query }) => query.get('sparkline'))).toEqual(['false'])
  expect((await prices.coin('bitcoin', 'usd')).value?.week.length).toBeGreaterThan(0) // it is kept
})

test('alerts on a coin that was removed say so, and the other coins go on', async () => {
  priceIs(95)
  fake.moved.set('sui', 95)
  const removed = await app.send('POST', '/api/alerts', { coin: 'sui', when: 'above', value: 100 })
  const { id } = (await removed.json()) as { id: string }
  await make()
  await app.check()
  fake.removed.add('sui')
  priceIs(105)
  for (let i = 0; i < 3; i += 1) {
    time.pass(2 * MINUTE)
    await app.check()
  }
  expect(await crossings()).toMatchObject([{ price: 105 }])
  const { alerts } = (await (await app.send('GET', '/api/alerts')).json()) as {
    alerts: { coin: string; status: string }[]
  }
  expect(alerts.map(({ coin, status }) => [coin, status])).toEqual([
    ['sui', 'no_price'],
    ['bitcoin', 'done'],
  ])
  expect(await (await app.send('GET', `/api/alerts/${id}`)).json()).toMatchObject({ status: 'no_price' })
  expect(app.lines.filter(({ message }) => message.startsWith('alerts wait'))).toMatchObject([
    { fields: { vs: 'usd', coins: ['sui'] } },
  ])
  fake.removed.clear()
  time.pass(6 * MINUTE)
  await app.check()
  expect(await (await app.send('GET', `/api/alerts/${id}`)).json()).toMatchObject({ status: 'open' })
})

test.each(['boringdao-[old]', '1move token', 'hive_dollar', 'монета'])('an alert on %s', async (coin) => {
  fake.extra.push(coin)
  fake.moved.set(coin, 1e-12)
  const made = await app.send('POST', '/api/alerts', { coin, when: 'above', value: 2e-12 })
  expect([made.status, await made.json()]).toMatchObject([201, { coin, value: 2e-12 }])
  time.pass(MINUTE)
  fake.moved.set(coin, 3e-12)
  await app.check()
  const [crossing] = await crossings()
  expect(crossing).toMatchObject({ coin, price: 3e-12, text: expect.stringContaining('0.000000000003 USD') })
})
