// Shows /login, also in place of a refusal when the one who is refused is a person and not a program.

import type { ErrorRequestHandler, Request, Response } from 'express'
import type { User } from '../../../feature.ts'
import { languageOf, sendOwnPage } from '../../../http/page.ts'
import { asAppError } from '../../../http/problem.ts'
import type { Log } from '../../../log.ts'
import { localPath } from '../return-path.ts'
import { type LoginNotice, loginHtml } from './login-html.ts'

const NOTICES: Readonly<Record<string, LoginNotice>> = {
  login_refused: 'refused',
  telegram_unavailable: 'unavailable',
  state_unknown: 'again',
  not_configured: 'notConfigured',
}

export interface LoginPageParts {
  hasOidc: boolean
  hasWidget: boolean
  currentUser: (req: Request) => User | undefined
  log: Log
}

export interface LoginPage {
  show(req: Request, res: Response, notice?: LoginNotice): void
  /** For a router of logins: a browser that was sent here gets the page, with the status of the refusal. */
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

export function createLoginPage({ hasOidc, hasWidget, currentUser, log }: LoginPageParts): LoginPage {
  function oidcUrl(req: Request): string {
    const { return: given } = req.query
    const returnTo = typeof given === 'string' ? localPath(given) : undefined
    return `/api/auth/telegram/start${returnTo ? `?return=${encodeURIComponent(returnTo)}` : ''}`
  }

  function show(req: Request, res: Response, notice?: LoginNotice): void {
    const language = languageOf(req)
    const page = loginHtml({
      language,
      notice,
      user: currentUser(req),
      oidcUrl: hasOidc ? oidcUrl(req) : undefined,
      widgetUrl: hasWidget ? `/api/auth/telegram/widget?lang=${language}` : undefined,
    })
    sendOwnPage(res, language, page)
  }

  return {
    show,
    answerRefusal(error, req, res, next) {
      const problem = asAppError(error)
      const notice = NOTICES[problem.code]
      if (!notice || req.method !== 'GET' || req.accepts(['json', 'html']) !== 'html') return next(error)
      if (problem.status >= 500) log.warn({ requestId: req.id, path: req.path, err: error }, 'login failed')
      res.status(problem.status).set(problem.headers)
      show(req, res, notice)
    },
  }
}
