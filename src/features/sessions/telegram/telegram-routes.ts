// Three ways to log in with Telegram, one user: OpenID Connect, a Mini App's initData, and the legacy widget.
// Everything that is wrong with a login is login_refused; each login that Telegram signed works once.
import { createHash, randomUUID } from 'node:crypto'
import { type ErrorRequestHandler, type Request, type RequestHandler, type Response, Router } from 'express'
import { z } from 'zod'
import type { State } from '../../../core/state/state.ts'
import { notConfigured } from '../../../errors.ts'
import type { User } from '../../../feature.ts'
import { endpoint, parse } from '../../../http/parse.ts'
import { MINUTE, offSeconds, SECOND } from '../../../lib/time.ts'
import { AFTER_LOGIN, localPath } from '../return-path.ts'
import type { LogIn } from '../session.ts'
import { sessionKeys } from '../session-keys.ts'
import { expectKnown } from '../session-middleware.ts'
import { forgetAttempt, keepAttempt, LOGIN_LASTS_MS, readAttempt } from './login-cookie.ts'
import { newSecrets, type Oidc } from './oidc.ts'
import { type RefusalReason, refuseLogin } from './refusal.ts'
import { type Fields, isFresh, type SignedLogin, whyUnsigned } from './signed-fields.ts'
import { verifyInitData } from './verify-init-data.ts'
import { verifyWidget } from './verify-widget.ts'
import { beginWidgetLogin, endWidgetLogin, hasBegunWidgetLogin } from './widget-cookie.ts'

/** Longer than anything signed can be fresh, so that what is forgotten here is refused for its age. */
const USED_FOR_MS = LOGIN_LASTS_MS + 5 * MINUTE

const startQuery = z.object({ return: z.string().transform(localPath).catch(undefined) })
const callbackQuery = z.object({ code: z.string().min(1), state: z.string().min(1) })
const initDataBody = z.object({ initData: z.string() })
const attemptQuery = z.object({ attempt: z.string().optional() })
const widgetBody = z.record(z.string(), z.union([z.string(), z.number()]))

export interface TelegramParts {
  /** Of the bot; undefined: no widget and no Mini App. */
  botToken: string | undefined
  /** Undefined: no OpenID Connect. */
  oidc: Oidc | undefined
  state: Pick<State, 'claim'>
  /** Sign the cookie of a login under way: the first one signs, all of them verify. */
  secrets: readonly string[]
  logIn: LogIn
  currentUser: (req: Request) => User | undefined
  /** Where the widget is at Telegram, for a login of that attempt. */
  widgetUrl: (req: Request, botToken: string, attempt: string) => string
  /** Refuses who tries too often. */
  limitLogins: RequestHandler
  /** Shows people a page where programs get the problem document. */
  answerRefusal: ErrorRequestHandler
  now?: () => number
}

