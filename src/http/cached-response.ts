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
  /** Put together for this request alone: not worth compressing. */
  readonly isOneOff?: true
  /** Another takes its place within minutes, or few ask for it: it is compressed quickly. */
  readonly isBrief?: true
}

/** What a URL says, before it is checked. */
export interface Asked {
  readonly params: Readonly<Record<string, string>>
  readonly query: Readonly<Record<string, unknown>>
}

/**
 * A GET that is answered with bytes of the cache, the same for everybody. It is declared rather than written, so that a
 * value in memory is sent before anything of Express is asked, compressed where the client takes that.
 */
export interface CachedRoute<Input = unknown> {
  /** As Express has it: `/api/countries/:code`. */
  readonly path: string
  /** What the URL asks for; throws the refusal of what is wrong with it. */
  parse(asked: Asked): Input
  /** What may be sent now, without anybody being asked: `cache.peek`. */
  peek(input: Input): CachedBody | undefined
  /** The same, loaded if need be; a body without bytes is a 404. */
  read(input: Input, req: Request): Promise<CachedBody>
}

/** Infers what is parsed. */
export const cachedRoute = <Input>(route: CachedRoute<Input>): CachedRoute => route

/**
 * 200 with the body, or 304; 404 where the cache knows that there is none. Browsers ask again each time (ETag), so that
 * they see a clear immediately.
 */
export function sendCached(req: Request, res: Response, cached: CachedBody, nowMs = Date.now()): void {
  if (cached.body.byteLength === 0) throw notFound(req.path)
  const headers = cachedHeaders(cached, isPrivate(res) ? 'private' : 'public', nowMs)
  for (let i = 0; i < headers.length; i += 2) res.setHeader(headers[i] ?? '', headers[i + 1] ?? '')
  if (req.fresh) {
    res.status(304).end()
    return
  }
  res.setHeader('Content-Type', 'application/json; charset=utf-8')
  res.setHeader('Content-Length', cached.body.byteLength)
  res.end(cached.body)
}

/** Names and values in turn: what a 304 says as well. */
export function cachedHeaders(cached: CachedBody, whose: 'public' | 'private', nowMs: number): string[] {
  const ageS = Math.max(0, Math.floor((nowMs - cached.storedAtMs) / 1_000))
  return [
    'ETag',
    cached.etag,
    'Age',
    String(ageS),
    'Cache-Control',
    `${whose}, no-cache`,
    'Cache-Status',
    cacheStatus(cached, nowMs),
  ]
}

/** RFC 9211: what this cache did with the request. A negative ttl is a value used after its time. */
function cacheStatus({ outcome, freshUntilMs }: CachedBody, nowMs: number): string {
  if (outcome === 'bypass') return 'samovar; fwd=bypass'
  if (outcome === 'miss') return 'samovar; fwd=miss'
  return `samovar; hit; ttl=${Math.floor((freshUntilMs - nowMs) / 1_000)}`
}
