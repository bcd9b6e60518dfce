// The cookie of a browser whose user has given the admin token: it proves that, and when, and holds no secret. A new
// token, or a new secret of the installation, ends all of them.
import { createHmac } from 'node:crypto'
import type { CookieOptions, Request, Response } from 'express'
import { isSameSecret } from '../../lib/constant-time.ts'
import { HOUR } from '../../lib/time.ts'
import { prefixOf } from './forwarded-prefix.ts'

const LASTS_MS = 12 * HOUR

export interface AdminCookie {
  isIn(req: Request): boolean
  set(req: Request, res: Response): void
  clear(req: Request, res: Response): void
}

/** `secrets`: the first one signs, each is believed. */
export function createAdminCookie(token: string, secrets: readonly string[]): AdminCookie {
  const proof = (secret: string, endsAtMs: string) =>
    createHmac('sha256', secret).update(`admin\n${endsAtMs}\n${token}`).digest('base64url')

  return {
    isIn(req) {
      const [endsAtMs = '', given = ''] = givenIn(req)?.split('.') ?? []
      if (!/^\d{1,15}$/.test(endsAtMs) || Number(endsAtMs) <= Date.now()) return false
      return secrets.some((secret) => isSameSecret(given, proof(secret, endsAtMs)))
    },
    set(req, res) {
      const endsAtMs = String(Date.now() + LASTS_MS)
      const value = `${endsAtMs}.${proof(secrets[0] ?? '', endsAtMs)}`
      res.cookie(nameOf(req), value, { ...optionsOf(req), maxAge: LASTS_MS })
    },
    clear: (req, res) => void res.clearCookie(nameOf(req), optionsOf(req)),
  }
}

/** No page of another site makes a browser send it. */
const optionsOf = (req: Request): CookieOptions => ({
  httpOnly: true,
  sameSite: 'strict',
  secure: req.secure,
  path: `${prefixOf(req)}/admin`,
})

const nameOf = (req: Request) => (req.secure ? '__Secure-admin' : 'admin')

function givenIn(req: Request): string | undefined {
  const name = `${nameOf(req)}=`
  const pairs = (req.headers.cookie ?? '').split(';').map((pair) => pair.trim())
  return pairs.find((pair) => pair.startsWith(name))?.slice(name.length)
}
