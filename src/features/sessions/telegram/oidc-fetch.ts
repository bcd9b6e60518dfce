// How openid-client asks Telegram: each answer is read whole, within a time limit that is judged after what has
// arrived, and a login's token is asked for once: its code works once.
import { withTimeout } from '../../../lib/async/deadlines.ts'

export interface FetchOptions {
  readonly headers?: Record<string, string>
  readonly method?: string
  readonly body?: unknown
}

export type Fetch = (url: string, options: FetchOptions) => Promise<Response>

export const fetchWithin =
  (limitMs: number): Fetch =>
  (url, { headers, method, body }) =>
    withTimeout(limitMs, async (signal) => {
      const answer = await fetch(url, {
        redirect: 'manual',
        signal,
        ...(method !== undefined && { method }),
        ...(headers && { headers }),
        ...(body !== undefined && body !== null && { body: body as URLSearchParams }),
      })
      return copyOf(answer, await answer.arrayBuffer())
    })

/** The same, but the answer for this address is kept and given again. */
export function fetchOnce(ask: Fetch, address: string | undefined): Fetch {
  let kept: Promise<{ readonly answer: Response; readonly bytes: ArrayBuffer }> | undefined
  const keep = async (url: string, options: FetchOptions) => {
    const answer = await ask(url, options)
    return { answer, bytes: await answer.arrayBuffer() }
  }
  return async (url, options) => {
    if (url !== address) return ask(url, options)
    kept ??= keep(url, options)
    const { answer, bytes } = await kept
    return copyOf(answer, bytes)
  }
}

/** Statuses whose answers have no body, which a Response insists on. */
const WITHOUT_BODY = new Set([101, 204, 205, 304])

function copyOf({ status, headers }: Response, bytes: ArrayBuffer): Response {
  const kept = new Headers(headers)
  for (const name of ['content-encoding', 'content-length']) kept.delete(name) // it is decoded
  return new Response(WITHOUT_BODY.has(status) ? null : bytes, { status, headers: kept })
}
