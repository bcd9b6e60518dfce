// Coins and their prices through the cache: fresh for a minute, then the old one is the answer while a new one is
// fetched, for a day when CoinGecko does not answer. A coin is one entry, asked for alone or in a list.

import { z } from 'zod'
import type { Cache } from '../../core/cache/cache.ts'
import type { Cached, CachePolicy, LoadAsked } from '../../core/cache/cached.ts'
import { Refusal } from '../../core/errors.ts'
import { pricesUnavailable } from '../../errors.ts'
import type { Admit } from '../../feature.ts'
import { withRequestSignal } from '../../lib/async/request-signal.ts'
import { DAY, HOUR, MINUTE, type Now, SECOND, type StartTimer, startTimer } from '../../lib/time.ts'
import type { BudgetReport, CallBudget } from './call-budget.ts'
import { type Coin, type Currency, coinSchema, type History, historySchema, type Span } from './coin.ts'
import { COINS_A_CALL, type CoinGecko } from './coingecko.ts'
import type { Need } from './price-batch.ts'
import { createCoinSource, type SourceLog } from './source/coin-source.ts'

/** How many of the largest coins the lists reach. */
export const LISTED_COINS = 5_000
const UNWAITED_FRESH_TIMES = 10 // an older price is given only when CoinGecko does not answer
const ORDER_FRESH_TIMES = 10 // which coins are the largest changes less than their prices
const HISTORY_FRESH_MS: Readonly<Record<Span, number>> = {
  1: 5 * MINUTE,
  7: HOUR / 2,
  30: 2 * HOUR,
  365: 12 * HOUR,
}
const FIRST_PAGE = 1
/** After it a coin is asked for by its name: its price does not wait for a long list. */
export const LIST_PATIENCE_MS = SECOND
const CHARTLESS_FRESH_MS = 10 * SECOND // after a check; then a reader has the chart fetched

export interface CoinList {
  readonly coins: readonly Cached<Coin>[]
  /** Ids that CoinGecko does not know. */
  readonly unknown: readonly string[]
  /** Ids whose prices could not be had, and are not cached. */
  readonly unavailable: readonly string[]
}

/** A price to decide by. */
export interface MarketPrice {
  readonly price: number
  readonly asOf: string
  /** It is what was known last: CoinGecko does not answer. */
  readonly isStale: boolean
}

export interface MarketStats extends BudgetReport {
  /** Reads of coins, lists and histories that this process has answered since its start. */
  readonly answered: number
  /** Calls that would have been made without a cache, less those that were. */
  readonly saved: number
  /** Rows of CoinGecko's that could not be used. */
  readonly badRows: number
}

/**
 * All reject with `prices_unavailable` or `source_failed`, both 503, when nothing is cached and CoinGecko is away; and
 * with what `admit` is refused with, where nothing is cached.
 */
export interface Markets {
  /** What memory has and may be sent now: it is fresh. */
  peekCoin(id: string, vs: Currency): Cached<Coin> | undefined
  peekHistory(id: string, vs: Currency, days: Span): Cached<History> | undefined
  /** `value` is undefined when there is no such coin. */
  coin(id: string, vs: Currency, admit?: Admit): Promise<Cached<Coin>>
  coins(ids: readonly string[], vs: Currency, admit?: Admit): Promise<CoinList>
  /** Those of these coins that CoinGecko does not have, or has no price of; without those it was not asked about. */
  unpriced(ids: readonly string[], vs: Currency): Promise<ReadonlySet<string>>
  /** By coin, and fresh: a caller that cannot use old prices waits. Coins without a price are left out. */
  freshPrices(ids: readonly string[], vs: Currency): Promise<ReadonlyMap<string, MarketPrice>>
  /** The largest coins by market capitalisation, `from` counted from 0. */
  largest(vs: Currency, from: number, count: number, admit?: Admit): Promise<CoinList>
  history(id: string, vs: Currency, days: Span, admit?: Admit): Promise<Cached<History>>
  stats(): Promise<MarketStats>
}

