// The admin's statistics of the cache, and clearing it.
import { defineFeature, type Rule } from '../../feature.ts'
import { MINUTE } from '../../lib/time.ts'
import { cacheAdminRoutes } from './cache-admin-routes.ts'
import { type CacheStatsParts, cacheStats } from './cache-stats.ts'

/** Without a token anybody may clear the cache, as runbooks do; so all together may do it this often. */
export const clearRules = [
  { name: 'cache-clear', per: 'everybody', limit: 6, windowMs: MINUTE },
] as const satisfies readonly Rule[]

export interface CacheAdminFeatureParts {
  figures(): CacheStatsParts
  /** How many entries there are, asked now; null when that is not known. */
  countEntries(): Promise<number | null>
}

export const cacheAdmin = defineFeature({
  name: 'cache-admin',
  about: { en: 'statistics of the cache, and clearing it', ru: 'статистика кэша и его очистка' },
  setup: ({ cache, admin, limit, now, log }, { figures, countEntries }: CacheAdminFeatureParts) => ({
    routes: cacheAdminRoutes({
      cache,
      stats: () => cacheStats(figures(), now()),
      countEntries,
      guard: admin.isSet ? admin.onlyIfSet : undefined,
      limitClears: (req, res) => limit(clearRules, req, res),
      log,
    }),
    ownLimits: ['/api/cache/clear'],
  }),
})
