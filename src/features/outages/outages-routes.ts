// GET /api/outages: what happened while Redis was away, the last 100 times, newest first.
import { type Request, type RequestHandler, Router } from 'express'
import type { OutageReport } from '../../core/outages.ts'
import { endpoint } from '../../http/parse.ts'

export interface OutagesParts {
  outages: () => readonly OutageReport[]
  isAdmin(req: Request): boolean
  /** Refuses everybody but the admin where ADMIN_TOKEN is set. */
  guard: RequestHandler
}

export function outagesRoutes({ outages, isAdmin, guard }: OutagesParts): Router {
  const router = Router()
  endpoint(router, '/api/outages', {
    get: [
      guard,
      (req, res) => {
        res.set('Cache-Control', 'no-store').json(isAdmin(req) ? outages() : outages().map(countsAndTimes))
      },
    ],
  })
  return router
}

/** What anybody may know: names and reasons may tell of users and machines. */
function countsAndTimes({ cause, note, accepted, conflicts, ...rest }: OutageReport) {
  return { ...rest, accepted: countOf(accepted), conflicts: countOf(conflicts) }
}

/** A long list is cut, and its last line says how many more there were. */
function countOf(list: readonly string[]): number {
  const [, more] = /^and (\d+) more$/.exec(list.at(-1) ?? '') ?? []
  return more === undefined ? list.length : list.length - 1 + Number(more)
}
