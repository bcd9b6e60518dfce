// The session of a request, by a signed cookie: `__Host-sid` over HTTPS, `sid` over plain HTTP in development.
import { randomBytes } from 'node:crypto'
import type { Request, RequestHandler, Response } from 'express'
import session, { type CookieOptions } from 'express-session'
import { stateUnknown } from '../../core/errors.ts'
import type { Identity } from '../../feature.ts'
import { markPrivate } from '../../http/private.ts'
import { hashOf, IDLE_MS, publicIdOf } from './session-record.ts'
import type { SessionStore } from './session-store.ts'

const ID_BYTES = 24

const cookieName = (req: Request) => (req.secure ? '__Host-sid' : 'sid')

export interface SessionLoaderOptions {
  store: SessionStore
  /** The first one signs, each is believed. */
  secrets: readonly string[]
}

/** Gives the request its session, a fresh one if need be. The answer is then private, and prolongs the session. */
export function createSessionLoader({ store, secrets }: SessionLoaderOptions): RequestHandler {
  const shared = {
    store,
    secret: [...secrets],
    genid: () => randomBytes(ID_BYTES).toString('base64url'),
    cookie: (req: Request): CookieOptions => ({
      path: '/',
      httpOnly: true,
      sameSite: 'lax',
      secure: req.secure,
      maxAge: IDLE_MS,
    }),
    resave: false,
    saveUninitialized: false,
    rolling: true,
  }
  const overHttps = session({ ...shared, name: '__Host-sid' })
  const overHttp = session({ ...shared, name: 'sid' })
  return function loadSession(req, res, next) {
    markPrivate(res)
    const load = req.secure ? overHttps : overHttp
    // What follows may ask for other sessions: it is not the loading of this one.
    store.during(req, () => load(req, res, (error) => store.during(undefined, () => next(error))))
  }
}

/** Whether the browser has sent a session's cookie, ours or not. */
export function hasSessionCookie(req: Request): boolean {
  const name = `${cookieName(req)}=`
  return (req.headers.cookie ?? '').split(';').some((pair) => pair.trim().startsWith(name))
}

/** The user and session of a request whose session was loaded; nothing for a visitor without one. */
export function createIdentify(store: SessionStore): (req: Request) => Identity {
  return function identify(req) {
    const { session: current } = req
    if (store.isUnknown(req)) return { isUnknown: true }
    if (!current || !store.isStored(current)) return {}
    const { id, user } = current
    return { session: publicIdOf(hashOf(id)), ...(user && { user }) }
  }
}

/** Stores the session now: before an answer begins, so that `state_full` can still be the answer. */
export function saveSession({ session: current }: Request): Promise<void> {
  return new Promise((resolve, reject) => current.save((error) => (error ? reject(error) : resolve())))
}

export function regenerateSession({ session: current }: Request): Promise<void> {
  return new Promise((resolve, reject) => current.regenerate((error) => (error ? reject(error) : resolve())))
}

/** Throws `state_unknown` where it is not known yet whether the request's session is one. */
export function expectKnown(req: Request): void {
  if (storeOf(req).isUnknown(req)) throw stateUnknown()
}

const storeOf = ({ sessionStore }: Request) => sessionStore as Express.SessionStore & SessionStore

/** Ends the session, and takes its cookie back. A visitor without one has nothing to end. */
export async function endSession(req: Request, res: Response): Promise<void> {
  expectKnown(req)
  if (!storeOf(req).isStored(req.session)) return
  const { path, httpOnly, secure, sameSite, partitioned } = req.session.cookie as CookieOptions
  await new Promise<void>((resolve, reject) =>
    req.session.destroy((error) => (error ? reject(error) : resolve())),
  )
  res.clearCookie(cookieName(req), {
    path: path ?? '/',
    httpOnly: httpOnly ?? true,
    secure: secure === true,
    sameSite: sameSite ?? 'lax',
    partitioned: partitioned === true,
  })
}
