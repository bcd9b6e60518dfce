// GET /api/outages: what happened while Redis was away, the last 100 times, newest first.
import { type RequestHandler, Router } from 'express'
import type { OutageReport } from '../../core/outages.ts'
import { endpoint } from '../../http/parse.ts'

export interface OutagesParts {
  outages: () => readonly OutageReport[]
  /** Refuses everybody but the admin; undefined when no admin token is set. */
  guard: RequestHandler | undefined
}

export function outagesRoutes({ outages, guard }: OutagesParts): Router {
  const router = Router()
  const guards = guard ? [guard] : []
  endpoint(router, '/api/outages', {
    get: [
      ...guards,
      (_req, res) => {
        res.set('Cache-Control', 'no-store').json(guard ? outages() : outages().map(countsAndTimes))
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
