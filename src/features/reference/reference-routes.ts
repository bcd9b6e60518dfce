// GET /api/countries, GET /api/countries/:code, and POST /api/reference/refresh.
import { type RequestHandler, Router } from 'express'
import { z } from 'zod'
import { notFound } from '../../errors.ts'
import { type CachedRoute, cachedRoute } from '../../http/cached-response.ts'
import { endpoint, parse } from '../../http/parse.ts'
import { etagOf } from '../../lib/etag.ts'
import { languages, matches } from './country.ts'
import type { Reference } from './reference.ts'

const language = z.enum(languages, { error: 'must be en or ru' }).default('en')
const listQuery = z.object({
  lang: language,
  q: z.string({ error: 'must be given once' }).max(100, 'may have at most 100 characters').trim().optional(),
})
const codeQuery = z.object({ lang: language })
const code = z
  .string()
  .regex(/^[A-Za-z]{2}$/, 'a country code has two letters, such as DE')
  .transform((given) => given.toUpperCase())

export interface ReferenceRoutesParts {
  reference: Reference
  /** Refuses everybody but the admin. */
  guard: RequestHandler
}

export function cachedReference(reference: Reference): CachedRoute[] {
  return [
    cachedRoute({
      path: '/api/countries',
      parse: ({ query }) => parse(listQuery, query),
      peek: ({ lang, q }) => (q ? undefined : reference.peekList(lang)),
      async read({ lang, q }) {
        const list = await reference.list(lang)
        if (!q) return list
        const countries = (list.value?.countries ?? []).filter((country) => matches(country, q))
        const body = Buffer.from(JSON.stringify({ ...list.value, total: countries.length, countries }))
        return { ...list, body, etag: etagOf(body), isOneOff: true }
      },
    }),
    cachedRoute({
      path: '/api/countries/:code',
      parse: ({ params, query }) => ({ ...parse(codeQuery, query), wanted: parse(code, params.code) }),
      peek: ({ wanted, lang }) => reference.peek(wanted, lang),
      async read({ wanted, lang }) {
        const country = await reference.find(wanted, lang)
        if (!country.value) throw notFound(`A country with the code ${wanted}`)
        return country
      },
    }),
  ]
}

export function referenceRoutes({ reference, guard }: ReferenceRoutesParts): Router {
  const router = Router()
  endpoint(router, '/api/reference/refresh', {
    post: [
      guard,
      async (_req, res) => void res.set('Cache-Control', 'no-store').json(await reference.refresh()),
    ],
  })
  return router
}
