// One life of the app's stores behind a proxy of its own, and its end by kill -9.
import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { CacheOptions } from '../../src/core/cache/cache.ts'
import { createDataLock } from '../../src/core/data-lock.ts'
import { openSamovar } from '../../src/core/samovar.ts'
import type { StateParts } from '../../src/core/state/state-role.ts'
import { openFaultProxy } from '../helpers/fault-proxy.ts'
import { recordLog } from '../helpers/log.ts'
import { declaredKeys, targetOf } from '../helpers/stores.ts'

type Clears = CacheOptions['clears']

/** A planted bug: parts that take the place of the sound ones. */
export interface Parts {
  readonly state?: StateParts
  readonly clears?: (clears: Clears, isRedis: () => boolean) => Clears
}

export interface Life {
  readonly redisPort: number
  /** 1: nobody else writes to Redis. 2: somebody might. */
  readonly workers: 1 | 2
  readonly parts: Parts
}

export async function startModelApp({ redisPort, workers, parts }: Life, earlierDir?: string) {
  const dataDir = mkdtempSync(join(tmpdir(), 'samovar-model-'))
  if (earlierDir) {
    for (const name of ['samovar.db', 'samovar.db-wal']) {
      if (existsSync(join(earlierDir, name))) copyFileSync(join(earlierDir, name), join(dataDir, name))
    }
  }
  const proxy = await openFaultProxy(redisPort)
  const { log, lines } = recordLog()
  const target = targetOf(proxy.url)
  const samovar = openSamovar({
    mode: 'embedded',
    redis: {
      cache: target,
      state: target,
      hasStateServer: false,
      ca: undefined,
      budgetMs: 100,
      prefix: 'samovar:',
    },
    keys: declaredKeys,
    cache: { enabled: true, ttlMs: 3_600_000 },
    workers,
    memoryBudgetBytes: 8 * 1024 * 1024,
    dataDir,
    dataLock: createDataLock(undefined),
    log,
    parts,
  })
  const { roles, cache, state } = samovar
  const statuses = () => [roles.cache.status().status, roles.state.status().status]
  return {
    roles,
    cache,
    state,
    proxy,
    dataDir,
    lines,
    start: samovar.start,
    // A Redis that is only doubted counts as there, but is not asked.
    isIn: (status: 'redis' | 'memory') =>
      statuses().every((each) => each === status) &&
      (status === 'memory' || (roles.cache.server().isConnected && roles.state.redis?.isRedis() === true)),
    /** How often memory answered for Redis: the outcome of what was asked meanwhile is not known. */
    servedCalls: () => samovar.status().servedCalls,
    async close() {
      proxy.set('refuse')
      await samovar.close()
      proxy.close()
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
}

export type ModelApp = Awaited<ReturnType<typeof startModelApp>>

/** The next life on the files as kill -9 leaves them: what the one before still does reaches neither them nor Redis. */
export async function killAndReopen(app: ModelApp, life: Life): Promise<ModelApp> {
  app.proxy.set('refuse')
  const next = await startModelApp(life, app.dataDir)
  await app.close()
  return next
}
