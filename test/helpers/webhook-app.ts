// The webhooks part of the app over a real Redis, real SQLite and real HTTP, with what a test needs to turn: handlers,
// the clock, and what happens between two steps.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Webhook } from 'standardwebhooks'
import { createDataLock } from '../../src/core/data-lock.ts'
import { createInstallation } from '../../src/core/files/installation.ts'
import { createOnce } from '../../src/core/once.ts'
import type { State } from '../../src/core/state/state.ts'
import { builtInSchemes } from '../../src/features/webhooks/schemes/built-in.ts'
import { standard } from '../../src/features/webhooks/schemes/standard.ts'
import { webhookMigrations } from '../../src/features/webhooks/webhook-records.ts'
import { webhookRoutes } from '../../src/features/webhooks/webhook-routes.ts'
import { createWebhooks, type Handler } from '../../src/features/webhooks/webhooks.ts'
import { createHttpServer } from '../../src/http/server.ts'
import type { Now } from '../../src/lib/time.ts'
import { openLocalRecords } from '../../src/sql/local-records.ts'
import type { Records } from '../../src/sql/sql.ts'
import { recordLog } from './log.ts'
import { openProcess } from './stores.ts'

export const SECRET = `whsec_${Buffer.from('a secret of twenty-four b').toString('base64')}`
export const EFFECTS = { of: 'test', steps: ['CREATE TABLE effects (delivery TEXT NOT NULL) STRICT;'] }

export interface WebhookAppOptions {
  redisUrl: string
  dataDir?: string
  /** Of the source `payments`; writes the delivery's id to the table `effects` unless it is given. */
  handler?: Handler
  now?: Now
  between?: { state(state: State): State; records(records: Records): Records }
}

export const writeEffect: Handler = async ({ id }, { tx }) => {
  tx.run('INSERT INTO effects VALUES (?)', id)
}

export async function openWebhookApp({
  redisUrl,
  handler = writeEffect,
  now = Date.now,
  ...rest
}: WebhookAppOptions) {
  const dataDir = rest.dataDir ?? mkdtempSync(join(tmpdir(), 'samovar-data-'))
  const { log, lines } = recordLog()
  const process = await openProcess({ cacheUrl: redisUrl, dataDir, budgetMs: 500 })
  const path = join(dataDir, 'records.db')
  const migrations = [webhookMigrations, EFFECTS]
  const records = openLocalRecords({
    path,
    migrations,
    dataLock: createDataLock(undefined),
    installation: createInstallation(dataDir, log),
    log,
  })
  const webhooks = createWebhooks({
    once: createOnce({ state: rest.between?.state(process.state) ?? process.state, now }),
    records: rest.between?.records(records) ?? records,
    now,
    log,
  })
  webhooks.on('payments', handler)
  const routes = webhookRoutes({
    webhooks,
    schemes: builtInSchemes,
    sources: new Map([['payments', { scheme: standard, secrets: [SECRET] }]]),
    confirm: async () => ({ confirmed: undefined }),
    toleranceMs: 300_000,
    trustsTime: false,
    isClosed: () => false,
    limitSigned: async () => {},
    limitUnsigned: async () => {},
    records,
    guard: (_req, _res, next) => next(),
    now,
    log,
  })
  const server = createHttpServer({ rawRouters: [routes], routers: [], trustProxy: 0, log })
  const url = `http://127.0.0.1:${await server.listen(0)}/api/webhooks/payments`
  return {
    url,
    lines,
    records,
    status: () => process.stateRole.status().status,
    untilStatus: process.untilStatus,
    /** How often each delivery took effect. */
    async effects(id: string): Promise<number> {
      return (await records.all('SELECT delivery FROM effects WHERE delivery = ?', id)).length
    },
    send: (id: string, body: string) => fetch(url, signedRequest(id, body, now())),
    async close() {
      await server.close()
      records.close()
      await process.close()
      if (!rest.dataDir) rmSync(dataDir, { recursive: true, force: true })
    },
  }
}

export type WebhookApp = Awaited<ReturnType<typeof openWebhookApp>>

/** As the package signs it; `nowMs` is when. */
export function signedRequest(id: string, body: string, nowMs: number, secret = SECRET): RequestInit {
  const at = new Date(nowMs)
  return {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'webhook-id': id,
      'webhook-timestamp': String(Math.floor(at.getTime() / 1_000)),
      'webhook-signature': new Webhook(secret).sign(id, at, body),
    },
    body,
  }
}
