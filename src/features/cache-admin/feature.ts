// The admin's statistics of the cache, and clearing it.
import { defineFeature, type Rule } from '../../feature.ts'
import { MINUTE } from '../../lib/time.ts'
import { cacheAdminRoutes } from './cache-admin-routes.ts'
import { type CacheStatsParts, cacheStats } from './cache-stats.ts'

/** Without the token anybody may clear the cache softly, as runbooks do: a client and all together this often. */
export const clearRules = [
  { name: 'cache-clear-client', per: 'client', limit: 9, windowMs: MINUTE },
  { name: 'cache-clear', per: 'everybody', limit: 18, windowMs: MINUTE },
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
      isAdmin: admin.is,
      limitClears: (req, res) => limit(clearRules, req, res),
      log,
    }),
    ownLimits: ['/api/cache/clear'],
  }),
})
