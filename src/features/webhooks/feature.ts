// Webhooks: signed deliveries of others, each handled once.

import { defineFeature, type Rule } from '../../feature.ts'
import { MINUTE, SECOND } from '../../lib/time.ts'
import { parseWebhookSources, type WebhookSource } from '../../lib/webhook-sources.ts'
import { integer, names, parsedBy } from '../../variables.ts'
import { webhookKeys } from './webhook-keys.ts'
import { webhookMigrations } from './webhook-records.ts'
import { webhookRoutes } from './webhook-routes.ts'
import { createWebhooks } from './webhooks.ts'

/** Deliveries that are signed. What is not counts apart, so that it cannot use up the senders' share. */
export const signedRules = [
  { name: 'webhooks', per: 'address', limit: 600, windowMs: MINUTE, sharedLimit: 600 },
] as const satisfies readonly Rule[]
export const unsignedRules = [
  { name: 'unsigned', per: 'address', limit: 60, windowMs: MINUTE, sharedLimit: 600 },
] as const satisfies readonly Rule[]

export const webhooks = defineFeature({
  name: 'webhooks',
  keys: webhookKeys,
  about: {
    en: 'signed deliveries, each handled once',
    ru: 'подписанные доставки, каждая обрабатывается один раз',
  },
  variables: {
    WEBHOOK_SECRETS: {
      schema: parsedBy<ReadonlyMap<string, WebhookSource>>(parseWebhookSources).default(new Map()),
      default: { en: 'none', ru: 'нет' },
      en:
        'who may send [webhooks](docs/features/webhooks.md): `source[:scheme]=secret[\\|secret]`, ' +
        'comma-separated, divided at the first `=`; scheme `standard` (default), `github` or ' +
        '`telegram`',
      ru:
        'кто может присылать [вебхуки](docs/ru/features/webhooks.md): ' +
        '`источник[:схема]=секрет[\\|секрет]` через запятую, делится по первому `=`; схема ' +
        '`standard` (по умолчанию), `github` или `telegram`',
      isSecret: true,
    },
    WEBHOOK_CLOSED: {
      schema: names.default([]),
      en: 'sources, comma-separated, that answer 503 while Redis is away instead of accepting',
      ru: 'источники через запятую, которым без Redis отвечают 503, а не принимают',
    },
    WEBHOOK_TOLERANCE_SECONDS: {
      schema: integer(1, 3_600).default(300),
      en: 'how old or new a signed timestamp may be',
      ru: 'насколько подписанное время может отличаться от нашего',
    },
  },
  check: ({ WEBHOOK_CLOSED: closed, WEBHOOK_SECRETS: sources }) =>
    closed.some((name) => !sources.has(name))
      ? ['WEBHOOK_CLOSED must name sources that WEBHOOK_SECRETS names']
      : [],
  migrations: webhookMigrations.steps,
  setup({ config, once, records, mode, status, limit, admin, log }) {
    const { WEBHOOK_SECRETS: sources, WEBHOOK_CLOSED: closed } = config
    if (mode === 'memory' && closed.length > 0) {
      log.warn('without Redis (REDIS_URL=off) the sources in WEBHOOK_CLOSED accept nothing')
    }
    // Handlers are registered by other features: on('payments', …), docs/features/webhooks.md.
    const accepted = createWebhooks({ once, records, log })
    return {
      rawRoutes: webhookRoutes({
        webhooks: accepted,
        sources,
        // Our own servers are read within seconds: whoever sends it comes again.
        trustsTime: mode === 'external',
        toleranceMs: config.WEBHOOK_TOLERANCE_SECONDS * SECOND,
        isClosed: (source) => closed.includes(source) && status().status !== 'redis',
        records,
        limitSigned: (req, res) => limit(signedRules, req, res),
        limitUnsigned: (req, res) => limit(unsignedRules, req, res),
        guard: admin.only,
        log,
      }),
      provides: { on: accepted.on },
    }
  },
})
