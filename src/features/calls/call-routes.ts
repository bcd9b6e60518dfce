// GET /call and /call/:room, the pages; POST /api/calls, which makes a room and its link; and their static files.
//
// Logged-in users may make a room; where no login is set up, everybody may. Logged-in users may enter one, and all who
// have its link.
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { type Request, type RequestHandler, type Response, Router } from 'express'
import { z } from 'zod'
import { notLoggedIn } from '../../errors.ts'
import { languageOf, type Page, sendOwnPage, serveFiles } from '../../http/page.ts'
import { endpoint, parse } from '../../http/parse.ts'
import { MINUTE, type Now } from '../../lib/time.ts'
import { roomHtml, startHtml } from './call-html.ts'
import { isRoomName, makeRoomName } from './room-name.ts'
import { GUEST_LINK_MS, guestKey, roomOfKey } from './tokens/guest-link.ts'

const madeBody = z.object({
  kind: z.enum(['pair', 'group'], { error: 'must be pair or group' }).default('pair'),
})

export interface CallRoutesParts {
  secrets: readonly string[]
  /** Whether there is a way to log in; without one everybody may make a link. */
  hasLogin: boolean
  /** Whether there is a Redis at all. */
  hasRedis: boolean
  /** The name of the user who is logged in with this request. */
  userName: (req: Request) => string | undefined | Promise<string | undefined>
  /** Throws where it is not known yet whether somebody is. */
  expectKnown: (req: Request) => Promise<void>
  limitMade: RequestHandler
  now?: Now
}

export function callRoutes({
  secrets,
  hasLogin,
  hasRedis,
  userName,
  expectKnown,
  limitMade,
  now = Date.now,
}: CallRoutesParts): Router {
  const router = Router()
  serveFiles(router, '/static/calls', import.meta.url)
  // The library as it is published: a module without imports.
  const published = dirname(createRequire(import.meta.url).resolve('partysocket/ws'))
  router.get('/static/calls/partysocket.js', (_req, res) => {
    res.sendFile(join(published, 'ws.js'), { maxAge: MINUTE })
  })

  const mustLogIn = async (req: Request) => hasLogin && (await userName(req)) === undefined

  endpoint(router, '/api/calls', {
    post: [
      limitMade,
      async (req, res) => {
        if (await mustLogIn(req)) {
          await expectKnown(req)
          throw notLoggedIn()
        }
        const room = makeRoomName(parse(madeBody, req.body ?? {}).kind)
        const key = guestKey(room, now(), secrets)
        const endsAt = new Date(now() + GUEST_LINK_MS).toISOString()
        res
          .set('Cache-Control', 'private, no-store')
          .status(201)
          .json({ room, key, path: pathOf(room, key), endsAt })
      },
    ],
  })

  endpoint(router, '/call', {
    get: (req, res) => sendStart(req, res, { isRefusal: false }),
  })

  endpoint(router, '/call/:room', {
    async get(req, res) {
      const room = String(req.params.room)
      const { key: given } = req.query
      const name = await userName(req)
      const isKey = typeof given === 'string' && roomOfKey(given, now(), secrets) === room
      const key = isKey ? given : undefined
      if (!isRoomName(room) || (key === undefined && name === undefined)) {
        if (isRoomName(room)) await expectKnown(req)
        return sendStart(req, res.status(isRoomName(room) ? 403 : 404), { isRefusal: true })
      }
      const language = languageOf(req)
      await sendPage(res, roomHtml({ language, room, key, userName: name, hasLogin, hasRedis }))
    },
  })

  async function sendStart(
    req: Request,
    res: Response,
    { isRefusal }: { isRefusal: boolean },
  ): Promise<void> {
    const needsLogin = await mustLogIn(req)
    await sendPage(res, startHtml({ language: languageOf(req), needsLogin, isRefusal }))
  }
  return router
}

const pathOf = (room: string, key: string) => `/call/${room}?key=${encodeURIComponent(key)}`

function sendPage(res: Response, page: Page): Promise<void> {
  res.set('Permissions-Policy', 'camera=(self), microphone=(self)')
  return sendOwnPage(res, page)
}
