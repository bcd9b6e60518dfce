// Delivers crossings: claims what is due in the records, sends it, and commits the end. It wakes after each check, at
// the start of a process, and when the next delivery falls due. Processes that share records share the work by their
// claims.
import { inBackground } from '../../../core/background.ts'
import type { Queue } from '../../../core/queue/queue.ts'
import { HOUR, type Now, pause, SECOND, type StartTimer, startTimer } from '../../../lib/time.ts'
import type { Log } from '../../../log.ts'
import { type Crossing, type Language, type Way, ways } from '../alert.ts'
import { type ClaimedDelivery, type DeliveryRecords, GIVE_UP_MS } from './delivery-records.ts'

/** The result of one try. `never`: why no later one would do better; `blocks`: and the alert must not trigger again. */
export type Sent =
  | { readonly kind: 'sent' }
  | { readonly kind: 'later'; readonly reason: string; readonly retryAfterMs?: number }
  | { readonly kind: 'never'; readonly reason: string; readonly blocks?: true }

/** What is sent, and to whom. */
export interface Message {
  readonly userId: string
  readonly language: Language
  readonly crossing: Crossing
  readonly webhook: { readonly url: string; readonly secret: string } | undefined
}

export interface Sender {
  /** Resolves when one more may be sent, where there is a pace to keep. */
  ready?(signal: AbortSignal): Promise<void>
  /** Within a time limit far below a lease. A stop does not interrupt it: the receiver may have the message already. */
  send(message: Message): Promise<Sent>
}

export interface DeliverParts {
  deliveries: DeliveryRecords
  senders: Readonly<Record<Way, Sender>>
  now: Now
  timer?: StartTimer
  log: Log
}

export interface Deliver {
  /** Sends what is due, in the background. */
  wake(): void
  /** Begins no more deliveries, and waits 2 s for active ones. */
  close(): Promise<void>
}

const CONCURRENCY: Readonly<Record<Way, number>> = { page: 16, telegram: 8, webhook: 16 }
const FIRST_PAUSE_MS = 5 * SECOND
const LONGEST_PAUSE_MS = HOUR
const STOP_MS = 2 * SECOND
// 21 s: with the time that a message takes it is less than the lease of 30 s.
const COMMIT_PAUSES_MS = [0.2, 0.8, 2, 3, 5, 5, 5].map((seconds) => seconds * SECOND)

export function createDeliver({ deliveries, senders, now, timer = startTimer, log }: DeliverParts): Deliver {
  const stop = new AbortController()
  const active = new Set<Promise<void>>()
  const activeOf = new Map<Way, number>(ways.map((way) => [way, 0]))
  let isFailing = false // so that it is logged once
  let armedForMs = Number.POSITIVE_INFINITY
  let stopTimer = () => {}

  function wake(): void {
    if (!stop.signal.aborted) start(startDue())
  }

  async function startDue(): Promise<void> {
    const { counts, nextAtMs } = await deliveries.due()
    isFailing = false
    for (const [way, count] of counts) {
      const free = CONCURRENCY[way] - (activeOf.get(way) ?? 0)
      for (let i = 0; i < Math.min(free, count); i += 1) start(deliverAll(way))
    }
    arm(nextAtMs)
  }

  function arm(atMs: number): void {
    if (atMs >= armedForMs || stop.signal.aborted) return
    stopTimer()
    armedForMs = atMs
    stopTimer = timer(Math.min(Math.max(0, atMs - now()), HOUR), () => {
      armedForMs = Number.POSITIVE_INFINITY
      wake()
    })
  }

  function start(work: Promise<void>): void {
    active.add(work)
    void inBackground(
      logged(work).finally(() => active.delete(work)),
      log,
    )
  }

  async function logged(work: Promise<void>): Promise<void> {
    try {
      await work
    } catch (error) {
      // The records may be in another container's hands.
      if (!isFailing && !stop.signal.aborted)
        log.warn({ err: error }, 'alerts cannot be delivered now: they are tried again within a minute')
      isFailing = true
    }
  }

  /** One after the other, until none is due. */
  async function deliverAll(way: Way): Promise<void> {
    activeOf.set(way, (activeOf.get(way) ?? 0) + 1)
    try {
      while (!stop.signal.aborted && (await deliveries.isDue(way))) {
        await senders[way].ready?.(stop.signal)
        if (stop.signal.aborted) return
        const claimed = await deliveries.claim(way)
        if (claimed) await deliver(claimed)
      }
    } finally {
      activeOf.set(way, (activeOf.get(way) ?? 1) - 1)
    }
  }

  async function deliver(claimed: ClaimedDelivery): Promise<void> {
    const { crossingId, way, tries } = claimed
    const sent = await send(claimed)
    if (sent.kind === 'sent') return commit(() => deliveries.end(claimed, 'sent', { blocks: false }))
    log.warn({ crossing: crossingId, way, reason: sent.reason, try: tries }, 'an alert is not delivered')
    if (sent.kind === 'never')
      return commit(() => deliveries.end(claimed, sent.reason, { blocks: sent.blocks === true }))
    const pauseMs = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (tries - 1))
    const untilMs = now() + Math.ceil(sent.retryAfterMs ?? pauseMs)
    await commit(() => deliveries.putOff(claimed, untilMs))
    arm(untilMs)
  }

  async function send({ crossing, ...claimed }: ClaimedDelivery): Promise<Sent> {
    if (!crossing) return { kind: 'never', reason: 'unreadable' }
    if (now() - claimed.decidedAtMs > GIVE_UP_MS) return { kind: 'never', reason: 'too_late' }
    return senders[claimed.way].send({ ...claimed, crossing })
  }

  /** Retries while the lease lasts, for any reason (a busy file, a server that restarts): else it is sent twice. */
  async function commit(write: () => Promise<void>): Promise<void> {
    for (const pauseMs of COMMIT_PAUSES_MS) {
      try {
        return await write()
      } catch {
        await pause(pauseMs)
      }
    }
    await write()
  }

  return {
    wake,
    async close() {
      stop.abort()
      stopTimer()
      if (active.size > 0) await Promise.race([Promise.allSettled(active), pause(STOP_MS)])
    },
  }
}

/** Earlier versions had a job for each delivery. Such jobs that are still in a queue only wake this. */
export function finishFormerJobs(queue: Pick<Queue, 'work'>, { wake }: Deliver): void {
  for (const way of ways) queue.work(`alert-${way}`, async () => wake())
}
