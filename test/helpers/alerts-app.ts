// The alerts part of the app over a real Redis with the real queue and channel layer, real SQLite and real HTTP, with
// what a test needs to turn: prices, the clock, who is logged in, and what happens between decision and delivery.
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createDataLock } from '../../src/core/data-lock.ts'
import { createInstallation } from '../../src/core/files/installation.ts'
import type { Limiter } from '../../src/core/limiter.ts'
import type { JobHandler } from '../../src/core/queue/queue.ts'
import { openSamovar } from '../../src/core/samovar.ts'
import { notLoggedIn } from '../../src/errors.ts'
import { alertMigrations, createAlertRecords } from '../../src/features/alerts/alert-records.ts'
import { createAlertSocket } from '../../src/features/alerts/alert-socket.ts'
import { createAlerts } from '../../src/features/alerts/alerts.ts'
import type { Resolve } from '../../src/features/alerts/delivery/safe-url.ts'
import { createWebhookAddressRecords } from '../../src/features/alerts/delivery/webhook-address-records.ts'
import type { PricesOf, UnpricedOf } from '../../src/features/alerts/evaluate-alerts.ts'
import { createHttpServer } from '../../src/http/server.ts'
import { createSockets } from '../../src/http/sockets/sockets.ts'
import { parseRedisUrl } from '../../src/lib/redis-url.ts'
import type { Now } from '../../src/lib/time.ts'
import { openLocalRecords } from '../../src/sql/local-records.ts'
import type { Records } from '../../src/sql/sql.ts'
import { eventually } from './eventually.ts'
import { BOT_TOKEN } from './fake-bot-api.ts'
import { recordLog } from './log.ts'

/** A price as it is now. */
export const fresh = (price: number) => ({ price, asOf: '2026-11-20T08:00:00.000Z', isStale: false })

export interface AlertsAppOptions {
  redisUrl: string
  botUrl: string
  pricesOf: PricesOf
  unpricedOf?: UnpricedOf
  dataDir?: string
  /** Of the receiver of webhooks, which is believed; addresses on this machine are allowed then. */
  ca?: string
  /** What names stand for; this machine unless said. */
  resolve?: Resolve
  isAllowed?: (address: string) => boolean
  /** Before a delivery is claimed. */
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
  const samovar = openSamovar({
    mode: target ? 'embedded' : 'memory',
    redis,
    keys: [],
    cache: { enabled: true },
    workers: 2,
    memoryBudgetBytes: 32 * 1024 * 1024,
    dataDir,
    dataLock,
    log,
  })
  const { queue } = samovar
  const opened = openLocalRecords({
    path: join(dataDir, 'records.db'),
    migrations: [alertMigrations],
    dataLock,
    installation: createInstallation(dataDir, log),
    log,
  })
  const ended = new Set<string>()
  const records: Records = {
    all: opened.all,
    transaction: (work) =>
      opened.transaction(async (tx) => {
        let claims = false
        const run: typeof tx.run = (text, ...parameters) => {
          claims ||= text.includes('tries = tries + 1')
          tx.run(text, ...parameters)
        }
        const answer = await work({ ...tx, run })
        if (claims) await rest.beforeTelling?.()
        return answer
      }),
  }
  const unlimited: Pick<Limiter, 'hit'> = {
    hit: async () => ({ allowed: true, remaining: 1, resetMs: 0, retryAfterMs: 0, growsAfterMs: 0 }),
  }
  const requireUser = ({ headers }: { headers: Record<string, unknown> }) => {
    const id = headers['x-user']
    if (typeof id !== 'string') throw notLoggedIn()
    return { id: `telegram:${id}`, language: 'en' }
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
    bus: samovar.bus,
    limiter: rest.isPaced ? samovar.limiter : unlimited,
    pricesOf,
    ...(rest.unpricedOf && { unpricedOf: rest.unpricedOf }),
    currencies: ['usd', 'eur'],
    telegram: { botToken: BOT_TOKEN, apiUrl: new URL(botUrl) },
    requireUser,
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
    socket: (options) =>
      createSockets({
        callerOf: (req) => requireUser(req) as never,
        clientOf: () => undefined,
        hasLoggedOut: async () => false,
        bus: samovar.bus,
        log,
        ...options,
      }),
  })
  const server = createHttpServer({
    rawRouters: [],
    routers: [alerts.routes],
    upgrades: [{ handlers: [], ...socket }],
    trustProxy: 0,
    log,
  })
  const port = await server.listen(0)
  samovar.start()
  alerts.start()

  return {
    url: `http://127.0.0.1:${port}`,
    port,
    lines,
    records,
    alerts: createAlertRecords({ records, now }),
    addresses: createWebhookAddressRecords({ records, now }),
    status: () => samovar.roles.state.status().status,
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
      await alerts.close()
      await samovar.close()
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
