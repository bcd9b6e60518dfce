// Both roles over a test's own Redis, as the app opens them, and a cache on top: one process of the app.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BusParts } from '../../src/infra/bus/open-bus.ts'
import { createCache } from '../../src/infra/cache.ts'
import { createDataLock } from '../../src/infra/data-lock.ts'
import { openRoles, type Roles } from '../../src/infra/roles.ts'
import type { StateParts } from '../../src/infra/state/state-role.ts'
import { parseRedisUrl } from '../../src/lib/redis-url.ts'
import type { Log } from '../../src/log.ts'
import { eventually } from './eventually.ts'
import { recordLog } from './log.ts'

export interface TestProcessOptions {
  /** 'off': Redis is switched off. */
  cacheUrl: string
  stateUrl?: string
  budgetMs?: number
  memoryBudgetBytes?: number
  /** 2 unless said: then it listens to what others write. */
  workers?: number
  /** Kept when given, else made and removed. */
  dataDir?: string
  busParts?: BusParts
  stateParts?: StateParts
  /** What is kept beside the state. */
  beside?: (roles: Roles, log: Log) => Parameters<Roles['start']>[0]
}

export async function openProcess({ cacheUrl, stateUrl = cacheUrl, ...rest }: TestProcessOptions) {
  const { budgetMs = 100, memoryBudgetBytes = 8 * 1024 * 1024, workers = 2 } = rest
  const dataDir = rest.dataDir ?? mkdtempSync(join(tmpdir(), 'samovar-data-'))
  const { log, lines } = recordLog()
  const roles = openRoles({
    mode: cacheUrl === 'off' ? 'memory' : 'embedded',
    redis: {
      cache: cacheUrl === 'off' ? undefined : targetOf(cacheUrl),
      state: stateUrl === 'off' ? undefined : targetOf(stateUrl),
      hasStateServer: false,
      ca: undefined,
      budgetMs,
      prefix: 'samovar:',
    },
    workers,
    memoryBudgetBytes,
    dataDir,
    dataLock: createDataLock(undefined),
    log,
    ...(rest.busParts && { busParts: rest.busParts }),
    ...(rest.stateParts && { stateParts: rest.stateParts }),
  })
  const { cache: cacheRole, state: stateRole, clears } = roles
  const cache = createCache({ store: cacheRole.store, clears, enabled: true, defaultFreshMs: 60_000, log })
  roles.start(rest.beside?.(roles, log))
  const statuses = () => [cacheRole.status().status, stateRole.status().status]
  return {
    cache,
    roles,
    cacheRole,
    stateRole,
    state: stateRole.state,
    bus: roles.bus,
    dataDir,
    lines,
    untilStatus: (status: 'redis' | 'memory') =>
      eventually(() => expect(statuses()).toEqual([status, status])),
    async close() {
      await cache.close()
      await roles.close()
      if (!rest.dataDir) rmSync(dataDir, { recursive: true, force: true })
    },
  }
}

export type TestProcess = Awaited<ReturnType<typeof openProcess>>

export function targetOf(url: string) {
  const target = parseRedisUrl(url)
  if (typeof target === 'string') throw new Error(target)
  return target
}
