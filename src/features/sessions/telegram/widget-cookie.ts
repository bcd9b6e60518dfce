// Binds a login by the widget to the browser that began it: Telegram signs who somebody is, not where the login began.
// Without this cookie an attacker could send a link that contains his own login, and the person who opens it would be
// logged in to the attacker's account.
import { randomBytes } from 'node:crypto'
import type { Request, Response } from 'express'
import { isSameSecret } from '../../../lib/constant-time.ts'
import { LOGIN_LASTS_MS, loginCookieOptions } from './login-cookie.ts'

const ATTEMPT = /^[\w-]{22}$/

/** What the way back must name, for ten minutes from now; the same for all tabs of the browser. */
export function beginWidgetLogin(req: Request, res: Response): string {
  const attempt = attemptOf(req) ?? randomBytes(16).toString('base64url')
  res.cookie(cookieName(req), attempt, { ...loginCookieOptions(req), maxAge: LOGIN_LASTS_MS })
  return attempt
}

/** Whether this browser began the login that `given` names. */
export function hasBegunWidgetLogin(req: Request, given: string | undefined): boolean {
  const attempt = attemptOf(req)
  return attempt !== undefined && isSameSecret(given ?? '', attempt)
}

/** Programs, which have begun none here, get the session's cookie alone. */
export function endWidgetLogin(req: Request, res: Response): void {
  if (attemptOf(req) !== undefined) res.clearCookie(cookieName(req), loginCookieOptions(req))
}

function attemptOf(req: Request): string | undefined {
  const name = `${cookieName(req)}=`
  const pairs = (req.headers.cookie ?? '').split(';').map((pair) => pair.trim())
  const given = pairs.find((pair) => pair.startsWith(name))?.slice(name.length)
  return given !== undefined && ATTEMPT.test(given) ? given : undefined
}

const cookieName = (req: Request) => (req.secure ? '__Host-widget-login' : 'widget-login')
