// The app's own stores and cache over a benchmark's Redis, wired as in src/app.ts, and raw node-redis to compare with.
import { setTimeout as pause } from 'node:timers/promises'
import { createClient, RESP_TYPES } from 'redis'
import { createCache } from '../src/infra/cache.ts'
import { openStores, type Stores } from '../src/infra/store/open-stores.ts'
import { parseRedisUrl, type RedisTarget } from '../src/lib/redis-url.ts'
import { createLog } from '../src/log.ts'

export const silent = createLog({ level: 'silent', format: 'json' })

const MEMORY_BUDGET_BYTES = 64 * 1024 * 1024

/** In Redis, by the roles' URLs, or in memory alone. Resolves when both roles are where they should be. */
export async function openAppStores(urls?: { cache: string; state: string }) {
  const stores = openStores({
    mode: urls ? 'embedded' : 'memory',
    redis: {
      cache: urls && targetOf(urls.cache),
      state: urls && targetOf(urls.state),
      ca: undefined,
      budgetMs: 100,
      prefix: 'samovar:',
    },
    memoryBudgetBytes: MEMORY_BUDGET_BYTES,
    log: silent,
  })
  const cache = createCache({ store: stores.cache.store, clears: stores.clears, enabled: true, log: silent })
  stores.start()
  await untilStatus(stores, urls ? 'redis' : 'memory')
  return {
    stores,
    cache,
    async close() {
      await cache.close()
      await stores.close()
    },
  }
}

export async function untilStatus(stores: Stores, wanted: 'redis' | 'memory'): Promise<void> {
  const isThere = () => [stores.cache, stores.state].every((role) => role.status().status === wanted)
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
