// What a session knows of who is logged in: the words that sessions and the ways to log in share.
import type { Request } from 'express'
import type { SessionData } from 'express-session'
import type { User } from '../../feature.ts'

declare module 'express-session' {
  interface SessionData {
    /** Who is logged in; without it the session is a visitor's. */
    user?: User
    /** Revocations of the user's sessions up to this moment end this one. */
    loggedInAtMs?: number
    /** Where it was logged in, in words: `Chrome on Android`. */
    device?: string
    address?: string | undefined
  }
}

/** What a login adds to a session. */
export type Login = Required<Pick<SessionData, 'user' | 'loggedInAtMs' | 'device'>> & {
  readonly address: string | undefined
}

/**
 * Logs the user in under a new session id, stored when this resolves. `inFrame`: inside another site's frame, as Mini
 * Apps are. Rejects with `state_full`, and then the user is not logged in. Needs the session middleware before it.
 */
export type LogIn = (req: Request, user: User, options: { inFrame: boolean }) => Promise<void>
