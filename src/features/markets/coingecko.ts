// CoinGecko's API (https://docs.coingecko.com): its addresses, keys and words stop here.
import { z } from 'zod'
import { FetchFailed, type JsonFetcher } from '../../http/fetch-json.ts'
import { type Now, SECOND } from '../../lib/time.ts'
import type { Currency, History, Span } from './coin.ts'
import type { AnswerSize } from './source/answer-size.ts'
import { failureIn } from './source/failure-reason.ts'
import { type CoinRows, coinsOfPrices, coinsOfRows } from './source/market-rows.ts'

/** What one call may bring, by CoinGecko's own limit. */
export const COINS_A_CALL = 250
/** Less is asked for after that; nothing is, where there is nothing less. */
const TOTAL_MS: Readonly<Record<AnswerSize, number>> = {
  charts: 6 * SECOND,
  rows: 10 * SECOND,
  prices: 10 * SECOND,
}

export interface CoinGecko {
  /** Those of these coins that exist, in no order. */
  coins(vs: Currency, ids: readonly string[], size?: AnswerSize): Promise<CoinRows>
  /** The largest coins by market capitalisation, 250 a page; pages count from 1. */
  largest(vs: Currency, page: number, size?: Exclude<AnswerSize, 'prices'>): Promise<CoinRows>
  /** Undefined when there is no such coin. */
  history(id: string, vs: Currency, days: Span): Promise<History | undefined>
}

export interface CoinGeckoOptions {
  /** Without a slash at its end. */
  url: string
  apiKey: string | undefined
  plan: 'demo' | 'pro'
  fetchJson: JsonFetcher['fetchJson']
  now?: Now
}

const rowsSchema = z.array(z.unknown())
const pricesSchema = z.record(z.string(), z.unknown())
const chartSchema = z.object({ prices: z.array(z.unknown()) })
const LAST_MOMENT_MS = 8.64e15 // that a Date can be
const pointSchema = z.tuple([z.number().min(0).max(LAST_MOMENT_MS), z.number().nonnegative()])

export function createCoinGecko({
  url,
  apiKey,
  plan,
  fetchJson,
  now = Date.now,
}: CoinGeckoOptions): CoinGecko {
  const headers = apiKey === undefined ? {} : { [`x-cg-${plan}-api-key`]: apiKey }

  /** Values are text, or lists, which CoinGecko separates by commas. */
  async function get<T>(
    path: string,
    query: Readonly<Record<string, string | readonly string[]>>,
    schema: z.ZodType<T>,
    totalMs?: number,
  ): Promise<T> {
    const address = new URL(`${url}${path}`)
    address.search = Object.entries(query)
      .map(([name, value]) => `${name}=${[value].flat().map(encodeURIComponent).join(',')}`)
      .join('&')
    const json = await fetchJson({
      url: address,
      headers,
      schema: z.unknown(),
      once: true,
      ...(totalMs !== undefined && { totalMs }),
    })
    const parsed = schema.safeParse(json)
    const failure = failureIn(json)
    if (failure) throw failure
    if (parsed.success) return parsed.data
    throw new FetchFailed('malformed', { status: 200, cause: parsed.error })
  }

  async function markets(vs: Currency, size: AnswerSize, query: Record<string, string | readonly string[]>) {
    const all = {
      vs_currency: vs,
      per_page: String(COINS_A_CALL),
      sparkline: String(size === 'charts'),
      price_change_percentage: ['1h', '7d'],
      ...query,
    }
    const rows = await get('/coins/markets', all, rowsSchema, TOTAL_MS[size])
    return usable(coinsOfRows(rows, { vs, fetchedAt: isoNow() }), rows.length)
  }

  async function prices(vs: Currency, ids: readonly string[]): Promise<CoinRows> {
    const query = {
      ids,
      vs_currencies: vs,
      include_market_cap: 'true',
      include_24hr_vol: 'true',
      include_24hr_change: 'true',
      include_last_updated_at: 'true',
      precision: 'full',
    }
    const found = await get('/simple/price', query, pricesSchema, TOTAL_MS.prices)
    return usable(coinsOfPrices(found, { vs, fetchedAt: isoNow() }), Object.keys(found).length)
  }

  async function chart(id: string, vs: Currency, days: Span): Promise<History> {
    const query = { vs_currency: vs, days: String(days) }
    const answer = await get(`/coins/${encodeURIComponent(id)}/market_chart`, query, chartSchema)
    const points = answer.prices.flatMap((given) => {
      const point = pointSchema.safeParse(given)
      return point.success ? [point.data] : []
    })
    const asOf = new Date(points.at(-1)?.[0] ?? now()).toISOString()
    return { id, vs, days, points, asOf, fetchedAt: isoNow() }
  }

  const isoNow = () => new Date(now()).toISOString()

  return {
    coins: (vs, ids, size = 'charts') => (size === 'prices' ? prices(vs, ids) : markets(vs, size, { ids })),
    largest: (vs, page, size = 'charts') =>
      markets(vs, size, { order: 'market_cap_desc', page: String(page) }),
    async history(id, vs, days) {
      try {
        return await chart(id, vs, days)
      } catch (error) {
        if (error instanceof FetchFailed && error.status === 404) return undefined
        throw error
      }
    },
  }
}

/** One bad row costs that row; where not even an id is one, it is the answer that is bad. */
function usable(found: CoinRows, rows: number): CoinRows {
  if (rows > 0 && found.coins.length === 0 && found.bad.length === 0) throw new FetchFailed('malformed')
  return found
}
