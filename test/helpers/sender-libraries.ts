// Senders in a process of their own: each signs with the library that the sender gives out, sends as often as it is told,
// and tells what it was answered.
import { sign as signAsGithub } from '@octokit/webhooks-methods'
import { Webhook as StandardWebhook } from 'standardwebhooks'
import Stripe from 'stripe'
import { Webhook as SvixWebhook } from 'svix'

export type Library = 'svix' | 'standardwebhooks' | 'stripe' | 'octokit' | 'none'

export interface Told {
  readonly library: Library
  readonly url: string
  readonly secret: string
  readonly id: string
  readonly body: string
  /** Besides those of the signature. */
  readonly headers?: Readonly<Record<string, string>>
  readonly ageS?: number
  readonly times?: number
}

export interface Answered {
  readonly status: number
  readonly type: string | null
  readonly replayed: string | null
  readonly text: string
}

type Signer = (told: Told, at: Date) => Promise<Record<string, string>> | Record<string, string>

const inSeconds = (at: Date) => Math.floor(at.getTime() / 1_000)

const signers: Record<Library, Signer> = {
  svix: ({ secret, id, body }, at) => ({
    'svix-id': id,
    'svix-timestamp': String(inSeconds(at)),
    'svix-signature': new SvixWebhook(secret).sign(id, at, body),
  }),
  standardwebhooks: ({ secret, id, body }, at) => ({
    'webhook-id': id,
    'webhook-timestamp': String(inSeconds(at)),
    'webhook-signature': new StandardWebhook(secret).sign(id, at, body),
  }),
  stripe: ({ secret, body }, at) => ({
    'stripe-signature': Stripe.webhooks.generateTestHeaderString({
      payload: body,
      secret,
      timestamp: inSeconds(at),
    }),
  }),
  octokit: async ({ secret, id, body }) => ({
    'x-github-delivery': id,
    'x-github-event': 'push',
    'x-hub-signature-256': await signAsGithub(secret, body),
  }),
  none: () => ({}),
}

async function sendAll(told: Told): Promise<Answered[]> {
  const { library, url, body, headers = {}, ageS = 0, times = 1 } = told
  const signed = await signers[library](told, new Date(Date.now() - ageS * 1_000))
  return Promise.all(
    Array.from({ length: times }, async () => {
      const init = {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...signed, ...headers },
        body,
      }
      const response = await fetch(url, init)
      return {
        status: response.status,
        type: response.headers.get('content-type'),
        replayed: response.headers.get('idempotent-replayed'),
        text: await response.text(),
      }
    }),
  )
}

process.on('message', async (told: Told) => process.send?.(await sendAll(told)))
process.on('disconnect', () => process.exit())
process.send?.('ready')
