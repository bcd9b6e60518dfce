// Both roles over a test's own Redis, as the app opens them, and a cache on top; `process` is one app process.
import { createCache } from '../../src/infra/cache.ts'
import { openStores } from '../../src/infra/store/open-stores.ts'
import { parseRedisUrl } from '../../src/lib/redis-url.ts'
import { eventually } from './eventually.ts'
import { recordLog } from './log.ts'

export interface TestProcessOptions {
  cacheUrl: string
  stateUrl?: string
  budgetMs?: number
  prefix?: string
  memoryBudgetBytes?: number
}

export async function openProcess({ cacheUrl, stateUrl = cacheUrl, ...rest }: TestProcessOptions) {
  const { budgetMs = 100, prefix = 'samovar:', memoryBudgetBytes = 8 * 1024 * 1024 } = rest
  const { log, lines } = recordLog()
  const stores = openStores({
    mode: 'embedded',
    redis: { cache: targetOf(cacheUrl), state: targetOf(stateUrl), ca: undefined, budgetMs, prefix },
    memoryBudgetBytes,
    log,
  })
  const cache = createCache({
    store: stores.cache.store,
    clears: stores.clears,
    enabled: true,
    defaultFreshMs: 60_000,
    log,
  })
  stores.start()
  const statuses = () => [stores.cache.status().status, stores.state.status().status]
  return {
    cache,
    stores,
    lines,
    untilStatus: (status: 'redis' | 'memory') =>
      eventually(() => expect(statuses()).toEqual([status, status]), 15_000),
    async close() {
      await cache.close()
      await stores.close()
    },
  }
}

export type TestProcess = Awaited<ReturnType<typeof openProcess>>

export function targetOf(url: string) {
  const target = parseRedisUrl(url)
  if (typeof target === 'string') throw new Error(target)
  return target
}
