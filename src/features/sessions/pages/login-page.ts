// Shows /login, also in place of a refusal when the one who is refused is a person and not a program.

import type { ErrorRequestHandler, Request, Response } from 'express'
import type { User } from '../../../feature.ts'
import { languageOf, sendOwnPage } from '../../../http/page.ts'
import { asAppError } from '../../../http/problem.ts'
import type { Log } from '../../../log.ts'
import { AFTER_LOGIN, localPath } from '../return-path.ts'
import { lineOf, type RefusalReason, reasonOf } from '../telegram/refusal.ts'
import { type LoginNotice, loginHtml } from './login-html.ts'

const NOTICES: Readonly<Record<string, LoginNotice>> = {
  login_refused: 'refused',
  telegram_unavailable: 'unavailable',
  state_unknown: 'again',
  not_configured: 'notConfigured',
}

/** Of a login that Telegram has sent back, more exactly. */
const NOTICES_OF_REASONS: Partial<Record<RefusalReason, LoginNotice>> = {
  declined: 'declined',
  no_attempt: 'expired',
  attempt_expired: 'expired',
  attempt_differs: 'expired',
  used: 'expired',
}
const NOT_LOGGED: readonly RefusalReason[] = ['declined'] // by its user, who knows

const IN_ADDRESS: readonly LoginNotice[] = ['refused', 'unavailable', 'declined', 'expired', 'notConfigured']
/** Where Telegram sends a browser back to: with OpenID Connect, and by the widget on a page of the site. */
const OIDC_CALLBACK = '/api/auth/telegram/callback'
const CALLBACKS: readonly string[] = [OIDC_CALLBACK, '/api/auth/telegram']
const WAYS: Readonly<Record<string, string>> = {
  [OIDC_CALLBACK]: 'oidc',
  '/api/auth/telegram/webapp': 'mini_app',
}

export interface LoginPageParts {
  hasOidc: boolean
  /** Whether the widget is offered, and whether there is a bot. */
  hasWidget: boolean
  hasBot: boolean
  currentUser: (req: Request) => User | undefined
  log: Log
}

export interface LoginPage {
  /** With the notice that is given, or that its address names. */
  show(req: Request, res: Response, notice?: LoginNotice): Promise<void>
  /**
   * For a router of logins: a browser that was sent here gets the page, with the status of the refusal. One that
   * Telegram has sent back is led to it: to load the address again would be refused again. The log has the reason.
   */
  answerRefusal: ErrorRequestHandler
}

/** The widget without Telegram's script: its answer comes back after the '#' of /login (static/login.js). */
export function widgetUrlAt(issuer: URL) {
  return function widgetUrl(req: Request, botToken: string, attempt: string): string {
    const origin = `${req.protocol}://${req.host}`
    const returnTo = `${origin}/login?lang=${languageOf(req)}&attempt=${attempt}`
    const url = new URL('auth', issuer)
    const botId = botToken.split(':')[0] ?? ''
    url.search = new URLSearchParams({ bot_id: botId, origin, return_to: returnTo }).toString()
    return url.href
  }
}

export function createLoginPage(parts: LoginPageParts): LoginPage {
  const { hasOidc, hasWidget, hasBot, currentUser, log } = parts

  function oidcUrl(req: Request): string {
    const { return: given } = req.query
    const returnTo = typeof given === 'string' ? localPath(given) : undefined
    return `/api/auth/telegram/start${returnTo ? `?return=${encodeURIComponent(returnTo)}` : ''}`
  }

  function show(req: Request, res: Response, given?: LoginNotice): Promise<void> {
    const language = languageOf(req)
    const notice = given ?? IN_ADDRESS.find((known) => known === req.query.notice)
    const page = loginHtml({
      language,
      notice,
      user: currentUser(req),
      oidcUrl: hasOidc ? oidcUrl(req) : undefined,
      widgetUrl: hasWidget ? `/api/auth/telegram/widget?lang=${language}` : undefined,
      hasBot,
    })
    return sendOwnPage(res, page)
  }

  /** Where the browser is sent that Telegram has sent back with a login that is refused. */
  function wayBack(req: Request, res: Response, notice: LoginNotice): string {
    const { returnTo } = res.locals as { returnTo?: string }
    // It came a second time, by the button to go back: the first time was enough.
    if (notice === 'expired' && currentUser(req)) return returnTo ?? AFTER_LOGIN
    const query = new URLSearchParams({ notice, ...(returnTo !== undefined && { return: returnTo }) })
    return `/login?${query}`
  }

  function note(error: unknown, req: Request): void {
    const reason = reasonOf(error)
    const line = lineOf(error)
    if (reason === undefined || line === undefined) return
    const [fields, sentence] = line
    const level = NOT_LOGGED.includes(reason) ? 'debug' : 'warn'
    log[level]({ way: WAYS[req.path] ?? 'widget', requestId: req.id, ...fields }, sentence)
  }

  return {
    show: (req, res) => show(req, res),
    answerRefusal(error, req, res, next) {
      note(error, req)
      const problem = asAppError(error)
      const reason = reasonOf(error)
      const isCallback = CALLBACKS.includes(req.path) && problem.code !== 'state_unknown'
      const exact = isCallback && reason ? NOTICES_OF_REASONS[reason] : undefined
      const notice = exact ?? NOTICES[problem.code]
      if (!notice || req.method !== 'GET' || req.accepts(['json', 'html']) !== 'html') return next(error)
      if (problem.status >= 500) log.warn({ requestId: req.id, path: req.path, err: error }, 'login failed')
      if (isCallback) return res.set('Cache-Control', 'no-store').redirect(303, wayBack(req, res, notice))
      res.status(problem.status).set(problem.headers)
      return show(req, res, notice)
    },
  }
}
