// GET /api/coins, GET /api/markets/stats, and the page at /markets.

import { type Request, Router } from 'express'
import { z } from 'zod'
import type { CacheOutcome } from '../../core/cache/cached.ts'
import type { Admit } from '../../feature.ts'
import { type CachedBody, sendCached } from '../../http/cached-response.ts'
import { languageOf, type PageLanguage, pageLanguages, sendOwnPage, serveFiles } from '../../http/page.ts'
import { endpoint, parse } from '../../http/parse.ts'
import { asAppError } from '../../http/problem.ts'
import type { Html } from '../../lib/html.ts'
import { coinId } from '../../lib/text/coin-id.ts'
import type { Coin } from './coin.ts'
import { jsonOf, shown, vs } from './coin-routes.ts'
import { COINS_A_CALL } from './coingecko.ts'
import { type CoinList, LISTED_COINS, type Markets } from './markets.ts'
import { COINS_A_PAGE, marketsHtml } from './markets-html.ts'

const DEFAULT_LIST = 50
const ids = z
  .string({ error: 'must be given once' })
  .transform((given) => [...new Set(given.split(','))])
  .pipe(z.array(coinId).max(COINS_A_CALL, `may name at most ${COINS_A_CALL} coins`))
const count = (max: number) =>
  z
    .string({ error: 'must be given once' })
    .regex(/^[1-9]\d{0,4}$/, `must be a whole number from 1 to ${max}`)
    .transform(Number)
    .refine((value) => value <= max, `must be from 1 to ${max}`)
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
const pageQuery = z.object({
  lang: z.enum(pageLanguages, { error: 'must be en or ru' }).optional(),
  vs,
  q: z.string({ error: 'must be given once' }).max(100, 'may have at most 100 characters').trim().default(''),
  page: count(LISTED_COINS / COINS_A_PAGE).default(1),
})

export interface MarketsRoutesParts {
  markets: Markets
  /** Other features' parts of the page. */
  sections: (req: Request, language: PageLanguage, vs: string) => Promise<readonly Html[]>
  admitReads: (req: Request) => Admit
}

export function marketsRoutes({ markets, sections, admitReads }: MarketsRoutesParts): Router {
  const router = Router()
  serveFiles(router, '/static/markets', import.meta.url)

  endpoint(router, '/api/coins', {
    async get(req, res) {
      const { ids, vs, page, perPage = ids ? COINS_A_CALL : DEFAULT_LIST } = parse(listQuery, req.query)
      const from = (page - 1) * perPage
      const list = ids
        ? await markets.coins(ids.slice(from, from + perPage), vs, admitReads(req))
        : await markets.largest(vs, from, perPage, admitReads(req))
      const coins = list.coins.map(shown)
      const { unknown, unavailable } = list
      sendCached(req, res, asOne(list, { vs, page, perPage, ...summary(list), coins, unknown, unavailable }))
    },
  })

  // Not below /api/coins: a coin may be called stats.
  endpoint(router, '/api/markets/stats', {
    async get(_req, res) {
      res.set('Cache-Control', 'no-store').json(await markets.stats())
    },
  })

  endpoint(router, '/markets', {
    async get(req, res) {
      const { lang, vs, q, page } = parse(pageQuery, req.query)
      const language = lang ?? languageOf(req)
      const shownList = await listFor(req, vs, q, page)
      const stats = await markets.stats()
      const others = await sections(req, language, vs)
      res.set('Cache-Control', 'private, no-cache')
      if (!Array.isArray(shownList)) res.status(shownList.status).set(shownList.headers)
      const coins = Array.isArray(shownList) ? shownList : undefined
      await sendOwnPage(res, marketsHtml({ language, vs, query: q, page, coins, stats, sections: others }))
    },
  })

  /** What the page shows; a refusal where there are no prices at all, which it says in its own words. */
  async function listFor(req: Request, vs: Coin['vs'], q: string, page: number) {
    try {
      const from = q ? 0 : (page - 1) * COINS_A_PAGE
      const { coins } = await markets.largest(vs, from, q ? COINS_A_CALL : COINS_A_PAGE, admitReads(req))
      return coins.map(shown).filter((coin) => matches(coin, q))
    } catch (error) {
      const problem = asAppError(error)
      if (problem.status === 503) return problem
      throw error
    }
  }

  return router
}

function matches({ id, name, symbol }: Pick<Coin, 'id' | 'name' | 'symbol'>, text: string): boolean {
  const wanted = text.toLowerCase()
  return [id, name, symbol].some((word) => word.toLowerCase().includes(wanted))
}

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
  }
}
