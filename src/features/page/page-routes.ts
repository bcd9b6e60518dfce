// GET /, the page; GET /status, what keeps it current, and the page itself where / is another; and its static files.
import { type Request, type RequestHandler, Router } from 'express'
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
  /** `ours`, `own`, or where visitors of / are sent. */
  home: string
  status: () => Omit<PageStatus, 'lastOutage'>
  outages: () => readonly RoleOutage[]
  /** The countries whose name, capital or code contains the text; all when it is empty. */
  searchCountries: ((language: PageLanguage, text: string) => Promise<readonly PageCountry[]>) | undefined
}

export function pageRoutes({ home, status, outages, searchCountries }: PageParts): Router {
  const router = Router()
  const pageStatus = () => ({ ...status(), lastOutage: lastOutage(outages(), Date.now()) ?? null })
  const isElsewhere = home !== 'ours'
  const path = isElsewhere ? '/status' : '/'
  const sendPage: RequestHandler = async (req, res) => {
    const { lang, q, all } = parse(query, req.query)
    const language = lang ?? languageOf(req)
    const countries = await searchCountries?.(language, q)
    res.set('Cache-Control', 'private, no-cache')
    await sendOwnPage(
      res,
      homeHtml({ path, language, query: q, showsAll: all === 'true', status: pageStatus(), countries }),
    )
  }
  serveFiles(router, '/static/page', import.meta.url)
  endpoint(router, '/status', {
    get: (req, res, next) => {
      // A browser that is led here sees the page, which itself asks for JSON.
      if (isElsewhere) res.vary('Accept')
      if (isElsewhere && req.accepts(['json', 'html']) === 'html') return sendPage(req, res, next)
      res.set('Cache-Control', 'no-store').json(pageStatus())
    },
  })
  if (home === 'ours') endpoint(router, '/', { get: sendPage })
  else if (home !== 'own') endpoint(router, '/', { get: (req, res) => res.redirect(302, homeFor(req)) })
  return router

  /** A path keeps what was asked, the language for example. */
  function homeFor({ url, path: asked }: Request): string {
    return home.startsWith('/') && !home.includes('?') ? home + url.slice(asked.length) : home
  }
}
