// GET /api/coins: a list is put together for each request, of coins in memory, and compressed as what is cached.
import type { Request } from 'express'
import { z } from 'zod'
import type { CacheOutcome } from '../../core/cache/cached.ts'
import type { Admit } from '../../feature.ts'
import { type CachedBody, type CachedRoute, cachedRoute } from '../../http/cached-response.ts'
import { parse } from '../../http/parse.ts'
import { coinId } from '../../lib/text/coin-id.ts'
import { count, jsonOf, shown, vs } from './coin-routes.ts'
import { COINS_A_CALL } from './coingecko.ts'
import { type CoinList, LISTED_COINS, type Markets } from './markets.ts'

const DEFAULT_LIST = 50
const ids = z
  .string({ error: 'must be given once' })
  .transform((given) => [...new Set(given.split(','))])
  .pipe(z.array(coinId).max(COINS_A_CALL, `may name at most ${COINS_A_CALL} coins`))
const listQuery = z
  .object({
    ids: ids.optional(),
    vs,
    page: count(LISTED_COINS).default(1),
    perPage: count(COINS_A_CALL).optional(),
  })
  .refine(
    ({ page, perPage = DEFAULT_LIST }) => page * perPage <= LISTED_COINS,
    `the list ends after ${LISTED_COINS} coins`,
  )
export interface CachedListsParts {
  markets: Pick<Markets, 'coins' | 'largest'>
  admitReads: (req: Request) => Admit
}

export const cachedLists = ({ markets, admitReads }: CachedListsParts): CachedRoute =>
  cachedRoute({
    path: '/api/coins',
    parse: ({ query }) => parse(listQuery, query),
    peek: () => undefined, // the coins of a list are asked for together
    async read({ ids, vs, page, perPage = ids ? COINS_A_CALL : DEFAULT_LIST }, req) {
      const from = (page - 1) * perPage
      const list = ids
        ? await markets.coins(ids.slice(from, from + perPage), vs, admitReads(req))
        : await markets.largest(vs, from, perPage, admitReads(req))
      const coins = list.coins.map(shown)
      const { unknown, unavailable } = list
      return asOne(list, { vs, page, perPage, ...summary(list), coins, unknown, unavailable })
    },
  })

/**
 * Of a list: since when its prices were true at the latest, and whether any is stale. It is when CoinGecko was asked:
 * coins that are not traded any more have an `asOf` of years ago, which is none of the others'.
 */
function summary({ coins }: CoinList) {
  const times = coins.flatMap(({ value }) => value?.fetchedAt ?? [])
  return { asOf: times.sort()[0] ?? null, stale: coins.some(({ outcome }) => outcome === 'stale') }
}

/** A list is as old as its oldest coin. */
function asOne({ coins }: CoinList, json: object): CachedBody {
  const nowMs = Date.now()
  const outcomes = coins.map(({ outcome }) => outcome)
  const outcome =
    (['stale', 'bypass', 'miss'] as CacheOutcome[]).find((one) => outcomes.includes(one)) ?? 'hit'
  const freshUntilMs = Math.min(...coins.map((coin) => coin.freshUntilMs))
  const fetchedAtMs = Math.min(nowMs, ...coins.map(({ value }) => Date.parse(value?.fetchedAt ?? '')))
  return {
    outcome,
    freshUntilMs: coins.length > 0 ? freshUntilMs : nowMs,
    storedAtMs: fetchedAtMs,
    ...jsonOf(json),
    isBrief: true,
  }
}
