// Who may do what: security headers, the admin token, and no changes asked for by other sites' pages.
import type { Request, RequestHandler } from 'express'
import helmet from 'helmet'
import { crossSite, tokenRequired, tooMany } from '../errors.ts'
import { isSameSecret } from '../lib/constant-time.ts'
import { MINUTE } from '../lib/time.ts'

const HSTS_S = 365 * 24 * 60 * 60

/** Only our own scripts and styles. */
const headers = helmet({
  strictTransportSecurity: false, // below: only where the request came over HTTPS

  contentSecurityPolicy: {
    useDefaults: false,
    directives: {
      defaultSrc: ["'self'"],
      baseUri: ["'none'"],
      formAction: ["'self'"],
      frameAncestors: ["'none'"],
      objectSrc: ["'none'"],
    },
  },
})

/** Names and values of what every answer says: found out once, because helmet says the same each time. */
export const fixedHeaders: readonly string[] = (() => {
  const said: string[] = []
  const answer = { setHeader: (name: string, value: string) => said.push(name, value), removeHeader() {} }
  headers({} as Request, answer as never, (failure) => {
    if (failure) throw failure
  })
  return said
})()

/**
 * Browsers that came over HTTPS come no other way for a year. Other hosts of the domain are none of our business unless
 * `hstsSubdomains` says so: they may have no HTTPS.
 */
export function securityHeaders({ hstsSubdomains = false } = {}): RequestHandler {
  const hsts = hstsHeader(hstsSubdomains)
  return function setSecurityHeaders(req, res, next) {
    for (let i = 0; i < fixedHeaders.length; i += 2)
      res.setHeader(fixedHeaders[i] ?? '', fixedHeaders[i + 1] ?? '')
    if (req.secure) res.setHeader(...hsts)
    next()
  }
}

export function hstsHeader(hstsSubdomains: boolean): readonly [name: string, value: string] {
  return ['Strict-Transport-Security', `max-age=${HSTS_S}${hstsSubdomains ? '; includeSubDomains' : ''}`]
}

/** Refuses changes that a browser sends for another site's page; programs send neither header. */
export const sameSite: RequestHandler = (req, _res, next) => {
  if (req.method === 'GET' || req.method === 'HEAD' || req.method === 'OPTIONS') return next()
  const site = req.headers['sec-fetch-site']
  if (site !== undefined && site !== 'same-origin' && site !== 'none') throw crossSite()
  if (site === undefined && !isOwnOrigin(req)) throw crossSite()
  next()
}

/** Whether a page of ours sent it, or no page at all. */
export function isOwnOrigin({ headers: { origin, host } }: Pick<Request, 'headers'>): boolean {
  return origin === undefined || hostOf(origin) === host
}

/** Whether a browser says that a page of ours sent it: what every site's form can send needs the proof. */
export function isOfOwnPage(req: Pick<Request, 'headers'>): boolean {
  const { origin, 'sec-fetch-site': site } = req.headers
  return site === 'same-origin' || (site === undefined && origin !== undefined && isOwnOrigin(req))
}

function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined
}

/** Whether the request carries the admin token, compared in constant time. */
export function hasToken(authorization: string | undefined, token: string): boolean {
  const given = /^Bearer +(\S+) *$/i.exec(authorization ?? '')?.[1] ?? ''
  return isSameSecret(given, token)
}

/** Notes a request without the right token. False when its client has guessed too often (admin-guesses.ts). */
type Guess = (req: Request) => boolean

/** Whether it is the admin's; a wrong token counts as a guess. */
export function isAdmin(req: Request, token: string, guess: Guess): boolean {
  if (hasToken(req.headers.authorization, token)) return true
  guess(req)
  return false
}

/** Asks for the admin token. */
export function requireToken(token: string, guess: Guess): RequestHandler {
  return function checkToken(req, _res, next) {
    if (!hasToken(req.headers.authorization, token)) throw guess(req) ? tokenRequired() : tooMany(MINUTE)
    next()
  }
}

/** Whether it carries the token as a page may: a browser can send it as the password of HTTP Basic, with any name. */
export function hasTokenOfPage({ headers }: Pick<Request, 'headers'>, token: string): boolean {
  const { authorization } = headers
  return hasToken(authorization, token) || isSameSecret(basicPassword(authorization), token)
}

function basicPassword(authorization: string | undefined): string {
  const encoded = /^Basic +([\w+/=-]+) *$/i.exec(authorization ?? '')?.[1] ?? ''
  const pair = Buffer.from(encoded, 'base64').toString()
  return pair.includes(':') ? pair.slice(pair.indexOf(':') + 1) : ''
}
