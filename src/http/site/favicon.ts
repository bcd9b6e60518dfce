// /favicon.ico, which browsers and feed readers ask for by themselves: also where no page of ours names it; and
// /site-logo, the operator's own, which then is both.
import { fileURLToPath } from 'node:url'
import type { IRouter, RequestHandler } from 'express'
import { notFound } from '../../errors.ts'
import { DAY, MINUTE } from '../../lib/time.ts'
import { endpoint } from '../parse.ts'
import { LOGO_PATH, siteIdentity } from './site-identity.ts'

const FILE = fileURLToPath(new URL('../static/favicon.ico', import.meta.url))

export function serveIcon(router: IRouter): void {
  endpoint(router, '/favicon.ico', {
    get: (req, res, next) =>
      siteIdentity().logo ? sendLogo(req, res, next) : res.sendFile(FILE, { maxAge: DAY }),
  })
  endpoint(router, LOGO_PATH, { get: sendLogo })
}

const sendLogo: RequestHandler = (_req, res) => {
  const { logo } = siteIdentity()
  if (!logo) throw notFound(LOGO_PATH)
  res
    .set('Cache-Control', `public, max-age=${MINUTE / 1_000}`)
    .type(logo.type)
    .send(logo.bytes)
}
