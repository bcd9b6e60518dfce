// What the app is built on, opened in order: Redis and its roles, cache, databases, queue. No HTTP and no feature.
import type { Config } from '../config.ts'
import { createDataLock } from '../core/data-lock.ts'
import type { Installation } from '../core/files/installation.ts'
import type { DeclaredKeys } from '../core/keys.ts'
import { openSamovar } from '../core/samovar.ts'
import type { Scope } from '../lib/scope.ts'
import type { Log } from '../log.ts'
import { openDatabases } from '../sql/open-databases.ts'
import type { Migrations } from '../sql/sql.ts'

export interface CoreOptions {
  config: Config
  installation: Installation
  /** Kept in samovar.db as well, by their names. */
  facts: Readonly<Record<string, string>>
  /** The tables of the features that run. */
  migrations: readonly Migrations[]
  /** The words of their keys. */
  keys: readonly DeclaredKeys[]
  scope: Scope
  log: Log
}

export function openCore({ config, installation, facts, migrations, keys, scope, log }: CoreOptions) {
  const startedAtMs = Date.now()
  const dataLock = scope.add(createDataLock(config.runDir))
  // Closed after the queue, whose jobs write to them.
  const databases = scope.add(openDatabases({ ...config, migrations, dataLock, installation, log }))
  const samovar = scope.add(openSamovar({ ...config, keys, installation, facts, dataLock, log }))
  installation.alerts.onRaise(samovar.outages.noteFile)
  const { cache, state, bus, queue, limiter, once, outages, roles, status, start } = samovar

  /** Stale copies are no entries. */
  function sizes() {
    const stale = cache.staleCopies()
    const { sample, ...server } = roles.cache.server()
    const { keys: inMemory, bytes } = roles.cache.memorySize()
    const inRedis = sample?.keys ?? null
    const keys = inRedis === null ? null : Math.max(0, inRedis - stale.redis)
    return {
      server: { ...server, sample: sample && { ...sample, keys } },
      memory: { keys: Math.max(0, inMemory - stale.memory), bytes },
    }
  }

  return {
    cache,
    state,
    bus,
    queue,
    limiter,
    once,
    recordsOf: databases.records.of,
    openReference: databases.openReference,
    status,
    outages: outages.all,
    fileAlerts: installation.alerts.current,
    deadLetters: queue.deadLetters,
    /** The entries of the cache, asked now, without stale copies; null where that is not known. */
    async countKeys() {
      const found = await roles.cache.countKeys()
      return found === null ? null : Math.max(0, found - cache.staleCopies().redis)
    },
    /** What the statistics of the cache are made of; Redis is not asked. */
    figures: () => ({
      enabled: config.cache.enabled,
      mode: config.mode,
      startedAtMs,
      status: status(),
      counts: cache.counts(),
      ...sizes(),
      pendingWrites: samovar.pendingWrites(),
      standby: roles.state.coverage(),
      fileAlerts: installation.alerts.current(),
      corrupt: roles.state.damage.count(),
    }),
    /** Closed while another container holds the data, or is about to: then nothing may change. */
    changes: dataLock.changes,
    start,
    /** The app listens: the container that holds the data may be asked for it. */
    listening: dataLock.ready,
  }
}

export type Core = ReturnType<typeof openCore>