export function telegramRoutes(parts: TelegramParts): Router {
  const { state, secrets, logIn, currentUser, now = Date.now } = parts
  const router = Router()

  const botToken = () => {
    if (parts.botToken === undefined) throw notConfigured('TELEGRAM_BOT_TOKEN')
    return parts.botToken
  }
  const oidc = () => {
    if (!parts.oidc) throw notConfigured('TELEGRAM_CLIENT_ID and TELEGRAM_CLIENT_SECRET')
    return parts.oidc
  }

  /** Refuses what was used for a login before. */
  async function useOnce(digest: string, madeAtMs: number): Promise<void> {
    const key = sessionKeys.login(digest)
    const { taken } = await state.claim(key, Buffer.from(randomUUID()), USED_FOR_MS, { madeAtMs })
    if (!taken) throw refuseLogin('used')
  }

  async function logInWith(req: Request, login: SignedLogin, inFrame: boolean): Promise<void> {
    const offS = offSeconds(login.signedAtS * SECOND, now())
    if (!isFresh(login, now())) throw refuseLogin(offS < 0 ? 'ahead' : 'too_old', { offS })
    await useOnce(login.digest, login.signedAtS * SECOND)
    await logIn(req, login.user, { inFrame })
  }

  router.use('/api/auth', parts.limitLogins)
  endpoint(router, '/api/auth/telegram/start', {
    async get(req, res) {
      const { return: returnTo = AFTER_LOGIN } = parse(startQuery, req.query)
      const attempt = newSecrets()
      const url = await oidc().startUrl(attempt, callbackOf(req))
      keepAttempt(req, res, { ...attempt, returnTo }, secrets)
      redirect(res, url.href)
    },
  })

  endpoint(router, '/api/auth/telegram/callback', {
    async get(req, res) {
      const server = oidc()
      const attempt = readAttempt(req, secrets)
      if (typeof attempt === 'string') throw refused(req, res, attempt)
      res.locals.returnTo = attempt.returnTo // for the page that a refused login leads to
      const { success, data } = callbackQuery.safeParse(req.query)
      // Of another tab, or of somebody's link: the attempt of this browser goes on.
      if (req.query.state !== attempt.state) throw refuseLogin('attempt_differs')
      if (!success) throw refused(req, res, req.query.error === 'access_denied' ? 'declined' : 'no_code')
      // Only then it is forgotten: the browser may come again where that is not known yet.
      await useOnce(createHash('sha256').update(attempt.state).digest('hex'), attempt.madeAtMs)
      forgetAttempt(req, res)
      await logIn(req, await server.userOf(data.code, attempt, callbackOf(req)), { inFrame: false })
      redirect(res, attempt.returnTo)
    },
  })

  endpoint(router, '/api/auth/telegram/webapp', {
    async post(req, res) {
      const token = botToken()
      const { initData } = parse(initDataBody, req.body ?? {})
      const login = verifyInitData(initData, token)
      if (!login) throw refuseLogin(whyUnsigned([...new URLSearchParams(initData)]))
      // A Mini App that is reloaded has the initData it was opened with, however old: that gives its user nothing new.
      if (currentUser(req)?.id !== login.user.id) {
        if (!isFresh(login, now())) expectKnown(req)
        await logInWith(req, login, true)
      }
      res.set('Cache-Control', 'no-store').json({ user: login.user })
    },
  })

  async function logInByWidget(req: Request, res: Response, fields: Fields, token: string): Promise<User> {
    const login = verifyWidget(fields, token)
    if (!login) throw refuseLogin(whyUnsigned(fields))
    await logInWith(req, login, false)
    endWidgetLogin(req, res)
    return login.user
  }

  endpoint(router, '/api/auth/telegram/widget', {
    get: (req, res) => redirect(res, parts.widgetUrl(req, botToken(), beginWidgetLogin(req, res))),
  })

  // For a page of the site with a button of Telegram's: what its data-auth-url must name.
  endpoint(router, '/api/auth/telegram/attempt', {
    post(req, res) {
      botToken()
      res
        .set('Cache-Control', 'no-store')
        .status(201)
        .json({ attempt: beginWidgetLogin(req, res) })
    },
  })

  endpoint(router, '/api/auth/telegram', {
    async get(req, res) {
      const token = botToken()
      const { searchParams } = new URL(req.originalUrl, 'http://here.invalid') // also what is given twice
      const given = [...searchParams]
      const attempts = given.filter(([name]) => name === 'attempt')
      if (attempts.length !== 1 || !hasBegunWidgetLogin(req, attempts[0]?.[1]))
        throw refuseLogin('no_attempt')
      const signed = given.filter(([name]) => name !== 'attempt') // Telegram knows nothing of it
      await logInByWidget(req, res, signed, token)
      redirect(res, AFTER_LOGIN)
    },
    async post(req, res) {
      const token = botToken()
      // Our own page reads a login from its address, which may be a link of somebody else's: it always names an
      // attempt. Other pages of the site, and programs, have it from where they asked for it.
      const { success, data } = attemptQuery.safeParse(req.query)
      if (!success || (data.attempt !== undefined && !hasBegunWidgetLogin(req, data.attempt)))
        throw refuseLogin('no_attempt')
      const body = req.body ?? {}
      const fields = Object.entries(parse(widgetBody, body))
      // The schema leaves `__proto__` out, which Telegram has not signed: it is a field more than there may be.
      if (fields.length !== Object.keys(body).length) throw refuseLogin('not_signed')
      const user = await logInByWidget(
        req,
        res,
        fields.map(([name, value]) => [name, String(value)]),
        token,
      )
      res.set('Cache-Control', 'no-store').json({ user })
    },
  })
  router.use(parts.answerRefusal)
  return router
}

function refused(req: Request, res: Response, reason: RefusalReason) {
  forgetAttempt(req, res)
  return refuseLogin(reason)
}

const callbackOf = (req: Request) => `${req.protocol}://${req.host}/api/auth/telegram/callback`

function redirect(res: Response, to: string): void {
  res.set('Cache-Control', 'no-store').redirect(303, to)
}
