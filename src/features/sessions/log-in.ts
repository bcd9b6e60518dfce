// Logging in: a new session id, so that knowing the old one is worth nothing.
import { isIP } from 'node:net'
import { deviceOf } from './device.ts'
import type { LogIn, Login } from './session.ts'
import { regenerateSession, saveSession } from './session-middleware.ts'
import type { SessionRecords } from './session-records.ts'

// A frame's cookies are another site's: without these two a browser does not keep them there.
const IN_FRAME = { sameSite: 'none', partitioned: true } as const

/** Undefined for what a proxy calls an address but is none: it is shown to its user. */
function addressOf(given: string): string | undefined {
  const address = given.replace(/^::ffff:/, '')
  return isIP(address) === 0 ? undefined : address
}

export interface LogInParts {
  records: Pick<SessionRecords, 'loginAtMs'>
}

export function createLogIn({ records }: LogInParts): LogIn {
  return async function logIn(req, user, { inFrame }) {
    try {
      await regenerateSession(req)
      const login: Login = {
        user,
        loggedInAtMs: await records.loginAtMs(user.id),
        device: deviceOf(req.headers['user-agent']),
        address: addressOf(req.ip ?? ''),
      }
      Object.assign(req.session, login)
      // Over plain HTTP no browser takes SameSite=None.
      if (inFrame && req.secure) Object.assign(req.session.cookie, IN_FRAME)
      await saveSession(req)
    } catch (error) {
      Reflect.deleteProperty(req, 'session') // neither stored nor sent when the refusal is answered
      throw error
    }
  }
}
