// A sender in a process of its own: signs with the package that senders use, sends as often as it is told, all
// together, and tells what it was answered.
import { Webhook } from 'standardwebhooks'

export interface ToSend {
  readonly url: string
  readonly secret: string
  readonly id: string
  readonly body: string
  readonly times: number
}

export interface Answered {
  readonly status: number
  readonly replayed: string | null
  readonly retryAfter: string | null
  readonly text: string
}

async function sendAll({ url, secret, id, body, times }: ToSend): Promise<Answered[]> {
  const at = new Date()
  const headers = {
    'content-type': 'application/json',
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(at.getTime() / 1_000)),
    'webhook-signature': new Webhook(secret).sign(id, at, body),
  }
  return Promise.all(
    Array.from({ length: times }, async () => {
      const response = await fetch(url, { method: 'POST', headers, body })
      return {
        status: response.status,
        replayed: response.headers.get('idempotent-replayed'),
        retryAfter: response.headers.get('retry-after'),
        text: await response.text(),
      }
    }),
  )
}

process.on('message', async (told: ToSend) => process.send?.(await sendAll(told)))
process.on('disconnect', () => process.exit())
