// Coins from what CoinGecko sends: rows of /coins/markets, and prices alone from /simple/price. A row that is wrong
// costs that row, and no other: it is counted, and its coin is one whose price cannot be had at the moment.
import { z } from 'zod'
import { isCoinId } from '../../../lib/text/coin-id.ts'
import type { Coin, Currency } from '../coin.ts'

const WEEK_STEP = 4 // of the hourly prices of a week, every fourth is enough for a small chart

export interface CoinRows {
  readonly coins: readonly Coin[]
  /** Ids of rows that could not be used. */
  readonly bad: readonly string[]
  /** All of those rows, also where even the id is wrong, and rows that came twice. */
  readonly dropped: number
}

export interface RowsParts {
  readonly vs: Currency
  /** When it was asked for. */
  readonly fetchedAt: string
}

const DECIMAL = /^\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?\s*$/i
const asNumber = (value: unknown) =>
  typeof value === 'string' && DECIMAL.test(value) ? Number(value) : value

// What is only shown beside a price is left out when it is of another shape.
const figure = z.preprocess(asNumber, z.number().nullish().catch(null))
const text = z.string().nullish().catch(null)
const moment = z
  .string()
  .refine((given) => !Number.isNaN(Date.parse(given)))
  .nullish()
  .catch(null)
/** Nothing costs less than nothing; 0 is a price. */
const price = z.preprocess(asNumber, z.number().nonnegative().nullish())
const id = z.string().refine(isCoinId)

const rowSchema = z.object({
  id,
  symbol: text,
  name: text,
  image: text,
  current_price: price,
  market_cap: figure,
  market_cap_rank: figure,
  total_volume: figure,
  high_24h: figure,
  low_24h: figure,
  price_change_percentage_24h: figure,
  price_change_percentage_1h_in_currency: figure,
  price_change_percentage_7d_in_currency: figure,
  circulating_supply: figure,
  max_supply: figure,
  ath: figure,
  ath_date: moment,
  last_updated: moment,
  sparkline_in_7d: z
    .object({ price: z.array(figure) })
    .nullish()
    .catch(null),
})

/** Of an answer of /coins/markets. */
export function coinsOfRows(rows: readonly unknown[], parts: RowsParts): CoinRows {
  return collect(rows, idOf, (row) => {
    const parsed = rowSchema.safeParse(row)
    return parsed.success ? coinOfRow(parsed.data, parts) : undefined
  })
}

/** Of an answer of /simple/price: prices without the rest, under their ids as names. */
export function coinsOfPrices(prices: Readonly<Record<string, unknown>>, parts: RowsParts): CoinRows {
  const { vs } = parts
  const schema = z.object({
    [vs]: price,
    [`${vs}_market_cap`]: figure,
    [`${vs}_24h_vol`]: figure,
    [`${vs}_24h_change`]: figure,
    last_updated_at: figure,
  })
  return collect(
    Object.entries(prices),
    ([name]) => name,
    ([name, value]) => {
      const parsed = schema.safeParse(value)
      if (!parsed.success || !isCoinId(name)) return undefined
      const found = parsed.data as Record<string, number | null | undefined>
      const { last_updated_at: atS } = found
      return {
        ...unknownCoin(name, parts),
        price: found[vs] ?? null,
        change24hPercent: found[`${vs}_24h_change`] ?? null,
        volume24h: found[`${vs}_24h_vol`] ?? null,
        marketCap: found[`${vs}_market_cap`] ?? null,
        asOf: notLater(atS ? isoOf(atS * 1_000) : undefined, parts.fetchedAt),
      }
    },
  )
}

/** What is known of a coin, with the newest price of it. */
export function withPriceOf(known: Coin, newer: Coin): Coin {
  const { price, change24hPercent, volume24h, marketCap, asOf, fetchedAt } = newer
  return { ...known, price, change24hPercent, volume24h, marketCap, asOf, fetchedAt }
}

function collect<R>(
  rows: readonly R[],
  nameOf: (row: R) => unknown,
  coinOf: (row: R) => Coin | undefined,
): CoinRows {
  const coins = new Map<string, Coin>()
  const bad = new Set<string>()
  let dropped = 0
  for (const row of rows) {
    const name = nameOf(row)
    const coin = coins.has(String(name)) ? undefined : coinOf(row)
    if (coin) coins.set(coin.id, coin)
    else {
      dropped += 1
      if (typeof name === 'string' && isCoinId(name)) bad.add(name)
    }
  }
  return { coins: [...coins.values()], bad: [...bad].filter((name) => !coins.has(name)), dropped }
}

const idOf = (row: unknown) => (row as { id?: unknown } | null)?.id

function unknownCoin(id: string, { vs, fetchedAt }: RowsParts): Coin {
  return {
    id,
    symbol: id,
    name: id,
    image: null,
    rank: null,
    vs,
    price: null,
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
    asOf: fetchedAt,
    fetchedAt,
  }
}

function coinOfRow(row: z.infer<typeof rowSchema>, { vs, fetchedAt }: RowsParts): Coin {
  return {
    id: row.id,
    symbol: row.symbol || row.id,
    name: row.name || row.symbol || row.id,
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
    asOf: notLater(row.last_updated, fetchedAt),
    fetchedAt,
  }
}

/** ISO, undefined for what is no moment. */
function isoOf(ms: number): string | undefined {
  const date = new Date(ms)
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString()
}

/** A price is not newer than the answer that brought it, whatever it says. */
const notLater = (moment: string | null | undefined, fetchedAt: string) =>
  moment && Date.parse(moment) <= Date.parse(fetchedAt) ? moment : fetchedAt

/** Fewer points, the newest one among them, with as many digits as a chart can show. */
function weekOf(hourly: readonly (number | null | undefined)[]): number[] {
  const newest = hourly.length - 1
  return hourly
    .filter((price, i): price is number => typeof price === 'number' && (newest - i) % WEEK_STEP === 0)
    .map((price) => Number(price.toPrecision(5)))
}
