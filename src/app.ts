// The system, put together: read it top to bottom. What is added to the scope first is closed last.
import type { Config } from './config.ts'
import { createDataLock } from './core/data-lock.ts'
import { openSamovar } from './core/samovar.ts'
import { alertMigrations } from './features/alerts/alert-records.ts'
import { createAlertSocket } from './features/alerts/alert-socket.ts'
import { createAlerts } from './features/alerts/alerts.ts'
import { alertsHtml } from './features/alerts/alerts-html.ts'
import { cacheAdminRoutes } from './features/cache-admin/cache-admin-routes.ts'
import { cacheStats } from './features/cache-admin/cache-stats.ts'
import { callRoutes } from './features/calls/call-routes.ts'
import { createRooms } from './features/calls/room.ts'
import { capacityOf } from './features/calls/room-name.ts'
import { createSocketServer } from './features/calls/socket-server.ts'
import { healthRoutes, type Phase } from './features/health/health-routes.ts'
import { jobsRoutes } from './features/jobs/jobs-routes.ts'
import { createLimits } from './features/limits/limit-requests.ts'
import { policies } from './features/limits/policies.ts'
import { createSharedAddresses } from './features/limits/shared-address.ts'
import { createCallBudget } from './features/markets/call-budget.ts'
import { type Currency, currencies } from './features/markets/coin.ts'
import { createCoinGecko } from './features/markets/coingecko.ts'
import { marketKeys } from './features/markets/market-keys.ts'
import { createMarkets } from './features/markets/markets.ts'
import { marketsRoutes } from './features/markets/markets-routes.ts'
import { outagesRoutes } from './features/outages/outages-routes.ts'
import { pageRoutes } from './features/page/page-routes.ts'
import { COLUMNS, fillCountries } from './features/reference/countries-table.ts'
import { matches } from './features/reference/country.ts'
import { createReference } from './features/reference/reference.ts'
import { referenceRoutes } from './features/reference/reference-routes.ts'
import { createReferenceTable } from './features/reference/reference-table.ts'
import { refreshRegularly } from './features/reference/refresh-regularly.ts'
import { createLogIn } from './features/sessions/log-in.ts'
import { createOwnSessions } from './features/sessions/own-sessions.ts'
import { createLoginPage } from './features/sessions/pages/login-page.ts'
import { loginPagesRoutes } from './features/sessions/pages/login-pages-routes.ts'
import { sessionKeys } from './features/sessions/session-keys.ts'
import {
  createHasLoggedOut,
  createIdentify,
  createSessionMiddleware,
} from './features/sessions/session-middleware.ts'
import { createSessionRecords } from './features/sessions/session-records.ts'
import { sessionRoutes } from './features/sessions/session-routes.ts'
import { keepSecret } from './features/sessions/session-secret.ts'
import { createSessionStore } from './features/sessions/session-store.ts'
import { createOidc } from './features/sessions/telegram/oidc.ts'
import { telegramRoutes } from './features/sessions/telegram/telegram-routes.ts'
import { webhookKeys } from './features/webhooks/webhook-keys.ts'
import { webhookMigrations } from './features/webhooks/webhook-records.ts'
import { webhookRoutes } from './features/webhooks/webhook-routes.ts'
import { createWebhooks } from './features/webhooks/webhooks.ts'
import { createJsonFetcher } from './http/fetch-json.ts'
import { idempotencyKeys } from './http/idempotency.ts'
import { createQueueBoard } from './http/queue-board.ts'
import { hasToken, requireAdmin, requireAdminOfPage, requireToken } from './http/security.ts'
import { createHttpServer } from './http/server.ts'
import { createScope } from './lib/scope.ts'
import type { Log } from './log.ts'
import { openDatabases } from './sql/open-databases.ts'

