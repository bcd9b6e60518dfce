// GET /, the page; GET /status, what keeps it current; and its static files.
import { Router } from 'express'
import { z } from 'zod'
import { languageOf, type PageLanguage, pageLanguages, serveFiles } from '../../http/page.ts'
import { endpoint, parse } from '../../http/parse.ts'
import { lastOutage, type RoleOutage } from './last-outage.ts'
import { homeHtml, type PageCountry, type PageLink, type PageStatus } from './page-html.ts'

const query = z.object({
  lang: z.enum(pageLanguages, { error: 'must be en or ru' }).optional(),
  q: z.string({ error: 'must be given once' }).max(100, 'may have at most 100 characters').trim().default(''),
})

export interface PageParts {
  status: () => Omit<PageStatus, 'lastOutage'>
  outages: () => readonly RoleOutage[]
  /** The countries whose name, capital or code contains the text; all when it is empty. */
  searchCountries: ((language: PageLanguage, text: string) => Promise<readonly PageCountry[]>) | undefined
  /** The links of the features that run. */
  navigation: () => readonly PageLink[]
}

export function pageRoutes({ status, outages, searchCountries, navigation }: PageParts): Router {
  const router = Router()
  const pageStatus = () => ({ ...status(), lastOutage: lastOutage(outages(), Date.now()) ?? null })
  serveFiles(router, '/static/page', import.meta.url)
  endpoint(router, '/status', {
    get: (_req, res) => void res.set('Cache-Control', 'no-store').json(pageStatus()),
  })
  endpoint(router, '/', {
    async get(req, res) {
      const { lang, q } = parse(query, req.query)
      const language = lang ?? languageOf(req)
      const countries = await searchCountries?.(language, q)
      res.set({ 'Cache-Control': 'no-cache', 'Content-Language': language, Vary: 'Accept-Language' })
      res
        .type('html')
        .send(homeHtml({ language, query: q, links: navigation(), status: pageStatus(), countries }))
    },
  })
  return router
}
