// A sender in a process of its own: signs with the package that senders use, sends at once as often as it is told, and
// prints what it was answered.
import { Webhook } from 'standardwebhooks'

const { url, secret, id, body, times } = JSON.parse(process.argv[2] ?? '')
const at = new Date()
const headers = {
  'content-type': 'application/json',
  'webhook-id': id,
  'webhook-timestamp': String(Math.floor(at.getTime() / 1_000)),
  'webhook-signature': new Webhook(secret).sign(id, at, body),
}
const answers = await Promise.all(
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
process.stdout.write(JSON.stringify(answers))
