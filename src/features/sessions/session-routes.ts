// What users do with their own sessions: see who they are, where they are logged in, and log out, here or anywhere.
import { Router } from 'express'
import { z } from 'zod'
import { notFound } from '../../errors.ts'
import { endpoint, parse } from '../../http/parse.ts'
import { createOwnSessions, userOf } from './own-sessions.ts'
import { endSession } from './session-middleware.ts'
import type { SessionRecords } from './session-records.ts'

const idSchema = z.object({ id: z.string().regex(/^[\w-]{22}$/, 'must be an id from GET /api/sessions') })
const whichSchema = z.strictObject({ others: z.enum(['true', 'false']).optional() })

export interface SessionRoutesParts {
  records: SessionRecords
}

export function sessionRoutes({ records }: SessionRoutesParts): Router {
  const router = Router()
  const own = createOwnSessions({ records })

  endpoint(router, '/api/me', { get: (req, res) => void res.json({ user: userOf(req) }) })

  endpoint(router, '/api/logout', {
    post: async (req, res) => {
      await endSession(req, res)
      res.status(204).end()
    },
  })

  endpoint(router, '/api/sessions', {
    get: async (req, res) => void res.json({ sessions: await own.list(req) }),
    delete: async (req, res) => {
      const { others } = parse(whichSchema, req.query)
      if (others === 'true') await own.endOthers(req)
      else await own.endAll(req, res)
      res.status(204).end()
    },
  })

  endpoint(router, '/api/sessions/:id', {
    delete: async (req, res) => {
      const { id } = parse(idSchema, req.params)
      if (!(await own.end(req, res, id))) throw notFound('That session')
      res.status(204).end()
    },
  })
  return router
}
