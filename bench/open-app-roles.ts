// A Samovar over a benchmark's Redis, as src/app.ts opens it, and raw node-redis to compare with.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { createClient, RESP_TYPES } from 'redis'
import { createDataLock } from '../src/core/data-lock.ts'
import { openSamovar, type Samovar } from '../src/core/samovar.ts'
import { sessionKeys } from '../src/features/sessions/session-keys.ts'
import { parseRedisUrl, type RedisTarget } from '../src/lib/redis-url.ts'
import { createLog } from '../src/log.ts'

export const silent = createLog({ level: 'silent', format: 'json' })

const MEMORY_BUDGET_BYTES = 64 * 1024 * 1024

/** In Redis, by the roles' URLs, or in memory alone. Resolves when both roles are where they should be. */
export async function openAppRoles(urls?: { cache: string; state: string }, isCacheEnabled = true) {
  const dataDir = await mkdtemp(join(tmpdir(), 'samovar-bench-'))
  const samovar = openSamovar({
    mode: urls ? 'embedded' : 'memory',
    redis: {
      cache: urls && targetOf(urls.cache),
      state: urls && targetOf(urls.state),
      hasStateServer: true,
      ca: undefined,
      budgetMs: 100,
      prefix: 'samovar:',
    },
    keys: [sessionKeys],
    cache: { enabled: isCacheEnabled },
    workers: 1,
    memoryBudgetBytes: MEMORY_BUDGET_BYTES,
    dataDir,
    dataLock: createDataLock(undefined),
    log: silent,
  })
  samovar.start()
  await untilStatus(samovar, urls ? 'redis' : 'memory')
  return {
    ...samovar,
    async close() {
      await samovar.close()
      await rm(dataDir, { recursive: true })
    },
  }
}

export async function untilStatus(
  { roles }: Pick<Samovar, 'roles'>,
  wanted: 'redis' | 'memory',
): Promise<void> {
  const isThere = () => [roles.cache, roles.state].every((role) => role.status().status === wanted)
  for (let tries = 0; !isThere(); tries += 1) {
    if (tries === 500) throw new Error(`the stores did not come to status ${wanted}`)
    await pause(20)
  }
}

/** node-redis as fast as it goes: bytes as they are, and without its command timeout, which costs a timer a call. */
export async function connectRaw(url: string) {
  const { at } = targetOf(url)
  const socket = 'path' in at ? { path: at.path, tls: false as const } : { host: at.host, port: at.port }
  const client = createClient({
    socket: { ...socket, reconnectStrategy: false },
    commandOptions: { timeout: 0, typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } },
  })
  client.on('error', () => {}) // the benchmark's own calls reject; a killed server is no reason to end
  await client.connect()
  return client
}

export type RawClient = Awaited<ReturnType<typeof connectRaw>>

function targetOf(url: string): RedisTarget {
  const target = parseRedisUrl(url)
  if (typeof target === 'string') throw new Error(`${url} ${target}`)
  return target
}
