// A Samovar over a test's own Redis, as the app opens it: one process of the app.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BusParts } from '../../src/core/bus/open-bus.ts'
import { createDataLock } from '../../src/core/data-lock.ts'
import { openSamovar } from '../../src/core/samovar.ts'
import type { StateParts } from '../../src/core/state/state-role.ts'
import { marketKeys } from '../../src/features/markets/market-keys.ts'
import { sessionKeys } from '../../src/features/sessions/session-keys.ts'
import { webhookKeys } from '../../src/features/webhooks/webhook-keys.ts'
import { idempotencyKeys } from '../../src/http/idempotency.ts'
import { parseRedisUrl } from '../../src/lib/redis-url.ts'
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
  /** `embedded` unless said; 'off' is `memory`. External: not ours, where commands cost. */
  mode?: 'embedded' | 'external'
  /** Of the image. */
  runDir?: string
  /** VersionedEntry when given, else made and removed. */
  dataDir?: string
  busParts?: BusParts
  stateParts?: StateParts
  stuckMs?: number
}

/** Every word of a key that the app declares. */
export const declaredKeys = [sessionKeys, webhookKeys, marketKeys, idempotencyKeys]

export async function openProcess({ cacheUrl, stateUrl = cacheUrl, ...rest }: TestProcessOptions) {
  const { budgetMs = 100, memoryBudgetBytes = 8 * 1024 * 1024, workers = 2 } = rest
  const dataDir = rest.dataDir ?? mkdtempSync(join(tmpdir(), 'samovar-data-'))
  const { log, lines } = recordLog()
  const { busParts, stateParts, stuckMs } = rest
  const samovar = openSamovar({
    mode: cacheUrl === 'off' ? 'memory' : (rest.mode ?? 'embedded'),
    redis: {
      cache: cacheUrl === 'off' ? undefined : targetOf(cacheUrl),
      state: stateUrl === 'off' ? undefined : targetOf(stateUrl),
      hasStateServer: false,
      ca: undefined,
      budgetMs,
      prefix: 'samovar:',
    },
    keys: declaredKeys,
    cache: { enabled: true, ttlMs: 60_000 },
    workers,
    memoryBudgetBytes,
    dataDir,
    dataLock: createDataLock(rest.runDir),
    runDir: rest.runDir,
    log,
    parts: {
      ...(busParts && { bus: busParts }),
      ...(stateParts && { state: stateParts }),
      ...(stuckMs && { stuckMs }),
    },
  })
  const { cache: cacheRole, state: stateRole } = samovar.roles
  samovar.start()
  const statuses = () => [cacheRole.status().status, stateRole.status().status]
  // A Redis that is only doubted counts as there.
  const isAsked = () =>
    cacheUrl === 'off' || (cacheRole.server().isConnected && stateRole.redis?.isRedis() !== false)
  return {
    ...samovar,
    samovar,
    cacheRole,
    stateRole,
    dataDir,
    lines,
    untilStatus: (status: 'redis' | 'memory') =>
      eventually(() => {
        expect(statuses()).toEqual([status, status])
        if (status === 'redis') expect(isAsked()).toBe(true)
      }),
    async close() {
      await samovar.close()
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
