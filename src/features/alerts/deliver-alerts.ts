// Tells crossings: one job for each crossing, way and try. What has been told and what not is in the outbox
// (delivery-records.ts), from which jobs are added again, so that a lost queue loses nothing.
import { z } from 'zod'
import type { Job, Queue } from '../../infra/queue/queue.ts'
import { HOUR, MINUTE, type Now, SECOND } from '../../lib/time.ts'
import type { Log } from '../../log.ts'
import { type Crossing, type Language, type Way, ways } from './alert.ts'
import {
  type ClaimedDelivery,
  type DeliveryRecords,
  GIVE_UP_MS,
  type OpenDelivery,
} from './delivery-records.ts'

/** What became of one try. `never`: why no later one would do better; `blocks`: and the alert is not to ring any more. */
export type Sent =
  | { readonly kind: 'sent' }
  | { readonly kind: 'later'; readonly reason: string; readonly retryAfterMs?: number }
  | { readonly kind: 'never'; readonly reason: string; readonly blocks?: true }

/** What a way is told to tell, and whom. */
export interface Message {
  readonly userId: string
  readonly language: Language
  readonly crossing: Crossing
  readonly webhook: { readonly url: string; readonly secret: string } | undefined
  readonly signal: AbortSignal
}

export interface Sender {
  /** Resolves when one more may be sent, where there is a pace to keep. */
  ready?(signal: AbortSignal): Promise<void>
  /** Within its own time limit, well below a lease. */
  send(message: Message): Promise<Sent>
}

export interface DeliverParts {
  queue: Pick<Queue, 'add' | 'work'>
  deliveries: DeliveryRecords
  senders: Readonly<Record<Way, Sender>>
  now: Now
  log: Log
}

const JOBS: Readonly<Record<Way, { name: string; concurrency: number }>> = {
  page: { name: 'alert-page', concurrency: 16 },
  telegram: { name: 'alert-telegram', concurrency: 8 },
  webhook: { name: 'alert-webhook', concurrency: 16 },
}
// Of a job that cannot read the outbox, or comes too early; any other ends well, and the next try is a job of its own.
const ATTEMPTS = 16
const FIRST_PAUSE_MS = 5 * SECOND
const LONGEST_PAUSE_MS = HOUR

const ADDED_AT_ONCE = 50
const OVERDUE_MS = 5 * MINUTE

class NotYet extends Error {}

const jobData = z.object({ crossingId: z.string() })

export function createDeliver({ queue, deliveries, senders, now, log }: DeliverParts) {
  // Named by which try it is and when it is due, so that a job that has ended never stands in the way of a later one; and by
  // how long it is overdue, because a job may be in a Redis that is away. That it is not told twice is the outbox' business.
  const add = ({ crossingId, way, tries, notBeforeMs }: OpenDelivery) => {
    const delayMs = notBeforeMs - now()
    const overdue = Math.max(0, Math.floor(-delayMs / OVERDUE_MS))
    const id = `${crossingId}:${way}:${tries}:${notBeforeMs}:${overdue}`
    return queue.add(
      JOBS[way].name,
      { crossingId },
      { id, delayMs: Math.max(0, delayMs), attempts: ATTEMPTS },
    )
  }

  async function deliver(crossingId: string, way: Way, signal: AbortSignal): Promise<void> {
    await senders[way].ready?.(signal)
    const claimed = await deliveries.claim(crossingId, way)
    if (claimed === 'ended') return
    if (claimed === 'not yet') throw new NotYet()
    const isTooLate = now() - claimed.decidedAtMs > GIVE_UP_MS
    const sent: Sent = isTooLate
      ? { kind: 'never', reason: 'too_late' }
      : await senders[way].send({ ...claimed, signal })
    if (sent.kind === 'sent') return deliveries.end(claimed, 'sent', { blocks: false })
    log.warn(
      { crossing: crossingId, way, reason: sent.reason, try: claimed.tries },
      'an alert is not delivered',
    )
    if (sent.kind === 'later') return putOff(claimed, sent.retryAfterMs)
    await deliveries.end(claimed, sent.reason, { blocks: sent.blocks === true })
  }

  async function putOff(claimed: ClaimedDelivery, retryAfterMs: number | undefined): Promise<void> {
    const pauseMs = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (claimed.tries - 1))
    const notBeforeMs = now() + Math.ceil(retryAfterMs ?? pauseMs)
    await deliveries.putOff(claimed, notBeforeMs)
    await add({ ...claimed, notBeforeMs })
  }

  return {
    work(): void {
      for (const way of ways) {
        const handle = ({ data, signal }: Job) => deliver(jobData.parse(data).crossingId, way, signal)
        queue.work(JOBS[way].name, handle, { concurrency: JOBS[way].concurrency })
      }
    },
    /** Adds a job for everything in the outbox that is to be told; the queue knows those that it has already. */
    async addOpen(): Promise<void> {
      const open = await deliveries.open()
      for (let from = 0; from < open.length; from += ADDED_AT_ONCE) {
        await Promise.all(open.slice(from, from + ADDED_AT_ONCE).map(add))
      }
    },
  }
}
