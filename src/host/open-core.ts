// What the app is built on, opened in order: Redis and its roles, cache, databases, queue. No HTTP and no feature.
import type { Config } from '../config.ts'
import { createCache } from '../core/cache/cache.ts'
import { createDataLock } from '../core/data-lock.ts'
import { createLimiter } from '../core/limiter.ts'
import { createOnce } from '../core/once.ts'
import { openQueue } from '../core/queue/open-queue.ts'
import { openRoles } from '../core/samovar.ts'
import type { Scope } from '../lib/scope.ts'
import type { Log } from '../log.ts'
import { openDatabases } from '../sql/open-databases.ts'
import type { Migrations } from '../sql/sql.ts'

export interface CoreOptions {
  config: Config
  /** The tables of the features that run. */
  migrations: readonly Migrations[]
  scope: Scope
  log: Log
}

export function openCore({ config, migrations, scope, log }: CoreOptions) {
  const startedAtMs = Date.now()
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
  const databases = scope.add(openDatabases({ ...config, migrations, dataLock, log }))
  // Closed before the databases, which jobs write to.
  const queue = scope.add(openQueue({ ...config, state: roles.state, log }))
  const { state } = roles.state

  return {
    cache,
    state,
    bus: roles.bus,
    queue,
    limiter: createLimiter({ state }),
    once: createOnce({ state }),
    records: databases.records,
    openReference: databases.openReference,
    status: roles.status,
    outages: roles.state.outages.all,
    countKeys: roles.cache.countKeys,
    /** What the statistics of the cache are made of; Redis is not asked. */
    figures: () => ({
      enabled: config.cache.enabled,
      mode: config.mode,
      startedAtMs,
      status: roles.status(),
      counts: cache.counts(),
      server: roles.cache.server(),
      memory: roles.cache.memorySize(),
      pendingWrites: roles.pendingWrites(),
      standby: roles.state.coverage(),
    }),
    start: () => roles.start([queue]),
  }
}

export type Core = ReturnType<typeof openCore>
