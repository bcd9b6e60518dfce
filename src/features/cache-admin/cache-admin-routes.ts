// The admin's two endpoints: how the cache is doing, and clearing it.
import { type RequestHandler, Router } from 'express'
import { z } from 'zod'
import { tooMany } from '../../errors.ts'
import { endpoint, parse } from '../../http/parse.ts'
import type { Cache } from '../../infra/cache.ts'
import type { ClearScope } from '../../infra/keys.ts'
import type { Limiter, Policy } from '../../infra/limiter.ts'
import { MINUTE } from '../../lib/time.ts'
import type { Log } from '../../log.ts'
import type { CacheStats } from './cache-stats.ts'

/** Without a token anybody may clear, as runbooks do; so all together may do it this often. */
const OPEN_CLEARS: Policy = { name: 'cache-clear', limit: 6, windowMs: MINUTE }

const name = z.string().min(1).max(200)
const everything = z.strictObject({}).transform((): ClearScope => 'all')
const scopeSchema: z.ZodType<ClearScope> = z.union(
  [z.strictObject({ prefix: name }), z.strictObject({ tag: name }), everything],
  { error: 'send {}, {"prefix": "…"} or {"tag": "…"}' },
)

export interface CacheAdminParts {
  cache: Pick<Cache, 'clear'>
  stats: () => CacheStats
  /** How many entries there are in all, asked now; null when nobody can tell. */
  countEntries: () => Promise<number | null>
  limiter: Limiter
  /** Refuses whoever may not; undefined when no admin token is set. */
  guard: RequestHandler | undefined
  log: Log
}

export function cacheAdminRoutes({
  cache,
  stats,
  countEntries,
  limiter,
  guard,
  log,
}: CacheAdminParts): Router {
  const router = Router()

  async function limitOpenClears(): Promise<void> {
    const { allowed, retryAfterMs } = await limiter.hit(OPEN_CLEARS, 'all')
    if (!allowed) throw tooMany(retryAfterMs)
  }

  async function clear(scope: ClearScope): Promise<number> {
    const before = scope === 'all' ? await countEntries() : null
    const known = await cache.clear(scope)
    return Math.max(known, before ?? 0)
  }

  const guards = guard ? [guard] : []
  endpoint(router, '/api/cache/stats', {
    get: [...guards, (_req, res) => void res.set('Cache-Control', 'no-store').json(stats())],
  })
  endpoint(router, '/api/cache/clear', {
    post: [
      ...guards,
      async (req, res) => {
        const scope = parse(scopeSchema, req.body ?? {})
        if (!guard) await limitOpenClears()
        const cleared = await clear(scope)
        const { backend } = stats()
        log.info({ scope, cleared, backend }, 'cache (кэш) cleared')
        res.json({ cleared, backend })
      },
    ],
  })
  return router
}
