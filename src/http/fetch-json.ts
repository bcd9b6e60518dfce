// JSON from other people's servers: never later than its time limit, never larger than its size limit, and checked
// against a schema before anybody sees it. Every way to fail is a FetchFailed; the caller decides what that means.
import type { Dispatcher } from 'undici'
import type { z } from 'zod'
import { withTimeout } from '../lib/async/deadlines.ts'
import { corrupt, parseJson } from '../lib/codec.ts'
import type { Closable } from '../lib/scope.ts'
import { type Now, SECOND } from '../lib/time.ts'

const CONNECT_MS = 2 * SECOND
const TOTAL_MS = 6 * SECOND
const MAX_BYTES = 2 * 1024 * 1024
const DISCARDED_BYTES = 64 * 1024 // of an error's body, so that its connection can be used again
const CONNECTIONS = 4 // to each server
const USER_AGENT = 'Samovar (Node.js)' // CoinGecko for one answers 403 to who does not say

/** `refused`: no connection, or it was lost; `malformed`: not HTTP, not JSON, or not what the schema says. */
export type FetchFailure = 'timeout' | 'refused' | 'status' | 'too_large' | 'malformed'

export interface FetchFailedDetails {
  readonly status?: number
  /** What the server asked for with Retry-After, ms from now. */
  readonly retryAfterMs?: number
  readonly cause?: unknown
}

/** The only error of fetchJson that is not a bug. */
export class FetchFailed extends Error {
  readonly reason: FetchFailure
  readonly status: number | undefined
  readonly retryAfterMs: number | undefined

  get isExpected(): true {
    return true
  }

  constructor(reason: FetchFailure, { status, retryAfterMs, cause }: FetchFailedDetails = {}) {
    super(status === undefined ? reason : `${reason} ${status}`, { cause })
    this.reason = reason
    this.status = status
    this.retryAfterMs = retryAfterMs
  }
}

export interface JsonRequest<T> {
  readonly url: URL
  readonly method?: 'GET' | 'POST'
  readonly headers?: Readonly<Record<string, string>>
  /** Sent as JSON. */
  readonly body?: unknown
  readonly schema: z.ZodType<T>
  /** Never asked again: each attempt counts somewhere. */
  readonly once?: true
}

export interface JsonFetcher extends Closable {
  /** What a 2xx answer holds; redirects are not followed. Rejects with FetchFailed. */
  fetchJson<T>(request: JsonRequest<T>): Promise<T>
}

export interface JsonFetcherOptions {
  connectMs?: number
  /** For the whole of a call, its retry too. */
  totalMs?: number
  maxBytes?: number
  now?: Now
}

export function createJsonFetcher(options: JsonFetcherOptions = {}): JsonFetcher {
  const { connectMs = CONNECT_MS, totalMs = TOTAL_MS, maxBytes = MAX_BYTES, now = Date.now } = options
  let loaded: ReturnType<typeof load> | undefined

  /** On the first call: an app that never asks saves the memory. */
  async function load() {
    const { Agent, request } = await import('undici')
    const agent = new Agent({ connections: CONNECTIONS, connect: { timeout: connectMs }, allowH2: false })
    return { agent, request }
  }

  async function ask<T>({ url, method = 'GET', headers, body, schema }: JsonRequest<T>, signal: AbortSignal) {
    loaded ??= load()
    const { agent, request } = await loaded
    const answer = await request(url, {
      dispatcher: agent,
      method,
      signal,
      headers: {
        accept: 'application/json',
        'user-agent': USER_AGENT,
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    const { statusCode: status } = answer
    if (status < 200 || status > 299) {
      const retryAfterMs = retryAfter(answer.headers['retry-after'], now())
      // The status is known, so a failure of the body does not matter.
      await answer.body.dump({ limit: DISCARDED_BYTES, signal }).catch(() => {})
      throw new FetchFailed('status', { status, ...(retryAfterMs !== undefined && { retryAfterMs }) })
    }
    const parsed = schema.safeParse(asJson(await read(answer, maxBytes)))
    if (!parsed.success) throw new FetchFailed('malformed', { status, cause: parsed.error })
    return parsed.data
  }

  return {
    fetchJson: (asked) =>
      withTimeout(totalMs, async (signal) => {
        try {
          return await ask(asked, signal)
        } catch (error) {
          // A kept connection that the server has just closed. Only what changes nothing is safe to ask again.
          if (!isReset(error) || asked.once || (asked.method ?? 'GET') !== 'GET')
            throw asFailure(error, signal)
        }
        try {
          return await ask(asked, signal)
        } catch (error) {
          throw asFailure(error, signal)
        }
      }),
    // What is under way is dropped: its values would never be read.
    close: async () => (await loaded)?.agent.destroy(),
  }
}

async function read({ headers, body }: Dispatcher.ResponseData, maxBytes: number): Promise<string> {
  const parts: Buffer[] = []
  let size = 0
  if (Number(headers['content-length'] ?? 0) > maxBytes) size = Number.POSITIVE_INFINITY
  else {
    for await (const part of body as AsyncIterable<Buffer>) {
      size += part.byteLength
      if (size > maxBytes) break
      parts.push(part)
    }
  }
  if (size <= maxBytes) return Buffer.concat(parts).toString()
  body.on('error', () => {}) // of being cut off, which is what we want
  body.destroy()
  throw new FetchFailed('too_large')
}

function asJson(text: string): unknown {
  const json = parseJson(text)
  if (json === corrupt) throw new FetchFailed('malformed', { cause: new SyntaxError('not JSON') })
  return json
}

/** RFC 9110: seconds, or a date. */
function retryAfter(header: string | string[] | undefined, nowMs: number): number | undefined {
  if (typeof header !== 'string') return undefined
  const ms = /^\d{1,9}$/.test(header) ? Number(header) * SECOND : Date.parse(header) - nowMs
  return Number.isNaN(ms) ? undefined : Math.max(0, ms)
}

const codeOf = (error: unknown) => String((error as { code?: unknown } | undefined)?.code ?? '')

const isReset = (error: unknown) => ['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET'].includes(codeOf(error))

const TIMEOUTS = ['UND_ERR_CONNECT_TIMEOUT', 'UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT', 'ETIMEDOUT']
const BUGS = ['UND_ERR_INVALID_ARG', 'ERR_INVALID_ARG_TYPE', 'ERR_INVALID_URL']

/** Errors of the network and of TLS have many codes: what is no time limit, no parser's and no bug is a refusal. */
function asFailure(error: unknown, signal: AbortSignal): unknown {
  if (error instanceof FetchFailed) return error
  const code = codeOf(error)
  if (signal.aborted || TIMEOUTS.includes(code)) return new FetchFailed('timeout', { cause: error })
  if ((error as Error).name === 'HTTPParserError') return new FetchFailed('malformed', { cause: error })
  return code === '' || BUGS.includes(code) ? error : new FetchFailed('refused', { cause: error })
}
