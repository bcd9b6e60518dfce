// A crossing as a signed webhook to the user's own server. Standard Webhooks, symmetric (v1):
// github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md
import { createHmac, randomBytes } from 'node:crypto'
import { type RequestOptions, request } from 'node:https'
import { isIP } from 'node:net'
import { withTimeout } from '../../../lib/async/deadlines.ts'
import { type Now, SECOND } from '../../../lib/time.ts'
import { standardKey } from '../../../lib/webhooks/webhook-sources.ts'
import type { Sender, Sent } from './deliver-alerts.ts'
import { createPaceUsers } from './pace-users.ts'
import { isPublicAddress } from './public-address.ts'
import { createSafeLookup, hostOf, parseSafeUrl, type Resolve, UnsafeAddress } from './safe-url.ts'

const LIMIT_MS = 5 * SECOND
const SECRET_BYTES = 32
const FIRST_REFUSAL = 400
const GONE = 410

export const createSecret = () => `whsec_${randomBytes(SECRET_BYTES).toString('base64')}`

export interface UserWebhookParts {
  resolve: Resolve
  /** Which addresses may be called. */
  isAllowed?: (address: string) => boolean
  /** A certificate authority to believe instead of the usual ones. */
  ca?: string
  now: Now
}

export function createUserWebhookSender({
  resolve,
  isAllowed = isPublicAddress,
  ca,
  now,
}: UserWebhookParts): Sender {
  const pace = createPaceUsers()

  /** The status of the answer, whose body nobody reads. Rejects after the time limit, connecting and all. */
  const post = (url: URL, headers: Record<string, string>, body: Buffer) =>
    withTimeout(LIMIT_MS, (signal) => postWithin(url, headers, body, signal))

  function postWithin(
    url: URL,
    headers: Record<string, string>,
    body: Buffer,
    signal: AbortSignal,
  ): Promise<number> {
    const options: RequestOptions = {
      method: 'POST',
      headers: { ...headers, 'Content-Length': body.length },
      // No connection is kept: it would be to an address that was checked at another time.
      agent: false,
      lookup: createSafeLookup((name) => resolve(name, signal), isAllowed),
      signal,
      ...(ca !== undefined && { ca }),
    }
    return new Promise((answered, failed) => {
      const sending = request(url, options, (answer) => {
        answered(answer.statusCode ?? 0)
        answer.destroy()
      })
      sending.on('error', failed)
      sending.end(body)
    })
  }

  return {
    async send({ userId, crossing, webhook }) {
      if (!webhook) return never('no_webhook')
      const url = new URL(webhook.url)
      // A host that is an address is not looked up. What was saved under older rules is judged by those of now.
      if (isIP(hostOf(url)) ? !isAllowed(hostOf(url)) : typeof parseSafeUrl(webhook.url) === 'string') {
        return never('unsafe_address')
      }
      const body = Buffer.from(
        JSON.stringify({ type: 'alert.crossed', timestamp: crossing.crossedAt, data: crossing }),
      )
      const headers = signedHeaders(crossing.id, body, webhook.secret, now())
      try {
        const status = await pace(userId, () => post(url, headers, body))
        return status === undefined ? { kind: 'later', reason: 'webhook_slow' } : verdict(status)
      } catch (error) {
        if (isUnsafe(error)) return never('unsafe_address')
        return { kind: 'later', reason: 'webhook_unreachable' }
      }
    },
  }
}

const never = (reason: string): Sent => ({ kind: 'never', reason })

/** A redirect is not followed: what it leads to was not checked. */
function verdict(status: number): Sent {
  if (status >= 200 && status <= 299) return { kind: 'sent' }
  if ((status >= 300 && status < FIRST_REFUSAL) || status === GONE) return never(`webhook_${status}`)
  return { kind: 'later', reason: `webhook_${status}` }
}

// Of several addresses Node makes one error.
function isUnsafe(error: unknown): boolean {
  return error instanceof UnsafeAddress || (error instanceof AggregateError && error.errors.some(isUnsafe))
}

function signedHeaders(id: string, body: Buffer, secret: string, nowMs: number): Record<string, string> {
  const timestamp = String(Math.floor(nowMs / SECOND))
  const signature = createHmac('sha256', standardKey(secret))
    .update(`${id}.${timestamp}.`)
    .update(body)
    .digest()
  return {
    'Content-Type': 'application/json',
    'User-Agent': 'samovar',
    'webhook-id': id,
    'webhook-timestamp': timestamp,
    'webhook-signature': `v1,${signature.toString('base64')}`,
  }
}
