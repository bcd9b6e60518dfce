// Opens BullMQ, and opens it again after its connections are lost: they may be, or be refused, while the state role
// is well.
import { createBackoff } from '../../lib/backoff.ts'
import { SECOND } from '../../lib/time.ts'
import type { Log } from '../../log.ts'
import { RedisUnavailable } from '../errors.ts'
import { hintFor } from '../redis/refusals.ts'
import type { BullQueue } from './bull-queue.ts'

/** A connection that is lost later than that was cut, and opening it again is no news. */
const SETTLED_MS = 500

/** Rejects with RedisUnavailable; later calls `onLost`, once, when the connections are gone. */
export type OpenBull = (onLost: (cause: RedisUnavailable) => void) => Promise<BullQueue>

export interface BullLink {
  /** Undefined while BullMQ is not open. */
  current(): BullQueue | undefined
  /** The present one, or a new one. Rejects with RedisUnavailable. */
  open(): Promise<BullQueue>
  /**
   * Does work that needs BullMQ. When it fails, jobs stay here: the reason is logged, each one once until BullMQ
   * works, and BullMQ is dropped unless it was only slow. Never rejects.
   */
  attempt(work: () => Promise<void>): Promise<void>
  /** Redis is left, or must not be asked now. */
  drop(): void
  close(graceMs: number): Promise<void>
}

/** While it cannot be opened, or does not last: a server that has no room for us is not asked each second. */
const RETRY = { firstMs: SECOND, capMs: 30 * SECOND }

/** `open` is undefined when Redis is switched off. */
export function createBullLink({ open, log }: { open: OpenBull | undefined; log: Log }): BullLink {
  let bull: BullQueue | undefined
  let connectionLost: RedisUnavailable | undefined // for a reason to be told, and not opened again since
  let openedAtMs = 0
  let lastReason = ''
  let isClosed = false
  const backoff = createBackoff(RETRY)
  let resting: { readonly untilMs: number; readonly cause: RedisUnavailable } | undefined

  function drop(): void {
    bull?.drop()
    bull = undefined
    connectionLost = undefined
  }

  function rest(cause: RedisUnavailable): void {
    resting = { untilMs: performance.now() + backoff.nextMs(), cause }
  }

  function clearRest(): void {
    backoff.reset()
    resting = undefined
  }

  async function openBull(): Promise<BullQueue> {
    if (bull) return bull
    if (!open) throw new RedisUnavailable('lost', 'Redis is switched off')
    if (connectionLost) explain(connectionLost)
    connectionLost = undefined
    if (resting && performance.now() < resting.untilMs) throw resting.cause
    let opened: BullQueue | undefined
    opened = await open((cause) => {
      if (bull !== opened) return
      drop()
      const wasCut = cause.reason === 'lost' && performance.now() - openedAtMs >= SETTLED_MS
      if (wasCut) return
      connectionLost = cause
      rest(cause)
    }).catch((error) => {
      if (error instanceof RedisUnavailable) rest(error)
      throw error
    })
    openedAtMs = performance.now()
    // Another call may have opened one in the meantime.
    if (bull || isClosed) opened.drop()
    else bull = opened
    return bull ?? opened
  }

  function explain(error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error)
    const hint = hintFor(reason)
    if (reason !== lastReason)
      log.warn(
        { err: error },
        `jobs cannot be put into Redis: they are kept here and run in this process${hint ? `. To do: ${hint}` : ''}`,
      )
    lastReason = reason
  }

  return {
    current: () => bull,
    open: openBull,
    async attempt(work) {
      if (isClosed) return
      const before = bull
      try {
        await work()
        if (!before || before !== bull) return
        lastReason = ''
        clearRest()
      } catch (error) {
        if (isClosed) return
        explain(error)
        if (!(error instanceof RedisUnavailable && error.reason === 'slow')) drop()
      }
    },
    drop() {
      drop()
      clearRest()
    },
    async close(graceMs) {
      isClosed = true
      await bull?.close(graceMs)
      drop()
    },
  }
}
