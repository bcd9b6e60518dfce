// /api/alerts: each user's own alerts, their last crossings, and the address of the user's webhook.
import { type Request, Router } from 'express'
import { z } from 'zod'
import { notFound, unsafeUrl } from '../../errors.ts'
import { serveFiles } from '../../http/page.ts'
import { endpoint, parse } from '../../http/parse.ts'
import { plainText } from '../../lib/plain-text.ts'
import { MINUTE, type Now, pause, SECOND } from '../../lib/time.ts'
import { type Alert, alertSchemas, languageOf } from './alert.ts'
import type { AlertChanges } from './alert-changes.ts'
import type { AlertRecords } from './alert-records.ts'
import type { DeliveryRecords } from './delivery/delivery-records.ts'
import { parseSafeUrl } from './delivery/safe-url.ts'
import { createSecret } from './delivery/user-webhook.ts'
import type { WebhookAddressRecords } from './delivery/webhook-address-records.ts'
import { byCurrency, type UnpricedOf } from './evaluate-alerts.ts'

export interface AlertUser {
  readonly id: string
  readonly language?: string
}

/** What a user's page says of the bot: where to start it, and whether it may write; null: not known now. */
export interface BotOfUser {
  readonly startUrl: string | null
  readonly mayWrite: boolean | null
}

export interface AlertsRoutesParts {
  alerts: AlertRecords
  changes: AlertChanges
  deliveries: Pick<DeliveryRecords, 'lastOf'>
  webhooks: WebhookAddressRecords
  /** Asks for it, and resumes the user's alerts if the bot may write again. Undefined without a bot. */
  bot: ((userId: string) => Promise<BotOfUser>) | undefined
  currencies: readonly string[]
  unpricedOf: UnpricedOf
  /** Throws for who is not logged in. */
  requireUser: (req: Request) => Promise<AlertUser> | AlertUser
  now: Now
}

/** A list does not wait longer for what the source knows of its coins. */
const SOURCE_MS = SECOND

export function alertsRoutes(parts: AlertsRoutesParts): Router {
  const { alerts, changes, deliveries, webhooks, bot, currencies, unpricedOf, requireUser, now } = parts
  const { newAlert, patch } = alertSchemas(currencies)
  const webhook = z.strictObject({ url: plainText })
  const idOf = (req: Request) => parse(plainText, req.params.id)

  /** Whether an alert waits for a coin that the source has no price of: it may have been removed there. */
  async function unpricedAmong(list: readonly Alert[]) {
    const late = pause(SOURCE_MS).then((): ReadonlySet<string> => new Set())
    const asked = [...byCurrency(list)].map(async ([vs, some]) => {
      const coins = [...new Set(some.map(({ coin }) => coin))]
      return [vs, await Promise.race([unpricedOf(coins, vs), late])] as const
    })
    const unpriced = new Map(await Promise.all(asked))
    return ({ vs, coin }: Alert) => unpriced.get(vs)?.has(coin) ?? false
  }

  const router = Router()
  serveFiles(router, '/static/alerts', import.meta.url)
  router.use('/api/alerts', (_req, res, next) => {
    res.setHeader('Cache-Control', 'private, no-store')
    next()
  })

  endpoint(router, '/api/alerts', {
    async get(req, res) {
      const list = await alerts.list((await requireUser(req)).id)
      const isUnpriced = await unpricedAmong(list)
      res.json({ alerts: list.map((alert) => shown(alert, now(), isUnpriced(alert))) })
    },
    async post(req, res) {
      const { id, language } = await requireUser(req)
      const alert = await changes.make(id, languageOf(language), parse(newAlert, req.body))
      res.status(201).location(`/api/alerts/${alert.id}`).json(shown(alert, now()))
    },
  })

  endpoint(router, '/api/alerts/crossings', {
    get: async (req, res) =>
      void res.json({ crossings: await deliveries.lastOf((await requireUser(req)).id) }),
  })

  endpoint(router, '/api/alerts/webhook', {
    get: async (req, res) =>
      void res.json({ url: (await webhooks.find((await requireUser(req)).id)) ?? null }),
    async post(req, res) {
      const { id } = await requireUser(req)
      const url = parseSafeUrl(parse(webhook, req.body).url)
      if (typeof url === 'string') throw unsafeUrl(url)
      const secret = createSecret()
      await webhooks.set(id, { url: url.href, secret })
      res.status(201).json({ url: url.href, secret })
    },
    async delete(req, res) {
      await webhooks.set((await requireUser(req)).id, undefined)
      res.status(204).end()
    },
  })

  endpoint(router, '/api/alerts/bot', {
    async post(req, res) {
      const { id } = await requireUser(req)
      res.json((await bot?.(id)) ?? { startUrl: null, mayWrite: null })
    },
  })

  endpoint(router, '/api/alerts/:id', {
    async get(req, res) {
      const alert = await alerts.find((await requireUser(req)).id, idOf(req))
      if (!alert) throw notFound('That alert')
      const isUnpriced = await unpricedAmong([alert])
      res.json(shown(alert, now(), isUnpriced(alert)))
    },
    async patch(req, res) {
      const { id } = await requireUser(req)
      const changed = await changes.change(id, idOf(req), parse(patch, req.body))
      res.json(shown(changed, now()))
    },
    async delete(req, res) {
      if (!(await alerts.remove((await requireUser(req)).id, idOf(req)))) throw notFound('That alert')
      res.status(204).end()
    },
  })
  return router
}

function shown(alert: Alert, nowMs: number, isUnpriced = false) {
  const { id, coin, vs, when, value, repeat, cooldownMs, expiresAtMs, notify, status, watch, triggerCount } =
    alert
  const isExpired = status === 'open' && expiresAtMs !== undefined && expiresAtMs <= nowMs
  return {
    id,
    coin,
    vs,
    when,
    value,
    repeat,
    cooldownMinutes: cooldownMs / MINUTE,
    expiresAt: isoOrNull(expiresAtMs),
    notify,
    status: isExpired ? 'expired' : status === 'open' && isUnpriced ? 'no_price' : status,
    referencePrice: watch.referencePrice ?? null,
    rings: triggerCount,
    lastRangAt: isoOrNull(watch.triggeredAtMs),
    createdAt: new Date(alert.createdAtMs).toISOString(),
  }
}

const isoOrNull = (ms: number | undefined) => (ms === undefined ? null : new Date(ms).toISOString())
