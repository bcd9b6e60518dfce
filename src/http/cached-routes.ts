// The cached routes of all features, and the short way to their values: a URL that has been answered is known from then
// on, and while memory has its value, the answer is one writeHead, before Express, its router and any schema.
//
//   URL, known → peek → hit → the bytes, or 304            whatever is in question goes the long way:
//   URL, unknown → Express → parse → peek, or read → the same bytes and headers; the URL is known
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Request, type Response, Router } from 'express'
import { notFound } from '../errors.ts'
import type { Log } from '../log.ts'
import { hasTwoHosts } from './admission/admission.ts'
import { type CachedBody, type CachedRoute, cachedHeaders } from './cached-response.ts'
import { createEncodings, type Encoded } from './encodings.ts'
import { endpoint } from './parse.ts'
import { logWhenDone } from './request-log.ts'
import { fixedHeaders, hstsHeader } from './security.ts'

/** URLs that are known, and how long one may be. Beyond them the one known longest is forgotten: a slower answer. */
const MOST_KNOWN = 1_000
const LONGEST_KNOWN = 256

export interface CachedRoutes {
  /** The long way. */
  readonly router: Router
  /** Answers the request, if that takes nothing but memory; false: nothing has been done. */
  answer(req: IncomingMessage, res: ServerResponse): boolean
}

export interface FirstLinesOptions {
  trustProxy: number
  hstsSubdomains: boolean
  log: Log
}

export interface CachedRoutesOptions extends FirstLinesOptions {
  routes: readonly CachedRoute[]
}

export function createCachedRoutes(options: CachedRoutesOptions): CachedRoutes {
  const { routes, log } = options
  const firstLines = createFirstLines(options)
  const encodings = createEncodings()
  const known = new Map<string, () => CachedBody | undefined>()
  const router = Router()

  for (const route of routes) {
    endpoint(router, route.path, {
      async get(req, res) {
        const input = route.parse({ params: req.params as Record<string, string>, query: req.query })
        const peek = () => route.peek(input)
        const found = peek()
        if (found) remember(req.originalUrl, peek)
        const cached = found ?? (await route.read(input, req))
        if (cached.body.byteLength === 0) throw notFound(req.path)
        const accepted = cached.isOneOff ? undefined : req.headers['accept-encoding']
        send(req, res, cached, await encodings.make(cached, accepted))
      },
    })
  }

  function remember(url: string, peek: () => CachedBody | undefined): void {
    if (url.length > LONGEST_KNOWN) return
    const [oldest] = known.keys()
    if (known.size >= MOST_KNOWN && oldest !== undefined) known.delete(oldest)
    known.set(url, peek)
  }

  return {
    router,
    answer(req, res) {
      const url = req.url ?? ''
      const peek = known.get(url)
      if (!peek || !isPlain(req)) return false
      const cached = peek()
      if (!cached) return false
      const { headers } = req
      const encoded = encodings.find(cached, headers['accept-encoding']) ?? beginEncoding(cached, headers)
      const isSame = headers['if-none-match'] === encoded.etag
      const said = saidOf(cached, encoded)
      const lines = firstLines(req, res, pathIn(url))
      lines.push(...said)
      if (!isSame) lines.push(...bodyHeaders(encoded))
      res.writeHead(isSame ? 304 : 200, lines)
      res.end(isSame || req.method === 'HEAD' ? undefined : encoded.body)
      return true
    },
  }

  /** Meanwhile it is sent as it is. */
  function beginEncoding(cached: CachedBody, headers: IncomingMessage['headers']): Encoded {
    encodings
      .make(cached, headers['accept-encoding'])
      .catch((error) => log.error({ err: error }, 'compressing failed'))
    return { body: cached.body, etag: cached.etag, encoding: undefined }
  }
}

/** What every answer begins with, as Express' handlers have it; the request's line in the log comes with it. */
export function createFirstLines({ trustProxy, hstsSubdomains, log }: FirstLinesOptions) {
  const hsts = hstsHeader(hstsSubdomains)
  return function firstLines(req: IncomingMessage, res: ServerResponse, path: string): string[] {
    const lines = ['X-Request-Id', logWhenDone(req, res, path, log), ...fixedHeaders]
    if (trustProxy > 0 && req.headers['x-forwarded-proto'] === 'https') lines.push(...hsts)
    return lines
  }
}

function send(req: Request, res: Response, cached: CachedBody, encoded: Encoded): void {
  setAll(res, saidOf(cached, encoded))
  if (req.fresh) return void res.status(304).end()
  setAll(res, bodyHeaders(encoded))
  res.end(encoded.body)
}

function setAll(res: Response, lines: readonly string[]): void {
  for (let i = 0; i < lines.length; i += 2) res.setHeader(lines[i] ?? '', lines[i + 1] ?? '')
}

const saidOf = (cached: CachedBody, { etag }: Encoded) => [
  'Vary',
  'Accept-Encoding',
  ...cachedHeaders({ ...cached, etag }, 'public', Date.now()),
]

function bodyHeaders({ body, encoding }: Encoded): string[] {
  const lines = ['Content-Type', 'application/json; charset=utf-8', 'Content-Length', String(body.byteLength)]
  return encoding ? ['Content-Encoding', encoding, ...lines] : lines
}

/** Whether nothing about it asks for more than the short way looks at. */
export function isPlain(req: IncomingMessage): boolean {
  const { method, headers } = req
  if (method !== 'GET' && method !== 'HEAD') return false
  if (headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined) return false
  if (headers['if-modified-since'] !== undefined) return false
  const noneMatch = headers['if-none-match']
  // A list of tags, a weak one, a reload: Express knows the rules.
  if (noneMatch !== undefined && (!/^"[^"]*"$/.test(noneMatch) || headers['cache-control'] !== undefined))
    return false
  if (headers['x-forwarded-proto']?.includes(',')) return false
  return !hasTwoHosts(req)
}

function pathIn(url: string): string {
  const query = url.indexOf('?')
  return query < 0 ? url : url.slice(0, query)
}
