// Who sends requests, for all features. A session is loaded when the first one asks: a route that does not ask costs no
// read of Redis and sets no cookie.
import type { Request, RequestHandler } from 'express'
import type { Users } from '../../feature.ts'
import { createIdentify, hasSessionCookie } from './session-middleware.ts'
import type { SessionStore } from './session-store.ts'

export interface UsersParts {
  store: SessionStore
  load: RequestHandler
}

export function createUsers({ store, load }: UsersParts): Users {
  const identify = createIdentify(store)
  const loading = new WeakMap<Request, Promise<void>>()

  function loadOnce(req: Request): Promise<void> {
    const begun = loading.get(req) ?? loadInto(req)
    loading.set(req, begun)
    return begun
  }

  async function loadInto(req: Request): Promise<void> {
    const { res } = req
    if (req.session || !res || !hasSessionCookie(req)) return
    await new Promise<void>((resolve, reject) => {
      load(req, res, (error) => (error ? reject(error) : resolve()))
    })
  }

  return {
    pages: { logIn: '/login', account: '/account', logOut: '/account/logout' },
    async identify(req) {
      await loadOnce(req)
      return identify(req)
    },
    async hasLoggedOut(req) {
      const user = req.session?.user
      if (!user) return false
      return new Promise((resolve) => {
        store.get(req.sessionID, (error, data) => resolve(!error && data?.user?.id !== user.id))
      })
    },
  }
}
