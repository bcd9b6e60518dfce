// Price alerts: set by users, told on their pages, by Telegram and by webhook.
import type { Request } from 'express'
import { defineFeature } from '../../feature.ts'
import type { Html } from '../../lib/html.ts'
import { serverUrl } from '../../variables.ts'
import type { Language } from './alert.ts'
import { alertMigrations } from './alert-records.ts'
import { createAlertSocket } from './alert-socket.ts'
import { createAlerts } from './alerts.ts'
import { alertsHtml } from './alerts-html.ts'
import type { PricesOf, UnpricedOf } from './evaluate-alerts.ts'

export interface AlertsFeatureParts {
  pricesOf: PricesOf
  unpricedOf: UnpricedOf
  /** Those that have prices; the first one is meant where none is named. */
  currencies: readonly string[]
  botToken: string | undefined
  /** Shows the users' alerts on the page of prices. */
  addSection(section: (req: Request, language: Language, vs: string) => Promise<Html>): void
}

export const alerts = defineFeature({
  name: 'alerts',
  about: {
    en: 'notifications when a price crosses a threshold',
    ru: 'уведомления, когда цена пересекает порог',
  },
  needs: ['sessions', 'markets'],
  navigation: [{ path: '/markets#alerts', en: 'Alerts', ru: 'Уведомления' }],
  variables: {
    TELEGRAM_API_URL: {
      schema: serverUrl.default(new URL('https://api.telegram.org')),
      default: '`https://api.telegram.org`',
      en:
        'where the Bot API is, by which [alerts](docs/features/alerts.md) are sent; `http://` only ' +
        'on this machine, for tests',
      ru:
        'где Bot API, через который уходят [уведомления](docs/ru/features/alerts.md); `http://` ' +
        'только на этой же машине, для тестов',
    },
  },
  migrations: alertMigrations.steps,
  setup(context, { pricesOf, unpricedOf, currencies, botToken, addSection }: AlertsFeatureParts) {
    const { config, records, queue, bus, limiter, log, user, requireUser, socket } = context
    const { pages, routes, start, close } = createAlerts({
      records,
      queue,
      bus,
      limiter,
      pricesOf,
      unpricedOf,
      currencies,
      telegram: { botToken, apiUrl: config.TELEGRAM_API_URL },
      requireUser,
      log,
    })
    addSection(async (req, language, vs) =>
      alertsHtml({ language, vs, isLoggedIn: (await user(req)) !== undefined }),
    )
    return { routes, sockets: [createAlertSocket({ pages, socket })], start, close }
  },
})
