// What CoinGecko itself says of a refusal, in one line, and what to do about it. Its bodies have several shapes, and in
// front of it Cloudflare answers with pages. docs.coingecko.com/docs/errors-and-rate-limits
import { FetchFailed } from '../../../http/fetch-json.ts'
import { corrupt, parseJson } from '../../../lib/codec.ts'
import { cleanText } from '../../../lib/plain-text.ts'

const LONGEST = 200
const RATE_LIMIT = 429
const NOT_FOUND = /not f(?:ou|i)nd/i
const KEY = /CG-\w{4,}/g // which some refusals repeat

export interface FailureReason {
  /** Such as 10011; undefined where it said none. */
  readonly code: number | undefined
  /** In its own words, on one line; empty where there are none. */
  readonly words: string
  /** What to do; empty where there is nothing but to wait. */
  readonly advice: string
}

const ADVICE = new Map<number, string>([
  [10002, 'it misses the key: check COINGECKO_API_KEY, and COINGECKO_PLAN, which says whose key it is'],
  [10005, 'the plan of the key in COINGECKO_API_KEY does not include this call'],
  [
    10010,
    'the key in COINGECKO_API_KEY is one of a paid plan: set COINGECKO_PLAN=pro, and COINGECKO_URL, if set, to match',
  ],
  [
    10011,
    'the key in COINGECKO_API_KEY is a demo key: set COINGECKO_PLAN=demo, and COINGECKO_URL, if set, to match',
  ],
  [
    1020,
    'its firewall refuses the address of this host: use a key, or set COINGECKO_URL to a proxy elsewhere',
  ],
  [RATE_LIMIT, 'set COINGECKO_API_KEY, or lower COINGECKO_CALLS_PER_MINUTE'],
])
const ADVICE_OF_STATUS = new Map<number, string>([
  [401, 'check COINGECKO_API_KEY and COINGECKO_PLAN'],
  [403, 'it refuses the key or the address of this host: check COINGECKO_API_KEY and COINGECKO_PLAN'],
  [RATE_LIMIT, 'set COINGECKO_API_KEY, or lower COINGECKO_CALLS_PER_MINUTE'],
])

export function reasonOf({ status, text }: FetchFailed): FailureReason {
  const { code = cloudflareCode(text), words = titleOf(text) } = statusIn(parseJson(text))
  const advice = ADVICE.get(code ?? 0) ?? ADVICE_OF_STATUS.get(status ?? 0) ?? ''
  return { code, words: cleanText(words).replace(KEY, 'CG-…').slice(0, LONGEST), advice }
}

/** Without CoinGecko's words: "status 400, 10011". */
export function briefReason(error: FetchFailed): string {
  const { code } = reasonOf(error)
  return code === undefined || code === error.status ? error.message : `${error.message}, ${code}`
}

/** On one line, for the log: "status 400, 10011: the words (what to do)". */
export function sentenceOf(error: FetchFailed): string {
  const { words, advice } = reasonOf(error)
  return `${briefReason(error)}${words && `: ${words}`}${advice && ` (${advice})`}`
}

/** An answer of 200 whose body says that it is a failure is that failure. */
export function failureIn(json: unknown): FetchFailed | undefined {
  const { code, words } = statusIn(json)
  if (code === undefined && words === undefined) return undefined
  const status =
    code !== undefined && code >= 400 && code <= 599 ? code : NOT_FOUND.test(words ?? '') ? 404 : 400
  return new FetchFailed('status', { status, text: JSON.stringify(json) })
}

function statusIn(json: unknown): { code?: number; words?: string } {
  if (json === corrupt || typeof json !== 'object' || json === null || Array.isArray(json)) return {}
  const { status, error, error_code, error_message, message } = json as Record<string, unknown>
  for (const inner of [status, error]) {
    const found = statusIn(inner)
    if (found.code !== undefined || found.words !== undefined) return found
  }
  const words = [error, error_message, error_code !== undefined && message].find(
    (one) => typeof one === 'string',
  )
  const code = Number(error_code)
  return {
    ...(Number.isInteger(code) && code > 0 && { code }),
    ...(typeof words === 'string' && { words }),
  }
}

/** "error code: 1020", as it stands in pages and in plain texts. */
function cloudflareCode(text: string): number | undefined {
  const found = /error\s*(?:code)?\s*:?\s*(?:<[^>]{0,40}>)?\s*(10\d\d)\b/i.exec(text)?.[1]
  return found === undefined ? undefined : Number(found)
}

function titleOf(text: string): string {
  const title = /<title[^>]{0,100}>([^<]{1,300})/i.exec(text)?.[1]
  if (title !== undefined) return `a page, "${title.trim()}"`
  return /^\s*[<{[]/.test(text) ? '' : text.trim()
}
