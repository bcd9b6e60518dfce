// A coin with its price in one currency, and its history, as the API gives them and the cache holds them.
import { z } from 'zod'

export const currencies = ['usd', 'rub', 'eur'] as const
export type Currency = (typeof currencies)[number]

/** How many days a history covers. */
export const spans = [1, 7, 30, 365] as const
export type Span = (typeof spans)[number]

const figure = z.number().nullable()

export const coinSchema = z.object({
  /** CoinGecko's, such as `bitcoin`. */
  id: z.string(),
  symbol: z.string(),
  name: z.string(),
  image: z.string().nullable(),
  /** By market capitalisation, from 1. */
  rank: figure,
  vs: z.enum(currencies),
  /** Null where CoinGecko knows of no trade. */
  price: figure,
  change1hPercent: figure,
  change24hPercent: figure,
  change7dPercent: figure,
  high24h: figure,
  low24h: figure,
  volume24h: figure,
  marketCap: figure,
  circulatingSupply: figure,
  maxSupply: figure,
  allTimeHigh: figure,
  allTimeHighAt: z.string().nullable(),
  /** Prices of the last seven days, four hours apart, oldest first. */
  week: z.array(z.number()),
  /** When CoinGecko last changed this price. */
  asOf: z.string(),
  /** When we asked for it. */
  fetchedAt: z.string(),
})
export type Coin = z.infer<typeof coinSchema>

export const historySchema = z.object({
  id: z.string(),
  vs: z.enum(currencies),
  days: z.union(spans.map((span) => z.literal(span))),
  /** Moments, in milliseconds since 1970, and prices; oldest first. */
  points: z.array(z.tuple([z.number(), z.number()])),
  asOf: z.string(),
  fetchedAt: z.string(),
})
export type History = z.infer<typeof historySchema>
