// Senders of webhooks: signed as Standard Webhooks are, and delivered again, now or long after they were acknowledged.
import { randomUUID } from 'node:crypto'
import { Webhook } from 'standardwebhooks'
import type { Random } from '../../../test/helpers/random.ts'
import type { Caller } from '../caller.ts'
import { judgeDelivery, judgeListed } from '../judge.ts'
import type { Delivery, Ledger } from '../ledger.ts'
import { ADMIN_TOKEN, WEBHOOK_SECRET } from '../stage.ts'

/** The admin sees 50: those acknowledged last must be among them, however many were handled without an answer. */
const EXPECTED = 15
const SENDERS = 20

export interface Senders {
  act(random: Random): Promise<void>
  deliver(delivery: Delivery): Promise<void>
  /** What the admin sees. */
  checkList(): Promise<void>
}

export function createSenders(ledger: Ledger, caller: Caller): Senders {
  const webhook = new Webhook(WEBHOOK_SECRET)
  const underWay = new Set<Delivery>()
  let count = 0
  let sent = 0

  const senders: Senders = {
    async act(random) {
      const known = [...ledger.deliveries.values()]
      const recent = known.slice(-20)
      const dice = random.below(100)
      if (dice < 65 || known.length === 0) await senders.deliver(newDelivery())
      else await senders.deliver(dice < 80 ? random.pick(recent) : random.pick(known))
    },

    async deliver(delivery) {
      // Two at the same moment are one question of its own: 409 for one of them.
      if (underWay.has(delivery)) return
      underWay.add(delivery)
      try {
        await send(delivery)
      } finally {
        underWay.delete(delivery)
      }
    },

    async checkList() {
      const expected = [...ledger.deliveries.values()]
        .filter(({ acknowledgedAtMs }) => acknowledgedAtMs > 0)
        .toSorted((a, b) => a.acknowledgedAtMs - b.acknowledgedAtMs)
        .slice(-EXPECTED)
      const answer = await caller.ask({
        name: 'list deliveries',
        path: '/api/webhooks/soak/deliveries',
        headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
      })
      if (!answer) return
      const { deliveries } = JSON.parse(answer.text) as { deliveries: { id: string }[] }
      const listed = deliveries.map(({ id }) => id)
      // Those acknowledged while the question was under way may have pushed others out.
      const oldest = ledger.deliveries.get(listed.at(-1) ?? '')?.acknowledgedAtMs ?? 0
      const surely = expected.filter((one) => listed.length < 50 || one.acknowledgedAtMs > oldest + 1_000)
      for (const wrong of judgeListed(
        listed,
        surely.map(({ id }) => id),
      ))
        ledger.add(wrong, wrong.words)
    },
  }

  function newDelivery(): Delivery {
    count += 1
    const id = `msg_${count}_${randomUUID()}`
    const delivery = { id, body: JSON.stringify({ count }), isAcknowledged: false, acknowledgedAtMs: 0 }
    ledger.deliveries.set(id, delivery)
    return delivery
  }

  async function send(delivery: Delivery): Promise<void> {
    const at = new Date()
    sent += 1
    const answer = await caller.ask({
      name: 'deliver a webhook',
      path: '/api/webhooks/soak',
      method: 'POST',
      headers: {
        'webhook-id': delivery.id,
        'webhook-timestamp': String(Math.floor(at.getTime() / 1_000)),
        'webhook-signature': webhook.sign(delivery.id, at, delivery.body),
        'x-forwarded-for': `192.0.2.${sent % SENDERS}`,
      },
      body: delivery.body,
      expected: [200, 204, 409], // 409 while the lease of one that was killed lasts
    })
    if (!answer || answer.status === 409) return
    const isReplay = answer.headers.get('idempotent-replayed') === 'true'
    ledger.add(judgeDelivery(delivery, { status: answer.status, isReplay }), delivery.id)
    // One that was done long ago, without an answer, is not among the last that were received.
    if (!delivery.isAcknowledged && !isReplay) delivery.acknowledgedAtMs = answer.receivedAtMs
    delivery.isAcknowledged = true
  }
  return senders
}
