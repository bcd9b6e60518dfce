// What users do with their own sessions: see who they are, where they are logged in, and log out, here or anywhere.
import { type Request, Router } from 'express'
import { z } from 'zod'
import { notFound, notLoggedIn } from '../../errors.ts'
import { endpoint, parse } from '../../http/parse.ts'
import type { User } from './session.ts'
import { endSession, saveSession } from './session-middleware.ts'
import { hashOf, publicIdOf } from './session-record.ts'
import type { KnownSession, SessionRecords } from './session-records.ts'

const idSchema = z.object({ id: z.string().regex(/^[\w-]{22}$/, 'must be an id from GET /api/sessions') })
const whichSchema = z.strictObject({ others: z.enum(['true', 'false']).optional() })

export interface SessionRoutesParts {
  records: SessionRecords
}

export function sessionRoutes({ records }: SessionRoutesParts): Router {
  const router = Router()
  router.use(['/api/me', '/api/logout', '/api/sessions'], (_req, res, next) => {
    res.setHeader('Cache-Control', 'no-store')
    next()
  })

  endpoint(router, '/api/me', { get: (req, res) => void res.json({ user: userOf(req) }) })

  endpoint(router, '/api/logout', {
    post: async (req, res) => {
      await endSession(req, res)
      res.status(204).end()
    },
  })

  endpoint(router, '/api/sessions', {
    get: async (req, res) => {
      const sessions = await records.ofUser(userOf(req).id)
      const own = hashOf(req.session.id)
      sessions.sort((a, b) => b.record.seenAtMs - a.record.seenAtMs)
      res.json({ sessions: sessions.map((known) => described(known, own)) })
    },
    delete: async (req, res) => {
      const { others } = parse(whichSchema, req.query)
      if (others === 'true') await endOthers(req)
      else {
        await endAll(userOf(req).id, req)
        await endSession(req, res)
      }
      res.status(204).end()
    },
  })

  endpoint(router, '/api/sessions/:id', {
    delete: async (req, res) => {
      const { id } = parse(idSchema, req.params)
      const sessions = await records.ofUser(userOf(req).id)
      const meant = sessions.find(({ hash }) => publicIdOf(hash) === id)
      if (!meant) throw notFound('That session')
      if (meant.hash === hashOf(req.session.id)) await endSession(req, res)
      else await records.end(meant.hash)
      res.status(204).end()
    },
  })

  /** Revoked first: that also ends those that nobody here knows of, because another process made them in an outage. */
  async function endAll(userId: string, req: Request): Promise<void> {
    const sessions = await records.ofUser(userId)
    await records.revoke(userId, lastLoginMs(sessions, req))
    await Promise.all(sessions.map(({ hash }) => records.end(hash)))
  }

  async function endOthers(req: Request): Promise<void> {
    const { id: userId } = userOf(req)
    const sessions = await records.ofUser(userId)
    const upToMs = lastLoginMs(sessions, req)
    req.session.loggedInAtMs = upToMs + 1
    await saveSession(req)
    await records.revoke(userId, upToMs)
    const own = hashOf(req.session.id)
    await Promise.all(sessions.filter(({ hash }) => hash !== own).map(({ hash }) => records.end(hash)))
  }

  return router
}

function userOf({ session }: Request): User {
  if (!session.user) throw notLoggedIn()
  return session.user
}

/** No session of the user is later, also where another machine's clock is ahead of ours. */
function lastLoginMs(sessions: readonly KnownSession[], { session }: Request): number {
  const logins = sessions.map(({ record }) => record.fields.loggedInAtMs ?? 0)
  return Math.max(Date.now(), session.loggedInAtMs ?? 0, ...logins)
}

function described({ hash, record }: KnownSession, own: string) {
  const { device, address } = record.fields
  return {
    id: publicIdOf(hash),
    device,
    address,
    createdAt: new Date(record.createdAtMs).toISOString(),
    lastSeenAt: new Date(record.seenAtMs).toISOString(),
    current: hash === own,
  }
}
