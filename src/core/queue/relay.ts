// Moves jobs from the outbox to Redis, and prunes the outbox of what is finished elsewhere.
import { type Now, SECOND } from '../../lib/time.ts'
import type { Log } from '../../log.ts'
import { JobRefused } from '../errors.ts'
import type { BullQueue } from './bull-queue.ts'
import type { MemoryQueue } from './memory-queue.ts'
import type { Outbox } from './outbox.ts'
import { keyOf, type OutboxJob } from './outbox.ts'
import { DONE_KEPT_MS } from './queue.ts'

const BATCH = 20
const RECENT_MS = 10 * SECOND // what a dying Redis may have lost
const PRUNE_EVERY_MS = 60 * SECOND
const PRUNE_BATCH = 100

export interface Relay {
  /**
   * Adds to Redis what it does not have: the jobs that run here, and those copies that Redis may have lost. Redis
   * ignores what it knows. Rejects with RedisUnavailable; what was not added stays here.
   */
  send(to: BullQueue, mayHaveLost: 'none' | 'recent' | 'all'): Promise<void>
  /** Drops copies of jobs that another process has finished, some a minute. Rejects with RedisUnavailable. */
  pruneFinished(on: BullQueue): Promise<void>
  /** Drops dead letters that no Redis has taken for days. */
  pruneDead(): void
}

export interface RelayOptions {
  outbox: Outbox
  memory: Pick<MemoryQueue, 'isActive'>
  log: Log
  now: Now
}

export function createRelay({ outbox, memory, log, now }: RelayOptions): Relay {
  let prunedAtMs = now()
  let prunedUpTo = 0
  const refused = { by: undefined as BullQueue | undefined, keys: new Set<string>() }

  async function sendOne(to: BullQueue, job: OutboxJob): Promise<void> {
    try {
      await to.add(job)
    } catch (error) {
      if (!(error instanceof JobRefused)) throw error
      refused.keys.add(keyOf(job)) // it must not keep the others from Redis
      log.error({ job: job.name, id: job.id, err: error }, 'a job cannot be put into Redis: it runs here')
      return
    }
    // Started here in the meantime: both may run it, and the lease keeps the runs apart.
    if (outbox.get(job) !== job || job.place === 'redis' || memory.isActive(job)) return
    if (job.place === 'dead')
      outbox.delete(job) // its done mark makes it a dead letter there
    else outbox.put({ ...job, place: 'redis' })
  }

  /** Until the next connection: somebody may have removed what is under its keys by then. */
  function isRefused(to: BullQueue, job: OutboxJob): boolean {
    if (refused.by !== to) refused.keys.clear()
    refused.by = to
    return refused.keys.has(keyOf(job))
  }

  return {
    async send(to, mayHaveLost) {
      const isLost = ({ addedAtMs }: OutboxJob) =>
        mayHaveLost === 'all' || (mayHaveLost === 'recent' && addedAtMs > now() - RECENT_MS)
      const isMissing = (job: OutboxJob) =>
        (job.place === 'redis' ? isLost(job) : !memory.isActive(job)) && !isRefused(to, job)
      const missing = outbox.jobs().filter(isMissing)
      for (let i = 0; i < missing.length; i += BATCH) {
        await Promise.all(missing.slice(i, i + BATCH).map((job) => sendOne(to, job)))
      }
    },
    async pruneFinished(on) {
      if (now() - prunedAtMs < PRUNE_EVERY_MS) return
      prunedAtMs = now()
      const isOld = ({ addedAtMs }: OutboxJob) => addedAtMs < now() - PRUNE_EVERY_MS
      const copies = outbox.jobs().filter((job) => job.place === 'redis' && isOld(job))
      if (prunedUpTo >= copies.length) prunedUpTo = 0
      for (const job of copies.slice(prunedUpTo, prunedUpTo + PRUNE_BATCH)) {
        if (await isFinished(on, job)) outbox.delete(job)
      }
      prunedUpTo += PRUNE_BATCH
    },
    pruneDead() {
      for (const job of outbox.jobs()) {
        if (job.place === 'dead' && job.dueAtMs < now() - DONE_KEPT_MS) outbox.delete(job)
      }
    },
  }
}

async function isFinished(on: BullQueue, job: OutboxJob): Promise<boolean> {
  try {
    return await on.isFinished(job)
  } catch (error) {
    if (error instanceof JobRefused) return false // its keys cannot be read
    throw error
  }
}
