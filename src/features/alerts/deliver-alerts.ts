// Tells crossings: one job for each crossing, way and try. What has been told and what not is in the outbox
// (delivery-records.ts), from which jobs are added again, so that a lost queue loses nothing.
import { z } from 'zod'
import type { Job, Queue } from '../../core/queue/queue.ts'
import { HOUR, MINUTE, type Now, pause, SECOND } from '../../lib/time.ts'
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
}

export interface Sender {
  /** Resolves when one more may be sent, where there is a pace to keep. */
  ready?(signal: AbortSignal): Promise<void>
  /** Within its own time limit, well below a lease; a stop does not break it off, because the other side may have it already. */
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

// 21 s in all: with the time that a message may take it is less than the lease of 30 s.
const NOTE_PAUSES_MS = [0.2, 0.8, 2, 3, 5, 5, 5].map((seconds) => seconds * SECOND)

const ADDED_AT_ONCE = 50
const OVERDUE_MS = 5 * MINUTE
// So long the same id may be added again. Nothing worse than a look into the outbox comes of a mark that has gone.
const DONE_KEPT_MS = 2 * OVERDUE_MS

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

  async function deliver(way: Way, { data, signal }: Job): Promise<void> {
    const { crossingId } = jobData.parse(data)
    await senders[way].ready?.(signal)
    signal.throwIfAborted()
    const claimed = await deliveries.claim(crossingId, way)
    if (claimed === 'ended') return
    if (claimed === 'not yet') throw new NotYet()
    const isTooLate = now() - claimed.decidedAtMs > GIVE_UP_MS
    const sent: Sent = isTooLate ? { kind: 'never', reason: 'too_late' } : await senders[way].send(claimed)
    if (sent.kind === 'sent') return note(() => deliveries.end(claimed, 'sent', { blocks: false }))
    log.warn(
      { crossing: crossingId, way, reason: sent.reason, try: claimed.tries },
      'an alert is not delivered',
    )
    if (sent.kind === 'later') return putOff(claimed, sent.retryAfterMs)
    await note(() => deliveries.end(claimed, sent.reason, { blocks: sent.blocks === true }))
  }

  /** Again and again while the lease lasts, whatever the reason (a busy file, a server that restarts): else it is told twice. */
  async function note(write: () => Promise<void>): Promise<void> {
    for (const pauseMs of NOTE_PAUSES_MS) {
      try {
        return await write()
      } catch {
        await pause(pauseMs)
      }
    }
    await write()
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
        queue.work(JOBS[way].name, (job) => deliver(way, job), {
          concurrency: JOBS[way].concurrency,
          keptMs: DONE_KEPT_MS,
        })
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
