// CoinGecko's API (https://docs.coingecko.com): its addresses, keys and words stop here.
import { z } from 'zod'
import { FetchFailed, type JsonFetcher } from '../../http/fetch-json.ts'
import type { Now } from '../../lib/time.ts'
import type { Coin, Currency, History, Span } from './coin.ts'

/** What one call may bring, by CoinGecko's own limit. */
export const COINS_A_CALL = 250
const WEEK_STEP = 4 // of the hourly prices of a week, every fourth is enough for a small chart

export interface CoinGecko {
  /** Those of these coins that exist, in no order. */
  coins(vs: Currency, ids: readonly string[]): Promise<Coin[]>
  /** The largest coins by market capitalisation, 250 a page; pages count from 1. */
  largest(vs: Currency, page: number): Promise<Coin[]>
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

// Optional fields, which are only shown beside a price, are left out when they have another shape.
const number = z.number().nullish().catch(null)
const text = z.string().nullish().catch(null)
const rowSchema = z.object({
  id: z.string(),
  symbol: z.string(),
  name: z.string(),
  image: text,
  current_price: z.number().nullish(),
  market_cap: number,
  market_cap_rank: number,
  total_volume: number,
  high_24h: number,
  low_24h: number,
  price_change_percentage_24h: number,
  price_change_percentage_1h_in_currency: number,
  price_change_percentage_7d_in_currency: number,
  circulating_supply: number,
  max_supply: number,
  ath: number,
  ath_date: text,
  last_updated: text,
  sparkline_in_7d: z
    .object({ price: z.array(z.number().nullable()) })
    .nullish()
    .catch(null),
})
type Row = z.infer<typeof rowSchema>
const rowsSchema = z.array(rowSchema)
const chartSchema = z.object({ prices: z.array(z.tuple([z.number(), z.number().nullable()])) })

export function createCoinGecko({
  url,
  apiKey,
  plan,
  fetchJson,
  now = Date.now,
}: CoinGeckoOptions): CoinGecko {
  const headers = apiKey === undefined ? {} : { [`x-cg-${plan}-api-key`]: apiKey }

  async function get<T>(path: string, query: Record<string, string>, schema: z.ZodType<T>): Promise<T> {
    const address = new URL(`${url}${path}`)
    address.search = new URLSearchParams(query).toString()
    return fetchJson({ url: address, headers, schema, once: true })
  }

  async function markets(vs: Currency, query: Record<string, string>): Promise<Coin[]> {
    const rows = await get(
      '/coins/markets',
      {
        vs_currency: vs,
        per_page: String(COINS_A_CALL),
        sparkline: 'true',
        price_change_percentage: '1h,7d',
        ...query,
      },
      rowsSchema,
    )
    const fetchedAt = new Date(now()).toISOString()
    return rows.map((row) => asCoin(row, vs, fetchedAt))
  }

  return {
    coins: (vs, ids) => markets(vs, { ids: ids.join(',') }),
    largest: (vs, page) => markets(vs, { order: 'market_cap_desc', page: String(page) }),
    async history(id, vs, days) {
      try {
        const query = { vs_currency: vs, days: String(days) }
        const { prices } = await get(`/coins/${id}/market_chart`, query, chartSchema)
        const points = prices.filter((point): point is [number, number] => point[1] !== null)
        const nowMs = now()
        return {
          id,
          vs,
          days,
          points,
          asOf: new Date(points.at(-1)?.[0] ?? nowMs).toISOString(),
          fetchedAt: new Date(nowMs).toISOString(),
        }
      } catch (error) {
        if (error instanceof FetchFailed && error.status === 404) return undefined
        throw error
      }
    },
  }
}

function asCoin(row: Row, vs: Currency, fetchedAt: string): Coin {
  return {
    id: row.id,
    symbol: row.symbol,
    name: row.name,
    image: row.image ?? null,
    rank: row.market_cap_rank ?? null,
    vs,
    price: row.current_price ?? null,
    change1hPercent: row.price_change_percentage_1h_in_currency ?? null,
    change24hPercent: row.price_change_percentage_24h ?? null,
    change7dPercent: row.price_change_percentage_7d_in_currency ?? null,
    high24h: row.high_24h ?? null,
    low24h: row.low_24h ?? null,
    volume24h: row.total_volume ?? null,
    marketCap: row.market_cap ?? null,
    circulatingSupply: row.circulating_supply ?? null,
    maxSupply: row.max_supply ?? null,
    allTimeHigh: row.ath ?? null,
    allTimeHighAt: row.ath_date ?? null,
    week: weekOf(row.sparkline_in_7d?.price ?? []),
    asOf: row.last_updated ?? fetchedAt,
    fetchedAt,
  }
}

/** Fewer points, the newest one among them, with as many digits as a chart can show. */
function weekOf(hourly: readonly (number | null)[]): number[] {
  const newest = hourly.length - 1
  return hourly
    .filter((price, i): price is number => price !== null && (newest - i) % WEEK_STEP === 0)
    .map((price) => Number(price.toPrecision(5)))
}
