// Below which path of its host a proxy shows us, where it says so and takes that path away: X-Forwarded-Prefix.
import type { Request } from 'express'

/** Empty where there is none. It decides only where the asking browser itself goes, so everybody may say it. */
export function prefixOf(req: Pick<Request, 'headers'>): string {
  const given = req.headers['x-forwarded-prefix']
  const prefix = typeof given === 'string' ? given.replace(/\/+$/, '') : ''
  return prefix.length <= 200 && /^(\/[\w~-][\w.~-]*)+$/.test(prefix) ? prefix : ''
}
