// Gives requests their session, by a signed cookie: `__Host-sid` over HTTPS, `sid` over plain HTTP on a developer's machine.
import { randomBytes } from 'node:crypto'
import { type Request, type Response, Router } from 'express'
import session, { type CookieOptions } from 'express-session'
import type { User } from './session.ts'
import { hashOf, IDLE_MS, publicIdOf } from './session-record.ts'
import type { SessionStore } from './session-store.ts'

const ID_BYTES = 24

const cookieName = (req: Request) => (req.secure ? '__Host-sid' : 'sid')

export interface SessionMiddlewareOptions {
  store: SessionStore
  /** The first one signs, each is believed. */
  secrets: readonly string[]
  /** Where requests have a session, with everything below; elsewhere a cookie costs nothing. */
  paths: readonly string[]
}

export function createSessionMiddleware({ store, secrets, paths }: SessionMiddlewareOptions): Router {
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
  const router = Router()
  router.use([...paths], function loadSession(req, res, next) {
    const load = req.secure ? overHttps : overHttp
    load(req, res, next)
  })
  return router
}

/** Who is asking; nothing for a visitor without a session, and where the middleware did not run. */
export interface Identity {
  readonly user?: User
  /** The session's public id. */
  readonly session?: string
}

export function createIdentify(store: SessionStore): (req: Request) => Identity {
  return function identify({ session: current }) {
    if (!current || !store.isStored(current)) return {}
    const { id, user } = current
    return { session: publicIdOf(hashOf(id)), ...(user && { user }) }
  }
}

/**
 * Whether the login that the request came with has ended since: for a connection that outlives its request. What cannot be
 * read has not ended.
 */
export function createHasLoggedOut(store: SessionStore): (req: Request) => Promise<boolean> {
  return ({ sessionID, session: { user } }) =>
    new Promise((resolve) => {
      store.get(sessionID, (error, data) => resolve(!error && data?.user?.id !== user?.id))
    })
}

/** Stores the session now: before an answer begins, so that `state_full` can still be the answer. */
export function saveSession({ session: current }: Request): Promise<void> {
  return new Promise((resolve, reject) => current.save((error) => (error ? reject(error) : resolve())))
}

export function regenerateSession({ session: current }: Request): Promise<void> {
  return new Promise((resolve, reject) => current.regenerate((error) => (error ? reject(error) : resolve())))
}

/** Ends the session, and takes its cookie back. A visitor without one has nothing to end. */
export async function endSession(req: Request, res: Response): Promise<void> {
  if (!(req.sessionStore as Express.SessionStore & SessionStore).isStored(req.session)) return
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
