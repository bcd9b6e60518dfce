// GET /, the page; GET /status, what keeps it current; and its static files.
import { Router } from 'express'
import { z } from 'zod'
import { languageOf, type PageLanguage, pageLanguages, sendOwnPage, serveFiles } from '../../http/page.ts'
import { endpoint, parse } from '../../http/parse.ts'
import { lastOutage, type RoleOutage } from './last-outage.ts'
import { homeHtml, type PageCountry, type PageStatus } from './page-html.ts'

const query = z.object({
  lang: z.enum(pageLanguages, { error: 'must be en or ru' }).optional(),
  q: z.string({ error: 'must be given once' }).max(100, 'may have at most 100 characters').trim().default(''),
  all: z.enum(['true', 'false'], { error: 'must be true or false' }).default('false'),
})

export interface PageParts {
  status: () => Omit<PageStatus, 'lastOutage'>
  outages: () => readonly RoleOutage[]
  /** The countries whose name, capital or code contains the text; all when it is empty. */
  searchCountries: ((language: PageLanguage, text: string) => Promise<readonly PageCountry[]>) | undefined
}

export function pageRoutes({ status, outages, searchCountries }: PageParts): Router {
  const router = Router()
  const pageStatus = () => ({ ...status(), lastOutage: lastOutage(outages(), Date.now()) ?? null })
  serveFiles(router, '/static/page', import.meta.url)
  endpoint(router, '/status', {
    get: (_req, res) => void res.set('Cache-Control', 'no-store').json(pageStatus()),
  })
  endpoint(router, '/', {
    async get(req, res) {
      const { lang, q, all } = parse(query, req.query)
      const language = lang ?? languageOf(req)
      const countries = await searchCountries?.(language, q)
      res.set('Cache-Control', 'private, no-cache')
      await sendOwnPage(
        res,
        homeHtml({ language, query: q, showsAll: all === 'true', status: pageStatus(), countries }),
      )
    },
  })
  return router
}
