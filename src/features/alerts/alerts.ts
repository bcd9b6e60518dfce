// Price alerts, put together: their records, the check on its schedule, and the three ways to notify users.
import type { Bus } from '../../core/bus/bus.ts'
import type { Limiter } from '../../core/limiter.ts'
import type { Queue } from '../../core/queue/queue.ts'
import { MINUTE, type Now } from '../../lib/time.ts'
import type { Log } from '../../log.ts'
import type { Records } from '../../sql/sql.ts'
import { createAlertChanges } from './alert-changes.ts'
import { createAlertPages } from './alert-pages.ts'
import { createAlertRecords } from './alert-records.ts'
import { type AlertsRoutesParts, alertsRoutes } from './alerts-routes.ts'
import { createBotCheck } from './bot-check.ts'
import { createBlockedUsers } from './delivery/blocked-users.ts'
import { createDeliver, finishFormerJobs } from './delivery/deliver-alerts.ts'
import { createDeliveryRecords } from './delivery/delivery-records.ts'
import { createResolve } from './delivery/safe-url.ts'
import { createTelegramSender } from './delivery/telegram-message.ts'
import { createUserWebhookSender, type UserWebhookParts } from './delivery/user-webhook.ts'
import { createWebhookAddressRecords } from './delivery/webhook-address-records.ts'
import { createEvaluateAlerts, type PricesOf, type UnpricedOf } from './evaluate-alerts.ts'

export interface AlertsParts {
  records: Records
  queue: Pick<Queue, 'work' | 'schedule'>
  bus: Pick<Bus, 'publish' | 'subscribe'>
  limiter: Pick<Limiter, 'hit'>
  pricesOf: PricesOf
  unpricedOf?: UnpricedOf
  /** Those that have prices; the first one is the default. */
  currencies: readonly string[]
  telegram: { readonly botToken: string | undefined; readonly apiUrl: URL }
  requireUser: AlertsRoutesParts['requireUser']
  userWebhooks?: Omit<UserWebhookParts, 'now'>
  now?: Now
  log: Log
}

const CHECK_EVERY_MS = MINUTE

export function createAlerts(parts: AlertsParts) {
  const { records, queue, bus, limiter, pricesOf, currencies, telegram, requireUser, log } = parts
  const { userWebhooks = { resolve: createResolve() }, now = Date.now } = parts
  const { unpricedOf = async () => new Set() } = parts
  const alerts = createAlertRecords({ records, now })
  const deliveries = createDeliveryRecords({ records, now })
  const pages = createAlertPages({ bus })
  const hasTelegram = telegram.botToken !== undefined
  const sender = createTelegramSender({ ...telegram, limiter, now, log })
  const evaluateAlerts = createEvaluateAlerts({
    records,
    alerts,
    pricesOf,
    unpricedOf,
    hasTelegram,
    now,
    log,
  })
  const deliver = createDeliver({
    deliveries,
    senders: {
      page: pages,
      telegram: sender,
      webhook: createUserWebhookSender({ ...userWebhooks, now }),
    },
    now,
    log,
  })
  const blockedUsers = createBlockedUsers({ records, telegram: sender, resumed: deliver.wake, now, log })

  return {
    pages,
    routes: alertsRoutes({
      alerts,
      changes: createAlertChanges({ alerts, pricesOf, now }),
      deliveries,
      webhooks: createWebhookAddressRecords({ records, now }),
      bot: hasTelegram ? createBotCheck({ limiter, blockedUsers, sender }) : undefined,
      currencies,
      unpricedOf,
      requireUser,
      now,
    }),
    /** Checks and notifies from now on, beginning with what an earlier process has not delivered. */
    start(): void {
      queue.work('check-alerts', async () => {
        await evaluateAlerts()
        await deliveries.prune()
        deliver.wake()
        if (hasTelegram) await blockedUsers.check()
      })
      queue.schedule('check-alerts', { everyMs: CHECK_EVERY_MS, data: null, catchUp: 'once' })
      finishFormerJobs(queue, deliver)
      deliver.wake()
    },
    close: deliver.close,
  }
}
