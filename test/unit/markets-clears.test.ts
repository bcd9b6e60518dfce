// What soft clears, which strangers can make, may cost prices: a share of the budget, and not their renewal.
import { createCache } from '../../src/core/cache/cache.ts'
import { createMemoryStore } from '../../src/core/cache/memory-cache-store.ts'
import { pricesUnavailable } from '../../src/errors.ts'
import type { CallBudget, Purpose } from '../../src/features/markets/call-budget.ts'
import type { Coin, Currency } from '../../src/features/markets/coin.ts'
import { createMarkets, LIST_PATIENCE_MS } from '../../src/features/markets/markets.ts'
import { createClock } from '../helpers/clock.ts'
import { recordLog } from '../helpers/log.ts'
import { createMemoryCounters } from '../helpers/memory-counters.ts'

const FRESH_MS = 60_000

test('while strangers use up what clears may cost, a price whose own time has ended is renewed', async () => {
  const clock = createClock(Date.now())
  const { log } = recordLog()
  const store = createMemoryStore({ budgetBytes: 1_000_000, now: clock.now })
  const cache = createCache({ store, clears: createMemoryCounters(), enabled: true, log, now: clock.now })
  const spent: Purpose[] = []
  const budget: CallBudget = {
    async spend(purpose, call) {
      spent.push(purpose)
      if (purpose === 'more') throw pricesUnavailable(1_000)
      return call()
    },
    isShort: () => false,
    report: async () => ({}) as never,
  }
  let price = 1
  const coins = async (vs: Currency) => ({ coins: [coinOf(vs, price, clock.now())], bad: [], dropped: 0 })
  const markets = createMarkets({
    cache,
    coinGecko: { coins, largest: coins, history: async () => undefined },
    budget,
    freshMs: FRESH_MS,
    now: clock.now,
    timer(ms, call) {
      if (ms < LIST_PATIENCE_MS) setImmediate(call)
      return () => {}
    },
  })
  const shown = async () => (await markets.coin('bitcoin', 'usd')).value?.price
  expect([await shown(), spent]).toEqual([1, ['prices']])

  price = 2
  clock.turn(1_000)
  await cache.clear('all', { isSoft: true })
  expect([await shown(), spent]).toEqual([1, ['prices', 'more']]) // the copy, as its share is used up

  clock.turn(FRESH_MS)
  await cache.clear('all', { isSoft: true })
  expect([await shown(), spent.at(-1)]).toEqual([2, 'prices'])
  await cache.close()
})

const coinOf = (vs: Currency, price: number, atMs: number): Coin => ({
  id: 'bitcoin',
  symbol: 'btc',
  name: 'Bitcoin',
  image: null,
  rank: 1,
  vs,
  price,
  change1hPercent: null,
  change24hPercent: null,
  change7dPercent: null,
  high24h: null,
  low24h: null,
  volume24h: null,
  marketCap: null,
  circulatingSupply: null,
  maxSupply: null,
  allTimeHigh: null,
  allTimeHighAt: null,
  week: [],
  asOf: new Date(atMs).toISOString(),
  fetchedAt: new Date(atMs).toISOString(),
})
