// A user's own sessions, as the API and the page at /account show and end them.
import type { Request, Response } from 'express'
import { notLoggedIn } from '../../errors.ts'
import type { User } from '../../feature.ts'
import { endSession, expectKnown } from './session-middleware.ts'
import { hashOf, publicIdOf } from './session-record.ts'
import type { KnownSession, SessionRecords } from './session-records.ts'

export interface OwnSession {
  readonly id: string
  /** In words: `Chrome on Android`. */
  readonly device: string | undefined
  readonly address: string | undefined
  readonly createdAt: string
  readonly lastSeenAt: string
  readonly current: boolean
}

/**
 * Every method throws not_logged_in for a visitor, and for a session that has ended since it was loaded; state_unknown
 * for who may be more than that.
 */
export interface OwnSessions {
  /** The one used last comes first. */
  list(req: Request): Promise<OwnSession[]>
  /** False when the user has no session of that id. */
  end(req: Request, res: Response, id: string): Promise<boolean>
  endOthers(req: Request): Promise<void>
  endAll(req: Request, res: Response): Promise<void>
}

export function createOwnSessions({ records }: { records: SessionRecords }): OwnSessions {
  /**
   * Asked again, as the last thing before others are ended: limits load the session before the body has come, which may
   * take its time, and the session may have been ended since.
   */
  async function expectNotEnded(req: Request): Promise<void> {
    if (!(await records.find(hashOf(req.session.id)))) throw notLoggedIn()
  }

  return {
    async list(req) {
      const sessions = await records.ofUser(userOf(req).id)
      const own = hashOf(req.session.id)
      sessions.sort((a, b) => b.record.seenAtMs - a.record.seenAtMs)
      return sessions.map((known) => described(known, own))
    },

    async end(req, res, id) {
      const sessions = await records.ofUser(userOf(req).id)
      const meant = sessions.find(({ hash }) => publicIdOf(hash) === id)
      if (!meant) return false
      if (meant.hash === hashOf(req.session.id)) await endSession(req, res)
      else {
        await expectNotEnded(req)
        await records.end(meant.hash)
      }
      return true
    },

    // No session is destroyed: of two devices that do this to one another concurrently, both would be. The one write of
    // who is kept decides, in whatever order the rest arrives; the others expire where they are.
    async endOthers(req) {
      const { id: userId } = userOf(req)
      const sessions = await records.ofUser(userId)
      await expectNotEnded(req)
      await records.revoke(userId, lastLoginMs(sessions, req), hashOf(req.session.id))
    },

    // Revoked first: that also ends those that another process made in an outage and this one does not know.
    async endAll(req, res) {
      const { id: userId } = userOf(req)
      const sessions = await records.ofUser(userId)
      await expectNotEnded(req)
      await records.revoke(userId, lastLoginMs(sessions, req))
      await Promise.all(sessions.map(({ hash }) => records.end(hash)))
      await endSession(req, res)
    },
  }
}

export function userOf(req: Request): User {
  expectKnown(req)
  if (!req.session.user) throw notLoggedIn()
  return req.session.user
}

/** No session of the user is later, also where another machine's clock is ahead of ours. */
function lastLoginMs(sessions: readonly KnownSession[], { session }: Request): number {
  const logins = sessions.map(({ record }) => record.fields.loggedInAtMs ?? 0)
  return Math.max(Date.now(), session.loggedInAtMs ?? 0, ...logins)
}

function described({ hash, record }: KnownSession, own: string): OwnSession {
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
