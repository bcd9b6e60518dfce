// JSON from other people's servers: never later than its time limit, never larger than its size limit, and checked
// against a schema before anybody sees it. Every way to fail is a FetchFailed; the caller decides what that means.
import type { z } from 'zod'
import { withTimeout } from '../lib/async/deadlines.ts'
import { corrupt, parseJson } from '../lib/codec.ts'
import type { Closable } from '../lib/scope.ts'
import { type Now, SECOND } from '../lib/time.ts'
import { ACCEPTED_ENCODINGS, type Arrived, BadEncoding, readBody } from './outgoing/answer-body.ts'

const CONNECT_MS = 2 * SECOND
const TOTAL_MS = 6 * SECOND
const MAX_BYTES = 2 * 1024 * 1024
const ERROR_BYTES = 64 * 1024 // of an error's body: read, so that its connection can be used again
const KEPT_TEXT = 4 * 1024 // of a body that says why, in characters
const CONNECTIONS = 4 // to each server
const USER_AGENT = 'Samovar (Node.js)' // CoinGecko for one answers 403 to who does not say

/** `refused`: no connection, or it was lost; `malformed`: not HTTP, not JSON, or not what the schema says. */
export type FetchFailure = 'timeout' | 'refused' | 'status' | 'too_large' | 'malformed'

export interface FetchFailedDetails {
  readonly status?: number
  /** What the server asked for with Retry-After, ms from now. */
  readonly retryAfterMs?: number
  readonly cause?: unknown
  /** The body that came instead. */
  readonly text?: string
  readonly hasBegun?: boolean
}

/** The only error of fetchJson that is not a bug. */
export class FetchFailed extends Error {
  readonly reason: FetchFailure
  readonly status: number | undefined
  readonly retryAfterMs: number | undefined
  readonly #text: string
  readonly #hasBegun: boolean

  /** How the body begins that came instead of what was asked for; it is in no log by itself. */
  get text(): string {
    return this.#text
  }

  /** The server was answering: what was asked for may have been too much, but it is there. */
  get hasBegun(): boolean {
    return this.#hasBegun
  }

  get isExpected(): true {
    return true
  }

  constructor(reason: FetchFailure, details: FetchFailedDetails = {}) {
    const { status, retryAfterMs, cause, text = '', hasBegun = text !== '' } = details
    super(status === undefined ? reason : `${reason} ${status}`, { cause })
    this.#text = text.slice(0, KEPT_TEXT)
    this.#hasBegun = hasBegun
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
  /** Never sent twice: each attempt counts somewhere. */
  readonly once?: true
  /** Instead of the fetcher's own. */
  readonly totalMs?: number
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

  async function ask<T>(asked: JsonRequest<T>, signal: AbortSignal, arrived: Arrived): Promise<T> {
    const { url, method = 'GET', headers, body, schema } = asked
    loaded ??= load()
    const { agent, request } = await loaded
    const answer = await request(url, {
      dispatcher: agent,
      method,
      signal,
      headers: {
        accept: 'application/json',
        'accept-encoding': ACCEPTED_ENCODINGS,
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
      const text = await readBody(answer, ERROR_BYTES).catch(() => undefined)
      throw new FetchFailed('status', {
        status,
        hasBegun: true,
        ...(text !== undefined && { text }),
        ...(retryAfterMs !== undefined && { retryAfterMs }),
      })
    }
    const text = await readBody(answer, maxBytes, arrived)
    if (text === undefined) throw new FetchFailed('too_large', { hasBegun: true })
    const parsed = schema.safeParse(asJson(text, status))
    if (!parsed.success) throw new FetchFailed('malformed', { status, cause: parsed.error, text })
    return parsed.data
  }

  async function askInTime<T>(asked: JsonRequest<T>, signal: AbortSignal): Promise<T> {
    let arrived: Arrived = { bytes: 0 }
    try {
      return await ask(asked, signal, arrived)
    } catch (error) {
      const isSafe = !asked.once && (asked.method ?? 'GET') === 'GET'
      // A kept connection that the server has just closed: only what changes nothing is safe to ask again. What never
      // had a connection was not asked at all.
      if (signal.aborted || !((isReset(error) && isSafe) || neverConnected(error)))
        throw asFailure(error, signal, arrived)
    }
    arrived = { bytes: 0 }
    try {
      return await ask(asked, signal, arrived)
    } catch (error) {
      throw asFailure(error, signal, arrived)
    }
  }

  return {
    // Time in which this process stood still is not the server's.
    fetchJson: (asked) => withTimeout(asked.totalMs ?? totalMs, (signal) => askInTime(asked, signal)),
    // What is under way is dropped: its values would never be read.
    close: async () => (await loaded)?.agent.destroy(),
  }
}

function asJson(text: string, status: number): unknown {
  const json = parseJson(text)
  if (json !== corrupt) return json
  const repaired = /NaN|Infinity/.test(text) ? parseJson(withoutNaN(text)) : corrupt
  if (repaired !== corrupt) return repaired
  throw new FetchFailed('malformed', { status, cause: new SyntaxError('not JSON'), text })
}

/** Some programs write NaN and Infinity, which are no JSON, for a number that they do not have. */
const withoutNaN = (text: string) =>
  // A string without an end goes on to the end of the text, or each of its quotes would be looked at as a beginning.
  text.replace(/"[^"\\]*(?:\\[\s\S]?[^"\\]*)*(?:"|$)|-?\b(?:NaN|Infinity)\b/g, (part) =>
    part.startsWith('"') ? part : 'null',
  )

/** RFC 9110: seconds, or a date. */
function retryAfter(header: string | string[] | undefined, nowMs: number): number | undefined {
  if (typeof header !== 'string') return undefined
  const ms = /^\d{1,9}$/.test(header) ? Number(header) * SECOND : Date.parse(header) - nowMs
  return Number.isNaN(ms) ? undefined : Math.max(0, ms)
}

const codeOf = (error: unknown) => String((error as { code?: unknown } | undefined)?.code ?? '')

const isReset = (error: unknown) => ['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET'].includes(codeOf(error))

const neverConnected = (error: unknown) => codeOf(error) === 'UND_ERR_CONNECT_TIMEOUT'

const TIMEOUTS = ['UND_ERR_CONNECT_TIMEOUT', 'UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT', 'ETIMEDOUT']
const BUGS = ['UND_ERR_INVALID_ARG', 'ERR_INVALID_ARG_TYPE', 'ERR_INVALID_URL']

/** Errors of the network and of TLS have many codes: what is no time limit, no parser's and no bug is a refusal. */
function asFailure(error: unknown, { aborted }: AbortSignal, { bytes }: Arrived): unknown {
  if (error instanceof FetchFailed) return error
  const code = codeOf(error)
  const details = { cause: error, hasBegun: bytes > 0 }
  if (aborted || TIMEOUTS.includes(code)) return new FetchFailed('timeout', details)
  if ((error as Error).name === 'HTTPParserError' || error instanceof BadEncoding)
    return new FetchFailed('malformed', details)
  return code === '' || BUGS.includes(code) ? error : new FetchFailed('refused', details)
}
