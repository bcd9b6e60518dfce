// /admin/login, where a person gives the admin token in a form, and who is let in to the admin's pages: by the cookie
// that this sets, or with the token itself in a header.
import { type Request, type RequestHandler, type Response, Router } from 'express'
import { z } from 'zod'
import { tokenRequiredByPage, tooMany } from '../../errors.ts'
import { isSameSecret } from '../../lib/constant-time.ts'
import { MINUTE } from '../../lib/time.ts'
import type { AdminGuesses } from '../admin-guesses.ts'
import { languageOf, sendOwnPage } from '../page.ts'
import { endpoint, parse } from '../parse.ts'
import { hasTokenOfPage } from '../security.ts'
import type { AdminCookie } from './admin-cookie.ts'
import { prefixOf } from './forwarded-prefix.ts'
import { adminLoginHtml } from './login-html.ts'

const BEHIND_LOGIN = 'jobs/'

/** A path below /admin/ without that, and a query: nothing that leads elsewhere. */
const pathSchema = z
  .string()
  .regex(/^(?!.*\.\.)[\w-]+(\/[\w-]*)*(\?[\w=&%.:-]*)?$/)
  .max(500)
const query = z.object({ to: pathSchema.catch(BEHIND_LOGIN).default(BEHIND_LOGIN) })
const body = z.object({ token: z.string().max(1_000) })

export interface AdminLoginParts {
  token: string
  cookie: AdminCookie
  guesses: Pick<AdminGuesses, 'note' | 'noteToken'>
}

export interface AdminLogin {
  readonly routes: Router
  /** Refuses everybody but the admin, a browser with the form. */
  readonly onlyOnPage: RequestHandler
}

export function createAdminLogin({ token, cookie, guesses }: AdminLoginParts): AdminLogin {
  function showForm(req: Request, res: Response, to: string, isWrong: boolean): Promise<void> {
    const language = languageOf(req)
    const isAdmin = !isWrong && cookie.isIn(req)
    return sendOwnPage(res, adminLoginHtml({ language, prefix: prefixOf(req), to, isWrong, isAdmin }))
  }

  const routes = Router()
  endpoint(routes, '/admin/login', {
    get: (req, res) => showForm(req, res, parse(query, req.query).to, false),
    post(req, res) {
      const { to } = parse(query, req.query)
      if (!isSameSecret(parse(body, req.body ?? {}).token, token)) {
        if (!guesses.noteToken(req)) throw tooMany(MINUTE)
        res.status(401)
        return showForm(req, res, to, true)
      }
      cookie.set(req, res)
      res.set('Cache-Control', 'no-store').redirect(303, `${prefixOf(req)}/admin/${to}`)
    },
  })
  endpoint(routes, '/admin/logout', {
    post(req, res) {
      cookie.clear(req, res)
      res.set('Cache-Control', 'no-store').redirect(303, `${prefixOf(req)}/admin/login`)
    },
  })

  return {
    routes,
    onlyOnPage(req, res, next) {
      if (hasTokenOfPage(req, token) || cookie.isIn(req)) return next()
      if (!guesses.note(req)) throw tooMany(MINUTE)
      const refusal = tokenRequiredByPage({ mayAsk: !isBrowser(req) })
      if (req.method !== 'GET' || req.accepts(['json', 'html']) !== 'html') throw refusal
      res.status(refusal.status)
      const path = req.originalUrl.replace(/^\/admin\//, '')
      return showForm(req, res, pathSchema.catch(BEHIND_LOGIN).parse(path), false)
    },
  }
}

/** Also where a script of a page asks, for JSON: the cookie may have ended since that page was opened. */
const isBrowser = (req: Request) =>
  req.accepts(['json', 'html']) === 'html' || /^Mozilla\//.test(req.headers['user-agent'] ?? '')