export interface MarketsParts {
  cache: Pick<Cache, 'getOrLoad' | 'peek'>
  coinGecko: CoinGecko
  budget: CallBudget
  /** How long a price is fresh. */
  freshMs: number
  now?: Now
  timer?: StartTimer
  log?: SourceLog
}

export function createMarkets(parts: MarketsParts): Markets {
  const { cache, coinGecko, budget, freshMs, now = Date.now, timer = startTimer, log } = parts
  const lasting = { staleMs: DAY, unwaitedMs: UNWAITED_FRESH_TIMES * freshMs, tags: ['coins'] }
  // From when it was fetched, so that coins of one call are renewed by one call.
  const remainingMs = ({ fetchedAt }: Coin) => Math.max(0, Date.parse(fetchedAt) + freshMs - now())
  const coinPolicy: CachePolicy<Coin> = { ...lasting, freshMs: remainingMs, parse: coinSchema.parse }
  const checkPolicy: CachePolicy<Coin> = {
    ...coinPolicy,
    unwaitedMs: 0,
    freshMs: (coin) => Math.min(remainingMs(coin), coin.week.length > 0 ? freshMs : CHARTLESS_FRESH_MS),
  }
  const orderPolicy = { ...lasting, freshMs: ORDER_FRESH_TIMES * freshMs, parse: z.array(z.string()).parse }
  const source = createCoinSource({ coinGecko, budget, freshMs, now, timer, ...(log && { log }) })
  const begun = new Map<Currency, Promise<unknown>>()
  let answered = 0

  /** Ids in the order of market capitalisation; the coins that came with them are kept for the next reader. */
  async function order(vs: Currency, page: number, admit?: Admit): Promise<readonly string[]> {
    const isFirst = page === FIRST_PAGE
    async function load({ generation, isCleared }: LoadAsked): Promise<string[]> {
      // After a soft clear there are copies: strangers' clears leave some of the budget to who has none.
      const purpose = isFirst && !isCleared ? 'prices' : 'more'
      const coins = await source.largest(vs, page, { generation, purpose, mustFind: isFirst })
      if (isFirst) begun.set(vs, Promise.resolve())
      return coins.map(({ id }) => id)
    }
    const policy = { ...orderPolicy, ...(admit && { admit }) }
    const { value = [] } = await cache.getOrLoad(`coins:largest:${vs}:${page}`, policy, load)
    return value
  }

  // From cold, one call brings the coins that most readers ask for; only the others are asked for by name, and all
  // where it takes long.
  async function begin(vs: Currency): Promise<void> {
    // For all who come: it must not end with the first one's request.
    const beginning = begun.get(vs) ?? withRequestSignal(undefined, () => order(vs, FIRST_PAGE))
    begun.set(vs, beginning)
    const ended = beginning.catch((error) => {
      if (begun.get(vs) === beginning) begun.delete(vs)
      if (!(error instanceof Refusal)) throw error
    })
    let stop = () => {}
    const patience = new Promise<void>((resolve) => {
      stop = timer(LIST_PATIENCE_MS, resolve)
    })
    await Promise.race([ended, patience]).finally(() => stop())
  }

  function read(id: string, vs: Currency, policy = coinPolicy, need: Need = 'chart'): Promise<Cached<Coin>> {
    return cache.getOrLoad(coinKey(id, vs), policy, async (asked) => {
      // A check wants the prices that it names, and no list.
      if (need === 'chart') await begin(vs)
      return source.load(id, vs, asked, need)
    })
  }

  const admitted = (admit: Admit | undefined) => (admit ? { ...coinPolicy, admit } : coinPolicy)

  async function readAll(
    ids: readonly string[],
    vs: Currency,
    policy = coinPolicy,
    need: Need = 'chart',
  ): Promise<CoinList> {
    const results = await Promise.allSettled(ids.map((id) => read(id, vs, policy, need)))
    const list = { coins: [] as Cached<Coin>[], unknown: [] as string[], unavailable: [] as string[] }
    let failure: unknown
    for (const [i, id] of ids.entries()) {
      const result = results[i]
      if (result?.status === 'fulfilled') {
        if (result.value.value) list.coins.push(result.value)
        else list.unknown.push(id)
        continue
      }
      failure = result?.reason
      if (!(failure instanceof Refusal)) throw failure
      list.unavailable.push(id)
    }
    if (failure && list.coins.length === 0) throw failure
    return list
  }

  async function freshPrices(ids: readonly string[], vs: Currency) {
    const { coins } = await readAll(ids, vs, checkPolicy, 'price')
    return new Map(
      coins.flatMap(({ value, outcome }): [string, MarketPrice][] =>
        value && value.price !== null
          ? [[value.id, { price: value.price, asOf: value.asOf, isStale: outcome === 'stale' }]]
          : [],
      ),
    )
  }

  async function unpriced(ids: readonly string[], vs: Currency) {
    try {
      const { coins, unknown } = await readAll(ids, vs, coinPolicy, 'price')
      return new Set([...unknown, ...coins.flatMap(({ value }) => (value?.price === null ? value.id : []))])
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      return new Set<string>()
    }
  }

  async function counted<T>(answer: Promise<T>): Promise<T> {
    const given = await answer
    answered += 1
    return given
  }

  async function largest(vs: Currency, from: number, count: number, admit?: Admit): Promise<CoinList> {
    const pages: Promise<readonly string[]>[] = []
    for (let at = from - (from % COINS_A_CALL); at < from + count; at += COINS_A_CALL) {
      pages.push(order(vs, FIRST_PAGE + at / COINS_A_CALL, admit))
    }
    const ids = (await Promise.all(pages)).flat()
    const first = from % COINS_A_CALL
    return readAll([...new Set(ids.slice(first, first + count))], vs, admitted(admit))
  }

  async function history(id: string, vs: Currency, days: Span, admit?: Admit): Promise<Cached<History>> {
    const policy: CachePolicy<History> = {
      staleMs: DAY,
      tags: ['coins'],
      freshMs: Math.max(freshMs, HISTORY_FRESH_MS[days]),
      parse: historySchema.parse,
      ...(admit && { admit }),
    }
    return cache.getOrLoad(historyKey(id, vs, days), policy, async () => {
      // That there is no such coin costs a place in a batch, and not a call for each made-up id.
      const { value } = await read(id, vs)
      if (!value) return undefined
      const found = await budget.spend('more', () => coinGecko.history(id, vs, days))
      // An empty one of a coin that has a price would take the place of a good one.
      if (found?.points.length === 0 && value.price !== null) throw pricesUnavailable(MINUTE)
      return found
    })
  }

  function peeked<T>(found: Cached<T> | undefined) {
    if (found) answered += 1
    return found
  }

  return {
    peekCoin: (id, vs) => peeked(cache.peek(coinKey(id, vs), coinPolicy)),
    peekHistory: (id, vs, days) =>
      peeked(cache.peek<History>(historyKey(id, vs, days), { parse: historySchema.parse })),
    coin: (id, vs, admit) => counted(read(id, vs, admitted(admit))),
    coins: (ids, vs, admit) => counted(readAll(ids, vs, admitted(admit))),
    unpriced,
    freshPrices: (ids, vs) => counted(freshPrices(ids, vs)),
    largest: (vs, from, count, admit) => counted(largest(vs, from, count, admit)),
    history: (id, vs, days, admit) => counted(history(id, vs, days, admit)),
    async stats() {
      const report = await budget.report()
      return {
        answered,
        saved: Math.max(0, answered - report.calls),
        badRows: source.badRows(),
        ...report,
      }
    },
  }
}

/** An id as it is, unless it would be another key's: a colon separates parts of keys. */
const inKey = (id: string) => id.replace(/[%:]/g, encodeURIComponent)

const historyKey = (id: string, vs: Currency, days: Span) => `coin_history:${inKey(id)}:${vs}:${days}`

const coinKey = (id: string, vs: Currency) =>
  vs === 'usd' ? `coin_details:${inKey(id)}` : `coin_details:${inKey(id)}:${vs}`
