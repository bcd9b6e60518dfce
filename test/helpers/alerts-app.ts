// The alerts part of the app over a real Redis with the real queue and channel layer, real SQLite and real HTTP, with what
// a test needs to turn: prices, the clock, who is logged in, and what happens between decision and delivery.
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { alertMigrations, createAlertRecords } from '../../src/features/alerts/alert-records.ts'
import { createAlertSocket } from '../../src/features/alerts/alert-socket.ts'
import { createAlerts } from '../../src/features/alerts/alerts.ts'
import type { PricesOf } from '../../src/features/alerts/check-alerts.ts'
import type { Resolve } from '../../src/features/alerts/safe-url.ts'
import { createWebhookAddressRecords } from '../../src/features/alerts/webhook-address-records.ts'
import { createHttpServer } from '../../src/http/server.ts'
import { createDataLock } from '../../src/infra/data-lock.ts'
import { createLimiter, type Limiter } from '../../src/infra/limiter.ts'
import { openQueue } from '../../src/infra/queue/open-queue.ts'
import type { JobHandler } from '../../src/infra/queue/queue.ts'
import { openRoles } from '../../src/infra/roles.ts'
import { openLocalRecords } from '../../src/infra/sql/local-records.ts'
import type { Records } from '../../src/infra/sql/sql.ts'
import { parseRedisUrl } from '../../src/lib/redis-url.ts'
import type { Now } from '../../src/lib/time.ts'
import { eventually } from './eventually.ts'
import { BOT_TOKEN } from './fake-bot-api.ts'
import { recordLog } from './log.ts'

/** A price as it is now. */
export const fresh = (price: number) => ({ price, asOf: '2026-11-20T08:00:00.000Z', isStale: false })

export interface AlertsAppOptions {
  redisUrl: string
  botUrl: string
  pricesOf: PricesOf
  dataDir?: string
  /** Of the receiver of webhooks, which is believed; addresses on this machine are allowed then. */
  ca?: string
  /** What names stand for; this machine unless said. */
  resolve?: Resolve
  isAllowed?: (address: string) => boolean
  /** Before what is to be told is read from the outbox. */
  beforeTelling?: () => Promise<void>
  isPaced?: boolean
  now?: Now
}

export async function openAlertsApp({
  redisUrl,
  botUrl,
  pricesOf,
  now = Date.now,
  ...rest
}: AlertsAppOptions) {
  const dataDir = rest.dataDir ?? mkdtempSync(join(tmpdir(), 'samovar-data-'))
  const { log, lines } = recordLog()
  const dataLock = createDataLock(undefined)
  const target = redisUrl === 'off' ? undefined : targetOf(redisUrl)
  const redis = {
    cache: target,
    state: target,
    hasStateServer: false,
    ca: undefined,
    budgetMs: 500,
    prefix: 'samovar:',
  }
  const roles = openRoles({
    mode: target ? 'embedded' : 'memory',
    redis,
    workers: 2,
    memoryBudgetBytes: 32 * 1024 * 1024,
    dataDir,
    dataLock,
    log,
  })
  const queue = openQueue({ redis, state: roles.state, log })
  const opened = openLocalRecords({
    path: join(dataDir, 'records.db'),
    migrations: [alertMigrations],
    dataLock,
    log,
  })
  const ended = new Set<string>()
  const records: Records = {
    transaction: opened.transaction,
    async all(query, ...parameters) {
      if (!/FROM alert_deliveries WHERE ended_at IS NULL/.test(query)) return opened.all(query, ...parameters)
      await rest.beforeTelling?.()
      return opened.all(query, ...parameters)
    },
  }
  const unlimited: Pick<Limiter, 'hit'> = {
    hit: async () => ({ allowed: true, remaining: 1, resetMs: 0, retryAfterMs: 0, growsAfterMs: 0 }),
  }
  const currentUser = ({ headers }: { headers: Record<string, unknown> }) => {
    const id = headers['x-user']
    return typeof id === 'string' ? { id: `telegram:${id}`, language: 'en' } : undefined
  }
  const alerts = createAlerts({
    records,
    queue: {
      ...queue,
      work(name, handler, options) {
        const noting: JobHandler = async (job) => {
          await handler(job)
          ended.add(job.id)
        }
        queue.work(name, noting, options)
      },
    },
    bus: roles.bus,
    limiter: rest.isPaced ? createLimiter({ state: roles.state.state }) : unlimited,
    pricesOf,
    currencies: ['usd', 'eur'],
    telegram: { botToken: BOT_TOKEN, apiUrl: new URL(botUrl) },
    currentUser,
    userWebhooks: {
      resolve: rest.resolve ?? (async () => [{ address: '127.0.0.1', family: 4 }]),
      isAllowed: rest.isAllowed ?? ((address) => address === '127.0.0.1'),
      ...(rest.ca !== undefined && { ca: rest.ca }),
    },
    now,
    log,
  })
  const socket = createAlertSocket({
    pages: alerts.pages,
    userIdOf: (req) => currentUser(req)?.id,
    hasLoggedOut: async () => false,
    log,
  })
  const server = createHttpServer({
    rawRouters: [],
    routers: [alerts.routes],
    upgrades: [{ path: '/ws/alerts', handlers: [], ...socket }],
    trustProxy: 0,
    log,
  })
  const port = await server.listen(0)
  roles.start([queue])
  alerts.start()

  return {
    url: `http://127.0.0.1:${port}`,
    port,
    lines,
    records,
    alerts: createAlertRecords({ records, now }),
    addresses: createWebhookAddressRecords({ records, now }),
    status: () => roles.state.status().status,
    /** One check now, by the queue; what it decides is committed when this resolves. */
    async check(): Promise<void> {
      const id = `check of the test ${randomUUID()}`
      await queue.add('check-alerts', null, { id })
      await eventually(() => {
        if (!ended.has(id)) throw new Error('the check has not ended')
      })
    },
    send: (method: string, path: string, body?: unknown, user: string | undefined = '42') =>
      fetch(`http://127.0.0.1:${port}${path}`, {
        method,
        headers: {
          ...(user && { 'x-user': user }),
          ...(body !== undefined && { 'content-type': 'application/json' }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      }),
    async close() {
      await server.close()
      await queue.close()
      await roles.close()
      await opened.close()
      dataLock.close()
      if (!rest.dataDir) rmSync(dataDir, { recursive: true, force: true })
    },
  }
}

export type AlertsApp = Awaited<ReturnType<typeof openAlertsApp>>

function targetOf(url: string) {
  const target = parseRedisUrl(url)
  if (typeof target === 'string') throw new Error(target)
  return target
}
