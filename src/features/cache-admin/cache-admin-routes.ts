// The admin's two endpoints: how the cache is doing, and clearing it.
import { type Request, type RequestHandler, type Response, Router } from 'express'
import { z } from 'zod'
import type { Cache } from '../../core/cache/cache.ts'
import type { ClearScope } from '../../core/keys.ts'
import { endpoint, parse } from '../../http/parse.ts'
import { plainText } from '../../lib/plain-text.ts'
import type { Log } from '../../log.ts'
import type { CacheStats } from './cache-stats.ts'

const name = plainText.min(1).max(200)
const everything = z.strictObject({}).transform((): ClearScope => 'all')
const scopeSchema: z.ZodType<ClearScope> = z.union(
  [z.strictObject({ prefix: name }), z.strictObject({ tag: name }), everything],
  { error: 'send {}, {"prefix": "…"} or {"tag": "…"}' },
)

export interface CacheAdminParts {
  cache: Pick<Cache, 'clear'>
  stats: () => CacheStats
  /** The total number of entries, asked now; null when that is not known. */
  countEntries: () => Promise<number | null>
  /** Refuses everybody but the admin; undefined where these are open to all. */
  guard: RequestHandler | undefined
  /** Whether the request carries the token: only then a clear leaves nothing, as often as it is asked for. */
  isAdmin: (req: Request) => boolean
  /** Refuses what is too many. */
  limitClears: (req: Request, res: Response) => Promise<void>
  log: Log
}

export function cacheAdminRoutes({
  cache,
  stats,
  countEntries,
  guard,
  isAdmin,
  limitClears,
  log,
}: CacheAdminParts): Router {
  const router = Router()

  async function clear(scope: ClearScope, isSoft: boolean): Promise<number> {
    const before = scope === 'all' ? await countEntries() : null
    const known = await cache.clear(scope, { isSoft })
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
        const isSoft = !isAdmin(req)
        if (isSoft) await limitClears(req, res)
        const cleared = await clear(scope, isSoft)
        const { backend } = stats()
        log.info({ scope, isSoft, cleared, backend }, 'cache (кэш) cleared')
        res.json({ cleared, backend })
      },
    ],
  })
  return router
}