const SESSIONS_ARE_KEPT = {
  redis: 'the session store keeps sessions in Redis, and goes on in memory while it is away',
  memory: 'the session store keeps sessions in memory, with a copy on disk: Redis is switched off',
}
const CHANNEL_LAYER = {
  redis: 'channel layer: Redis (Streams and pub/sub), goes on in memory while it is away',
  memory: 'channel layer: in memory (Redis is switched off)',
}
/** Where requests have a session. */
const SESSION_PATHS = [
  '/api/me',
  '/api/logout',
  '/api/sessions',
  '/api/auth',
  '/api/calls',
  '/login',
  '/account',
  '/call',
  '/ws',
  '/api/alerts',
  '/ws/alerts',
  '/markets',
]

export interface App {
  /** Resolves with the port when connections are accepted. */
  listen(): Promise<number>
  /** Answers what is under way, then closes everything. */
  close(): Promise<void>
}

export function createApp(config: Config, log: Log): App {
  const scope = createScope()
  const startedAtMs = Date.now()
  let phase: Phase = 'starting'

  const dataLock = scope.add(createDataLock(config.runDir))
  const databases = scope.add(
    openDatabases({
      ...config,
      migrations: [webhookMigrations, alertMigrations],
      fill: fillCountries,
      columns: COLUMNS,
      dataLock,
      log,
    }),
  )
  const { records } = databases
  // Jobs are worked on from here: queue.work('reports', …), docs/features/jobs.md. Closed before the databases they write to.
  const keys = [sessionKeys, webhookKeys, marketKeys, idempotencyKeys]
  const samovar = scope.add(openSamovar({ ...config, keys, dataLock, log }))
  const { cache, state, bus, queue, limiter, once } = samovar
  const freshMs = config.cache.referenceTtlMs
  const countries = createReferenceTable({ source: databases.reference, copy: databases.copy, log })
  const reference = createReference({ cache, table: countries, freshMs })
  scope.add(refreshRegularly({ reference, freshMs }))

  const sessionRecords = createSessionRecords({ state })
  const sessionStore = createSessionStore({ records: sessionRecords })
  const secrets = config.sessionSecrets ?? [keepSecret(config.dataDir, log)]
  const sessions = createSessionMiddleware({ store: sessionStore, secrets, paths: SESSION_PATHS })
  const identify = createIdentify(sessionStore)
  const currentUser = (req: Parameters<typeof identify>[0]) => identify(req).user

  const { adminToken } = config
  const limits = createLimits({
    limiter,
    sharedAddresses: createSharedAddresses({ log }),
    identify(req) {
      const { user, session } = identify(req)
      return { ...(user && { user: user.id }), ...(session !== undefined && { session }) }
    },
    isAdmin: (req) => adminToken !== undefined && hasToken(req.headers.authorization, adminToken),
  })

  const { botToken, issuer, clientId, clientSecret } = config.telegram
  const oidc = clientId && clientSecret ? createOidc({ issuer, clientId, clientSecret }) : undefined
  const loginPage = createLoginPage({ hasOidc: oidc !== undefined, botToken, issuer, currentUser, log })

  // Handlers are registered here: webhooks.on('payments', …), docs/features/webhooks.md.
  const webhooks = createWebhooks({ once, records, log })

  const { fetchJson } = scope.add(createJsonFetcher())
  const { callsPerMinute: perMinute, ttlMs: priceTtlMs } = config.coinGecko
  const markets = createMarkets({
    cache,
    coinGecko: createCoinGecko({ ...config.coinGecko, fetchJson }),
    budget: createCallBudget({ limiter, state, perMinute, log }),
    freshMs: priceTtlMs,
  })

  const userName = (req: Parameters<typeof identify>[0]) => currentUser(req)?.name
  const sockets = createSocketServer({
    rooms: createRooms({ bus, capacityOf }),
    secrets,
    iceServers: config.calls.iceServers,
    mostSockets: config.calls.mostSockets,
    userName,
    hasLoggedOut: createHasLoggedOut(sessionStore),
    addressOf: limits.addressOf,
    clientOf: limits.clientOf,
    log,
  })

  const alerts = scope.add(
    createAlerts({
      records,
      queue,
      bus,
      limiter,
      pricesOf: (ids, vs) => markets.freshPrices(ids, vs as Currency),
      currencies,
      telegram: config.telegram,
      currentUser,
      log,
    }),
  )
  const alertSocket = createAlertSocket({
    pages: alerts.pages,
    userIdOf: (req) => currentUser(req)?.id,
    hasLoggedOut: createHasLoggedOut(sessionStore),
    log,
  })

  const stats = () =>
    cacheStats(
      {
        enabled: config.cache.enabled,
        mode: config.mode,
        startedAtMs,
        status: samovar.status(),
        counts: cache.counts(),
        server: samovar.roles.cache.server(),
        memory: samovar.roles.cache.memorySize(),
        pendingWrites: samovar.pendingWrites(),
        standby: samovar.roles.state.coverage(),
      },
      Date.now(),
    )

  const guard = adminToken === undefined ? undefined : requireToken(adminToken)
  const server = scope.add(
    createHttpServer({
      trustProxy: config.trustProxy,
      deadlineMs: config.redis.budgetMs,
      log,
      upgrades: [
        {
          path: '/ws',
          handlers: [sessions, limits.limitBy(policies.sockets)],
          accept: sockets.accept,
          close: sockets.close,
        },
        { path: '/ws/alerts', handlers: [sessions, limits.limitBy(policies.sockets)], ...alertSocket },
      ],
      rawRouters: [
        webhookRoutes({
          webhooks,
          sources: config.webhooks.sources,
          toleranceMs: config.webhooks.toleranceMs,
          isClosed: (source) =>
            config.webhooks.closed.includes(source) && samovar.status().status !== 'redis',
          records,
          limitSigned: (req, res) => limits.check(policies.webhooks, req, res),
          limitUnsigned: (req, res) => limits.check(policies.unsigned, req, res),
          guard: requireAdmin(adminToken),
          log,
        }),
      ],
      routers: [
        healthRoutes({ phase: () => phase, status: samovar.status }),
        sessions,
        limits.limitChanges(['/api/cache/clear', '/api/auth', '/api/calls']),
        sessionRoutes({ records: sessionRecords }),
        telegramRoutes({
          botToken,
          oidc,
          state,
          secrets,
          logIn: createLogIn({ records: sessionRecords }),
          currentUser,
          limitLogins: limits.limitBy(policies.login),
          answerRefusal: loginPage.answerRefusal,
        }),
        loginPagesRoutes({ loginPage, currentUser, own: createOwnSessions({ records: sessionRecords }) }),
        referenceRoutes({ reference, guard: requireAdmin(adminToken) }),
        marketsRoutes(markets, (req, language, vs) =>
          alertsHtml({ language, vs, isLoggedIn: currentUser(req) !== undefined }),
        ),
        alerts.routes,
        cacheAdminRoutes({
          cache,
          stats,
          countEntries: samovar.roles.cache.countKeys,
          guard,
          limitClears: (req, res) => limits.check(policies.clears, req, res),
          log,
        }),
        jobsRoutes({
          board: createQueueBoard('/admin/jobs', queue.bull),
          guard: requireAdminOfPage(adminToken),
        }),
        callRoutes({
          secrets,
          hasLogin: oidc !== undefined || botToken !== undefined,
          userName,
          limitMade: limits.limitBy(policies.calls),
        }),
        outagesRoutes({ outages: samovar.outages.all, guard }),
        pageRoutes({
          status: () => {
            const { status, since, hits, misses, uptimeSeconds } = stats()
            return { status, since, hits, misses, uptimeSeconds }
          },
          outages: samovar.outages.all,
          async searchCountries(language, text) {
            const { value } = await reference.list(language)
            return (value?.countries ?? []).filter((country) => matches(country, text))
          },
        }),
      ],
    }),
  )

  return {
    async listen() {
      const port = await server.listen(config.port)
      samovar.start()
      alerts.start()
      const kept = config.mode === 'memory' ? 'memory' : 'redis'
      log.info(SESSIONS_ARE_KEPT[kept])
      log.info(CHANNEL_LAYER[kept])
      phase = 'serving'
      return port
    },
    close() {
      phase = 'stopping'
      return scope.close()
    },
  }
}
