// Sessions, and logging in with Telegram: who is who, for all features.

import { Router } from 'express'
import { z } from 'zod'
import { defineFeature, type Rule } from '../../feature.ts'
import { MINUTE } from '../../lib/time.ts'
import { flag, serverUrl } from '../../variables.ts'
import { createLogIn } from './log-in.ts'
import { createOwnSessions } from './own-sessions.ts'
import { createLoginPage, widgetUrlAt } from './pages/login-page.ts'
import { loginPagesRoutes } from './pages/login-pages-routes.ts'
import { sessionKeys } from './session-keys.ts'
import { createIdentify, createSessionLoader } from './session-middleware.ts'
import { createSessionRecords } from './session-records.ts'
import { sessionRoutes } from './session-routes.ts'
import { createSessionStore } from './session-store.ts'
import { createOidc } from './telegram/oidc.ts'
import { telegramRoutes } from './telegram/telegram-routes.ts'
import { createUsers } from './users.ts'

/** Routes that are about the session itself, and so always load it. */
const PATHS = ['/api/me', '/api/logout', '/api/sessions', '/api/auth', '/login', '/account']

/** By address, because a new session costs nothing. Many phones share one, and a login may be two requests. */
export const loginRules = [
  { name: 'login', per: 'address', limit: 60, windowMs: 15 * MINUTE, sharedLimit: 600 },
] as const satisfies readonly Rule[]

const ARE_KEPT = {
  redis: 'the session store keeps sessions in Redis, and in memory while it is away',
  memory: 'the session store keeps sessions in memory, with a copy on disk: Redis is switched off',
}

export const sessions = defineFeature({
  name: 'sessions',
  keys: sessionKeys,
  about: {
    en: 'sessions, and login with Telegram at `/login`',
    ru: 'сессии и вход через Telegram на `/login`',
  },
  variables: {
    TELEGRAM_BOT_TOKEN: {
      schema: z
        .string()
        .regex(/^\d{1,16}:[\w-]{1,200}$/, 'must look like 123456789:AAE…, as BotFather gives it')
        .optional(),
      en:
        'token of a bot: [login](docs/features/login.md) in Mini Apps and with the older widget, ' +
        'which answer 501 without it, and [alerts](docs/features/alerts.md) as messages',
      ru:
        'токен бота: [вход](docs/ru/features/login.md) в мини-приложениях и через прежний виджет, ' +
        'без него они отвечают 501, и [уведомления](docs/ru/features/alerts.md) сообщениями',
      isSecret: true,
    },
    TELEGRAM_CLIENT_ID: {
      schema: z
        .string()
        .regex(/^[\w.-]{1,100}$/, 'must be the Client ID that BotFather shows under Web Login')
        .optional(),
      en:
        'of Log In With Telegram, as BotFather shows it under Web Login. Without it and the next one ' +
        'it answers 501',
      ru:
        'для Log In With Telegram, его показывает BotFather в разделе Web Login. Без него и ' +
        'следующей переменной ответ 501',
    },
    TELEGRAM_CLIENT_SECRET: {
      schema: z
        .string()
        .regex(/^[\x21-\x7e]{1,500}$/, 'must be the Client Secret that BotFather shows under Web Login')
        .optional(),
      en: 'the secret beside it',
      ru: 'секрет к нему',
      isSecret: true,
    },
    TELEGRAM_WIDGET: {
      schema: flag.optional(),
      default: {
        en: '`true` without Log In With Telegram',
        ru: '`true` без Log In With Telegram',
      },
      en: 'whether `/login` offers the older widget as well, where there is a bot',
      ru: 'предлагать ли на `/login` и прежний виджет, если бот есть',
    },
    TELEGRAM_ISSUER: {
      schema: serverUrl.default(new URL('https://oauth.telegram.org')),
      default: '`https://oauth.telegram.org`',
      en: 'where Log In With Telegram is; `http://` only on this machine, for tests',
      ru: 'где находится Log In With Telegram; `http://` только на этой же машине, для тестов',
    },
  },
  navigation: [{ path: '/account', en: 'Account', ru: 'Учётная запись', isLast: true }],
  setup({ config, state, secrets, mode, limitBy, log }) {
    const { TELEGRAM_BOT_TOKEN: botToken, TELEGRAM_ISSUER: issuer } = config
    const { TELEGRAM_CLIENT_ID: clientId, TELEGRAM_CLIENT_SECRET: clientSecret } = config
    const records = createSessionRecords({ state })
    const store = createSessionStore({ records })
    const load = createSessionLoader({ store, secrets })
    const identify = createIdentify(store)
    const currentUser = (req: Parameters<typeof identify>[0]) => identify(req).user
    const oidc = clientId && clientSecret ? createOidc({ issuer, clientId, clientSecret }) : undefined
    const loginPage = createLoginPage({
      hasOidc: oidc !== undefined,
      hasWidget: botToken !== undefined && (config.TELEGRAM_WIDGET ?? oidc === undefined),
      hasBot: botToken !== undefined,
      currentUser,
      log,
    })

    const routes = Router()
    routes.use(PATHS, load)
    routes.use(
      sessionRoutes({ records }),
      telegramRoutes({
        botToken,
        oidc,
        state,
        secrets,
        logIn: createLogIn({ records }),
        currentUser,
        widgetUrl: widgetUrlAt(issuer),
        limitLogins: limitBy(loginRules),
        answerRefusal: loginPage.answerRefusal,
      }),
      loginPagesRoutes({ loginPage, currentUser, own: createOwnSessions({ records }) }),
    )
    return {
      routes,
      ownLimits: ['/api/auth'],
      users: createUsers({ store, load }),
      start: () => log.info(ARE_KEPT[mode === 'memory' ? 'memory' : 'redis']),
      provides: { botToken, hasLogin: oidc !== undefined || botToken !== undefined },
    }
  },
})
