// Webhooks: signed deliveries of others, each handled once.

import { defineFeature, type Rule } from '../../feature.ts'
import { MINUTE, SECOND } from '../../lib/time.ts'
import type { WebhookScheme } from '../../lib/webhooks/webhook-scheme.ts'
import {
  parseOfSources,
  parseWebhookSources,
  type WebhookSource,
} from '../../lib/webhooks/webhook-sources.ts'
import { integer, names, parsedBy } from '../../variables.ts'
import { createConfirm } from './confirm.ts'
import { builtInSchemes } from './schemes/built-in.ts'
import { openSources, sourceProblems } from './sources.ts'
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

export interface WebhooksFeatureParts {
  /** Of all features. */
  schemes: readonly WebhookScheme[]
  /** The value of a variable of any of them. */
  variable: (name: string) => unknown
}

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
      isFree: true,
      default: { en: 'none', ru: 'нет' },
      en:
        'who may send [webhooks](docs/features/webhooks.md): `source[:scheme]=secret[\\|secret]`, ' +
        'comma-separated, divided at the first `=`; the schemes of [senders](docs/webhooks.md) are ' +
        '`standard` (default), `stripe`, `github`, `telegram`, `slack`, `shopify`, `yookassa`, `tbank`, ' +
        '`cloudpayments`, `crypto-pay`',
      ru:
        'кто может присылать [вебхуки](docs/ru/features/webhooks.md): ' +
        '`источник[:схема]=секрет[\\|секрет]` через запятую, делится по первому `=`; схемы ' +
        'отправителей: `standard` (по умолчанию), `stripe`, `github`, `telegram`, ' +
        '`slack`, `shopify`, `yookassa`, `tbank`, `cloudpayments`, `crypto-pay`',
      isSecret: true,
    },
    WEBHOOK_ADDRESSES: {
      schema: parsedBy<ReadonlyMap<string, readonly string[]>>(parseOfSources).default(new Map()),
      default: {
        en: 'those that YooKassa publishes; else any',
        ru: 'опубликованные ЮKassa; у остальных любые',
      },
      example: '',
      en: 'where sources send from: `source=address[\\|network]`, comma-separated, as in `kassa=185.71.76.0/27`',
      ru:
        'с каких адресов присылают источники: `источник=адрес[\\|сеть]` через запятую, например ' +
        '`kassa=185.71.76.0/27`',
    },
    WEBHOOK_API_URLS: {
      schema: parsedBy<ReadonlyMap<string, readonly string[]>>(parseOfSources).default(new Map()),
      default: { en: 'those of the senders', ru: 'адреса отправителей' },
      example: '',
      en: 'where a source’s API is asked instead, `source=url`: for the test environment of YooKassa, or a proxy',
      ru: 'где спрашивать API источника вместо обычного адреса, `источник=url`: тестовый контур ЮKassa или прокси',
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
  schemes: builtInSchemes,
  check: sourceProblems,
  migrations: webhookMigrations.steps,
  setup(
    { config, once, records, mode, status, limit, admin, fetchJson, log },
    { schemes, variable }: WebhooksFeatureParts,
  ) {
    const { WEBHOOK_CLOSED: closed } = config
    if (mode === 'memory' && closed.length > 0) {
      log.warn('without Redis (REDIS_URL=off) the sources in WEBHOOK_CLOSED accept nothing')
    }
    // Handlers are registered by other features: on('payments', …), docs/features/webhooks.md.
    const accepted = createWebhooks({ once, records, log })
    return {
      rawRoutes: webhookRoutes({
        webhooks: accepted,
        schemes,
        sources: openSources(config, { schemes, variable }),
        confirm: createConfirm({ fetchJson, log }),
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
