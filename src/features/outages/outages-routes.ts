// GET /api/outages: what happened while Redis was away, the last 100 times, newest first.
import { type RequestHandler, Router } from 'express'
import { endpoint } from '../../http/parse.ts'

export interface Outage {
  readonly id: string
  readonly role: 'cache' | 'state'
  readonly startedAt: string
  readonly endedAt: string | null
  readonly durationMs: number | null
  readonly cause: string
  readonly servedCalls: number
  readonly merged: Readonly<Record<string, number>>
  readonly accepted: readonly string[]
  readonly conflicts: readonly string[]
  readonly lost: number
  readonly note: string | null
}

export interface OutagesParts {
  outages: () => readonly Outage[]
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
function countsAndTimes({ cause, note, accepted, conflicts, ...rest }: Outage) {
  return { ...rest, accepted: accepted.length, conflicts: conflicts.length }
}
