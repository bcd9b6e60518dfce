// Jobs on their way from the outbox to Redis, and out of the outbox once nobody needs them there.

import { type Now, SECOND } from '../../lib/time.ts'
import type { Log } from '../../log.ts'
import { RedisUnavailable } from '../errors.ts'
import type { BullQueue } from './bull-queue.ts'
import type { MemoryQueue } from './memory-queue.ts'
import type { KeptJob, Outbox } from './outbox.ts'
import { DONE_KEPT_MS } from './queue.ts'

const AT_ONCE = 20
/** Replies that say something of what is there under one job's keys, not of what we may. */
const OF_ONE_JOB = /^(WRONGTYPE|ERR (?!.*(can't run|ACL failure)))/
const RECENT_MS = 10 * SECOND // what a dying Redis may not have kept
const LOOK_MS = 60 * SECOND
const LOOKED_AT = 100

export interface Moves {
  /**
   * Adds what Redis does not have: all that runs here, and those copies that it may have lost. What it has already it
   * ignores. Rejects with RedisUnavailable; what was not added is still here.
   */
  move(to: BullQueue, lost: 'none' | 'recent' | 'all'): Promise<void>
  /** Now and then: copies of jobs that another process has finished. Rejects as `move` does. */
  forgetFinished(on: BullQueue): Promise<void>
  /** Dead letters of long ago, where no Redis has come to take them. */
  forgetDead(): void
}

export interface MovesOptions {
  outbox: Outbox
  memory: Pick<MemoryQueue, 'isActive'>
  log: Log
  now: Now
}

export function createMoves({ outbox, memory, log, now }: MovesOptions): Moves {
  let lookedAtMs = now()
  let looked = 0

  async function moveOne(to: BullQueue, job: KeptJob): Promise<void> {
    try {
      await to.add(job)
    } catch (error) {
      if (error instanceof RedisUnavailable && !OF_ONE_JOB.test(error.message)) throw error
      // One that BullMQ does not take must not keep the others from it.
      return log.error(
        { job: job.name, id: job.id, err: error },
        'a job cannot be put into Redis: it is run here',
      )
    }
    // Begun here meanwhile: both may run it, and the lease keeps them apart.
    if (outbox.get(job) !== job || job.place === 'redis' || memory.isActive(job)) return
    if (job.place === 'dead')
      outbox.delete(job) // its mark makes it a dead letter there
    else outbox.put({ ...job, place: 'redis' })
  }

  return {
    async move(to, lost) {
      const isLost = ({ addedAtMs }: KeptJob) =>
        lost === 'all' || (lost === 'recent' && addedAtMs > now() - RECENT_MS)
      const owed = outbox
        .jobs()
        .filter((job) => (job.place === 'redis' ? isLost(job) : !memory.isActive(job)))
      for (let i = 0; i < owed.length; i += AT_ONCE) {
        await Promise.all(owed.slice(i, i + AT_ONCE).map((job) => moveOne(to, job)))
      }
    },
    async forgetFinished(on) {
      if (now() - lookedAtMs < LOOK_MS) return
      lookedAtMs = now()
      const copies = outbox.jobs().filter((job) => job.place === 'redis' && job.addedAtMs < now() - LOOK_MS)
      if (looked >= copies.length) looked = 0
      for (const job of copies.slice(looked, looked + LOOKED_AT)) {
        if (await on.isFinished(job)) outbox.delete(job)
      }
      looked += LOOKED_AT
    },
    forgetDead() {
      for (const job of outbox.jobs()) {
        if (job.place === 'dead' && job.dueAtMs < now() - DONE_KEPT_MS) outbox.delete(job)
      }
    },
  }
}
