// GET /, the page; GET /status, what keeps it current; and its static files.
import { fileURLToPath } from 'node:url'
import { Router, static as serveStatic } from 'express'
import { z } from 'zod'
import { endpoint, parse } from '../../http/parse.ts'
import { MINUTE } from '../../lib/time.ts'
import { lastOutage, type RoleOutage } from './last-outage.ts'
import { type PageCountry, type PageStatus, pageHtml } from './page-html.ts'
import type { PageLanguage } from './texts.ts'

const query = z.object({
  lang: z.enum(['en', 'ru'], { error: 'must be en or ru' }).optional(),
  q: z.string({ error: 'must be given once' }).max(100, 'may have at most 100 characters').trim().default(''),
})

export interface PageParts {
  status: () => Omit<PageStatus, 'lastOutage'>
  outages: () => readonly RoleOutage[]
  /** The countries whose name, capital or code contains the text; all when it is empty. */
  searchCountries: (language: PageLanguage, text: string) => Promise<readonly PageCountry[]>
}

export function pageRoutes({ status, outages, searchCountries }: PageParts): Router {
  const router = Router()
  const pageStatus = () => ({ ...status(), lastOutage: lastOutage(outages(), Date.now()) ?? null })
  const files = fileURLToPath(new URL('./static/', import.meta.url))
  router.use('/static', serveStatic(files, { index: false, maxAge: MINUTE, etag: true }))
  endpoint(router, '/status', {
    get: (_req, res) => void res.set('Cache-Control', 'no-store').json(pageStatus()),
  })
  endpoint(router, '/', {
    async get(req, res) {
      const { lang, q } = parse(query, req.query)
      const language = lang ?? (req.acceptsLanguages('en', 'ru') === 'ru' ? 'ru' : 'en')
      const countries = await searchCountries(language, q)
      res.set({ 'Cache-Control': 'no-cache', 'Content-Language': language, Vary: 'Accept-Language' })
      res.type('html').send(pageHtml({ language, query: q, status: pageStatus(), countries }))
    },
  })
  return router
}
