// The system, put together: read it top to bottom. What is added to the scope first is closed last.
import { join } from 'node:path'
import type { Config } from './config.ts'
import { cacheAdminRoutes } from './features/cache-admin/cache-admin-routes.ts'
import { cacheStats } from './features/cache-admin/cache-stats.ts'
import { healthRoutes, type Phase } from './features/health/health-routes.ts'
import { outagesRoutes } from './features/outages/outages-routes.ts'
import { pageRoutes } from './features/page/page-routes.ts'
import { fillCountries } from './features/reference/countries-table.ts'
import { matches } from './features/reference/country.ts'
import { createReference } from './features/reference/reference.ts'
import { referenceRoutes } from './features/reference/reference-routes.ts'
import { webhookTables } from './features/webhooks/webhook-records.ts'
import { webhookRoutes } from './features/webhooks/webhook-routes.ts'
import { createWebhooks } from './features/webhooks/webhooks.ts'
import { requireAdmin, requireToken } from './http/security.ts'
import { createHttpServer } from './http/server.ts'
import { createCache } from './infra/cache.ts'
import { createDataLock } from './infra/data-lock.ts'
import { createLimiter } from './infra/limiter.ts'
import { createOnce } from './infra/once.ts'
import { openRoles } from './infra/roles.ts'
import { openLocalRecords } from './infra/sql/local-records.ts'
import { openSnapshot } from './infra/sql/snapshot.ts'
import { createScope } from './lib/scope.ts'
import type { Log } from './log.ts'

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
  const roles = scope.add(openRoles({ ...config, dataLock, log }))
  const cache = scope.add(
    createCache({
      store: roles.cache.store,
      clears: roles.clears,
      enabled: config.cache.enabled,
      defaultFreshMs: config.cache.ttlMs,
      log,
    }),
  )
  const limiter = createLimiter({ state: roles.state.state })

  const countries = scope.add(
    openSnapshot({ path: join(config.dataDir, 'reference.db'), fill: fillCountries, dataLock, log }),
  )
  const reference = createReference({ cache, sql: countries, freshMs: config.cache.referenceTtlMs })

  const once = createOnce({ state: roles.state.state })
  const records = scope.add(
    openLocalRecords({ path: join(config.dataDir, 'records.db'), schema: [webhookTables], dataLock, log }),
  )
  // Handlers are registered here: webhooks.on('payments', …), docs/features/webhooks.md.
  const webhooks = createWebhooks({ once, records, log })

  const stats = () =>
    cacheStats(
      {
        enabled: config.cache.enabled,
        mode: config.mode,
        startedAtMs,
        status: roles.status(),
        counts: cache.counts(),
        server: roles.cache.server(),
        memory: roles.cache.memorySize(),
        pendingWrites: roles.pendingWrites(),
        standby: roles.state.coverage(),
      },
      Date.now(),
    )

  const guard = config.adminToken === undefined ? undefined : requireToken(config.adminToken)
  const server = scope.add(
    createHttpServer({
      trustProxy: config.trustProxy,
      log,
      rawRouters: [
        webhookRoutes({
          webhooks,
          sources: config.webhooks.sources,
          toleranceMs: config.webhooks.toleranceMs,
          isClosed: (source) => config.webhooks.closed.includes(source) && roles.status().status !== 'redis',
          records,
          guard: requireAdmin(config.adminToken),
          log,
        }),
      ],
      routers: [
        healthRoutes({ phase: () => phase, status: roles.status }),
        referenceRoutes(reference),
        cacheAdminRoutes({
          cache,
          stats,
          countEntries: roles.cache.countKeys,
          limiter,
          guard,
          log,
        }),
        outagesRoutes({ outages: roles.state.outages.all, guard }),
        pageRoutes({
          status: () => {
            const { status, since, hits, misses, uptimeSeconds } = stats()
            return { status, since, hits, misses, uptimeSeconds }
          },
          outages: roles.state.outages.all,
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
      roles.start()
      phase = 'serving'
      return port
    },
    close() {
      phase = 'stopping'
      return scope.close()
    },
  }
}
