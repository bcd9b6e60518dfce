// GET /api/markets/stats, and the page at /markets.

import { type Request, Router } from 'express'
import { z } from 'zod'
import type { Admit } from '../../feature.ts'
import { languageOf, type PageLanguage, pageLanguages, sendOwnPage, serveFiles } from '../../http/page.ts'
import { endpoint, parse } from '../../http/parse.ts'
import { asAppError } from '../../http/problem.ts'
import type { Html } from '../../lib/html.ts'
import type { Coin } from './coin.ts'
import { count, shown, vs } from './coin-routes.ts'
import { COINS_A_CALL } from './coingecko.ts'
import { LISTED_COINS, type Markets } from './markets.ts'
import { COINS_A_PAGE, marketsHtml } from './markets-html.ts'

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
