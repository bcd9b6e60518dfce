// What a login by OpenID Connect must remember from its start to its end: in a signed cookie of the browser, so that
// nothing is stored for a visitor who never comes back, and an end without its start is worth nothing.
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { CookieOptions, Request, Response } from 'express'
import { z } from 'zod'
import { parseJson } from '../../../lib/codec.ts'
import { MINUTE } from '../../../lib/time.ts'

export const LOGIN_LASTS_MS = 10 * MINUTE

const attemptSchema = z.object({
  state: z.string(),
  nonce: z.string(),
  verifier: z.string(),
  returnTo: z.string(),
  endsAtMs: z.number(),
})
export type LoginAttempt = Omit<z.infer<typeof attemptSchema>, 'endsAtMs'>

export interface KnownAttempt extends LoginAttempt {
  readonly madeAtMs: number
}

/** Remembers the attempt in this browser for ten minutes, signed with the first of the secrets. */
export function keepAttempt(
  req: Request,
  res: Response,
  attempt: LoginAttempt,
  [secret = '']: readonly string[],
): void {
  const text = JSON.stringify({ ...attempt, endsAtMs: Date.now() + LOGIN_LASTS_MS })
  const payload = Buffer.from(text).toString('base64url')
  const sealed = `${payload}.${signature(payload, secret).toString('base64url')}`
  res.cookie(cookieName(req), sealed, { ...loginCookieOptions(req), maxAge: LOGIN_LASTS_MS })
}

/** The attempt of this browser, or why there is none that counts. */
export function readAttempt(
  req: Request,
  secrets: readonly string[],
): KnownAttempt | 'no_attempt' | 'attempt_expired' {
  const name = cookieName(req)
  const pairs = (req.headers.cookie ?? '').split(';').map((pair) => pair.trim().split('='))
  const given = pairs.find(([key]) => key === name)?.[1]
  if (given === undefined) return 'no_attempt'
  const [payload = '', mac = ''] = given.split('.')
  const isOurs = secrets.some((secret) => isEqual(Buffer.from(mac, 'base64url'), signature(payload, secret)))
  if (!isOurs) return 'no_attempt'
  const { endsAtMs, ...attempt } = attemptSchema.parse(parseJson(Buffer.from(payload, 'base64url')))
  return Date.now() < endsAtMs ? { ...attempt, madeAtMs: endsAtMs - LOGIN_LASTS_MS } : 'attempt_expired'
}

export function forgetAttempt(req: Request, res: Response): void {
  res.clearCookie(cookieName(req), loginCookieOptions(req))
}

/** Lax, because the way back from Telegram is a navigation from another site. Browsers take __Host- over HTTPS only. */
export const loginCookieOptions = (req: Request): CookieOptions => ({
  httpOnly: true,
  sameSite: 'lax',
  secure: req.secure,
  path: '/',
})
const cookieName = (req: Request) => (req.secure ? '__Host-login' : 'login')

// The words before the payload keep a signature of anything else under the same secret from passing for one of ours.
const signature = (payload: string, secret: string) =>
  createHmac('sha256', secret).update(`telegram login\n${payload}`).digest()

const isEqual = (a: Buffer, b: Buffer) => a.length === b.length && timingSafeEqual(a, b)
