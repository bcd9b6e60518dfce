// GET /api/coins/:id and its history: what many ask for, so a price in memory is sent before anything of Express is
// asked, and its JSON is made once.
import type { Request } from 'express'
import { z } from 'zod'
import type { Cached } from '../../core/cache/cached.ts'
import { notFound } from '../../errors.ts'
import type { Admit } from '../../feature.ts'
import { type CachedBody, type CachedRoute, cachedRoute } from '../../http/cached-response.ts'
import { parse } from '../../http/parse.ts'
import { etagOf } from '../../lib/etag.ts'
import { coinId } from '../../lib/text/coin-id.ts'
import { type Coin, currencies, type History, spans } from './coin.ts'
import type { Markets } from './markets.ts'

type Fetched = Coin | History
type Json = Pick<CachedBody, 'body' | 'etag'>

export const vs = z.enum(currencies, { error: `must be one of ${currencies.join(', ')}` }).default('usd')
export const count = (max: number) =>
  z
    .string({ error: 'must be given once' })
    .regex(/^[1-9]\d{0,4}$/, `must be a whole number from 1 to ${max}`)
    .transform(Number)
    .refine((value) => value <= max, `must be from 1 to ${max}`)
const coinQuery = z.object({ vs })
const historyQuery = z.object({
  vs,
  days: z
    .enum(spans.map(String), { error: `must be one of ${spans.join(', ')}` })
    .default('7')
    .transform((given) => spans.find((span) => String(span) === given) ?? 7),
})

export interface CoinRoutesParts {
  markets: Pick<Markets, 'coin' | 'history' | 'peekCoin' | 'peekHistory'>
  admitReads: (req: Request) => Admit
}

export function cachedCoins({ markets, admitReads }: CoinRoutesParts): CachedRoute[] {
  const fresh = new WeakMap<Fetched, Json>()
  const stale = new WeakMap<Fetched, Json>()

  function bodyOf<T extends Fetched>(cached: Cached<T>): CachedBody | undefined {
    const { value, outcome, freshUntilMs } = cached
    if (!value) return undefined
    const made = outcome === 'stale' ? stale : fresh
    const json = made.get(value) ?? jsonOf(shown(cached))
    made.set(value, json)
    return { outcome, freshUntilMs, storedAtMs: Date.parse(value.fetchedAt), ...json }
  }

  function sent<T extends Fetched>(id: string, cached: Cached<T>): CachedBody {
    const body = bodyOf(cached)
    if (!body) throw notFound(`A coin with the id ${id}`)
    return body
  }

  function peeked<T extends Fetched>(found: Cached<T> | undefined) {
    return found && bodyOf(found)
  }

  return [
    cachedRoute({
      path: '/api/coins/:id',
      parse: ({ params, query }) => ({ ...parse(coinQuery, query), id: parse(coinId, params.id) }),
      peek: ({ id, vs }) => peeked(markets.peekCoin(id, vs)),
      read: async ({ id, vs }, req) => sent(id, await markets.coin(id, vs, admitReads(req))),
    }),
    cachedRoute({
      path: '/api/coins/:id/history',
      parse: ({ params, query }) => ({ ...parse(historyQuery, query), id: parse(coinId, params.id) }),
      peek: ({ id, vs, days }) => peeked(markets.peekHistory(id, vs, days)),
      read: async ({ id, vs, days }, req) => sent(id, await markets.history(id, vs, days, admitReads(req))),
    }),
  ]
}

/** The value as it is shown; `stale` when it is older than it should be. */
export function shown<T>({ value, outcome }: Cached<T>): T & { stale: boolean } {
  return { ...(value as T), stale: outcome === 'stale' }
}

export function jsonOf(json: object): Json {
  const body = Buffer.from(JSON.stringify(json))
  return { body, etag: etagOf(body) }
}
