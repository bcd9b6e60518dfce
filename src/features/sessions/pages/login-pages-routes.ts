// GET /login, /login/webapp and /account, what the forms of /account post, and the static files of all three.
import { type Request, type Response, Router } from 'express'
import { z } from 'zod'
import type { User } from '../../../feature.ts'
import { languageOf, sendOwnPage, serveFiles } from '../../../http/page.ts'
import { endpoint, parse } from '../../../http/parse.ts'
import { asAppError } from '../../../http/problem.ts'
import { isPlainText } from '../../../lib/plain-text.ts'
import type { OwnSessions } from '../own-sessions.ts'
import { endSession, expectKnown } from '../session-middleware.ts'
import { accountHtml } from './account-html.ts'
import type { LoginPage } from './login-page.ts'
import { webappHtml } from './webapp-html.ts'

// The rules of every other page (http/security.ts), but for who may show this one in a frame: Telegram's web clients.
const IN_TELEGRAM = [
  "default-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
  "object-src 'none'",
  'frame-ancestors https://web.telegram.org https://*.telegram.org',
].join(';')

const revokeQuery = z.object({
  id: z
    .string({ error: 'must be given once' })
    .refine(isPlainText, 'must be an id from the page')
    .min(1)
    .max(200),
})

export interface LoginPagesParts {
  loginPage: LoginPage
  currentUser: (req: Request) => User | undefined
  own: OwnSessions
}

export function loginPagesRoutes({ loginPage, currentUser, own }: LoginPagesParts): Router {
  const router = Router()
  serveFiles(router, '/static/login', import.meta.url)

  endpoint(router, '/login', { get: (req, res) => loginPage.show(req, res) })

  endpoint(router, '/login/webapp', {
    get(req, res) {
      res.set('Content-Security-Policy', IN_TELEGRAM).removeHeader('X-Frame-Options')
      return sendOwnPage(res, webappHtml(languageOf(req)))
    },
  })

  endpoint(router, '/account', {
    async get(req, res) {
      const language = languageOf(req)
      expectKnown(req)
      const user = currentUser(req)
      if (!user) return res.set('Cache-Control', 'no-store').redirect(303, `/login?lang=${language}`)
      await sendOwnPage(res, accountHtml({ language, user, devices: await own.list(req) }))
    },
  })

  /** A form of /account: does it for the user, if there still is one, and shows the page again. */
  function form(path: string, action: (req: Request, res: Response) => Promise<unknown>): void {
    endpoint(router, path, {
      async post(req, res) {
        expectKnown(req)
        if (currentUser(req)) await action(req, res).catch(nothingIfEnded)
        res.set('Cache-Control', 'no-store').redirect(303, `/account?lang=${languageOf(req)}`)
      },
    })
  }
  // One that is gone already is as good as ended.
  form('/account/revoke', (req, res) => own.end(req, res, parse(revokeQuery, req.query).id))
  form('/account/revoke-others', (req) => own.endOthers(req))
  form('/account/logout', endSession)
  return router
}

/** The session has been ended since it was loaded: the page says so, by sending the browser to the login. */
function nothingIfEnded(error: unknown): void {
  if (asAppError(error).code !== 'not_logged_in') throw error
}
