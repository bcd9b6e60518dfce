// Sends what the cache holds, as the bytes it holds, with the headers that tell caches and people about it.
import type { Request, Response } from 'express'
import type { CacheOutcome } from '../core/cache/cached.ts'
import { notFound } from '../errors.ts'
import { isPrivate } from './private.ts'

export interface CachedBody {
  readonly outcome: CacheOutcome
  readonly body: Buffer
  readonly etag: string
  readonly storedAtMs: number
  readonly freshUntilMs: number
}

/**
 * 200 with the body, or 304; 404 where the cache knows that there is none. Browsers ask again each time (ETag), so that
 * they see a clear immediately.
 */
export function sendCached(req: Request, res: Response, cached: CachedBody, nowMs = Date.now()): void {
  if (cached.body.byteLength === 0) throw notFound(req.path)
  const ageS = Math.max(0, Math.floor((nowMs - cached.storedAtMs) / 1_000))
  res.setHeader('ETag', cached.etag)
  res.setHeader('Age', ageS)
  res.setHeader('Cache-Control', isPrivate(res) ? 'private, no-cache' : 'public, no-cache')
  res.setHeader('Cache-Status', cacheStatus(cached, nowMs))
  if (req.fresh) {
    res.status(304).end()
    return
  }
  res.setHeader('Content-Type', 'application/json; charset=utf-8')
  res.setHeader('Content-Length', cached.body.byteLength)
  res.end(cached.body)
}

/** RFC 9211: what this cache did with the request. A negative ttl is a value used after its time. */
function cacheStatus({ outcome, freshUntilMs }: CachedBody, nowMs: number): string {
  if (outcome === 'bypass') return 'samovar; fwd=bypass'
  if (outcome === 'miss') return 'samovar; fwd=miss'
  return `samovar; hit; ttl=${Math.floor((freshUntilMs - nowMs) / 1_000)}`
}
