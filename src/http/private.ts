// Answers that are one user's own: no shared cache may keep them.
import type { Response } from 'express'

/** Unless the route says otherwise, before this or later. */
export function markPrivate(res: Response): void {
  if (!res.headersSent && !res.hasHeader('Cache-Control')) res.setHeader('Cache-Control', 'private, no-store')
}

/** Whether this answer was marked as one user's own. */
export function isPrivate(res: Response): boolean {
  return String(res.getHeader('Cache-Control') ?? '').startsWith('private')
}
