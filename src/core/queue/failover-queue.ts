// Jobs: in Redis while the state role is there, else in the outbox, which runs here.
//
// away     No BullMQ. What is added goes to the outbox; jobs that are in Redis wait for it.
// merging  The state has been merged, so that every mark of a finished job is in Redis. BullMQ is opened, and what is
//          unfinished here is added to it by id; what it has already it ignores. Nobody works yet.
// redis    Workers run, schedules are upserted. A call that fails is done here instead, and moved to Redis a second later.
//
// BullMQ may be lost, or refuse, while the state role is well: then it alone is opened again, once a second.

import { hasTimeLeft } from '../../lib/request-deadline.ts'
import { type Now, SECOND } from '../../lib/time.ts'
import type { Log } from '../../log.ts'
import { RedisUnavailable } from '../errors.ts'
import { createParticipant, type Participant } from '../participant.ts'
import type { BullQueue } from './bull-queue.ts'
import type { JobRuns } from './job-runs.ts'
import type { MemoryQueue } from './memory-queue.ts'
import type { Outbox } from './outbox.ts'
import { DONE_KEPT_MS, type JobCounts, type Queue } from './queue.ts'
import type { Moves } from './relay.ts'
import type { Schedules } from './schedules.ts'

const TICK_MS = SECOND
const START_GRACE_MS = 5 * SECOND // so long a Redis may take to be found
const STOP_MS = 2 * SECOND

export interface FailoverQueueOptions {
  /** Undefined: Redis is switched off. Rejects with RedisUnavailable. */
  open: ((lost: (cause: RedisUnavailable) => void) => Promise<BullQueue>) | undefined
  outbox: Outbox
  memory: MemoryQueue
  moves: Moves
  runs: Pick<JobRuns, 'handle' | 'close'>
  schedules: Schedules
  /** Whether the state role is in Redis. */
  isRedis: () => boolean
  /** A call to BullMQ took too long: somebody should ask whether Redis is there. */
  suspect: () => void
  log: Log
  now: Now
}

export interface FailoverQueue extends Queue, Participant {
  /** BullMQ, while there is one. */
  bull(): BullQueue | undefined
  close(): Promise<void>
}

export function createFailoverQueue(options: FailoverQueueOptions): FailoverQueue {
  const { open, outbox, memory, moves, runs, schedules, isRedis, suspect, log, now } = options
  const concurrencies = new Map<string, number>()
  let bull: BullQueue | undefined
  let isWorking = false // whether its workers run
  let isAllOwed = false // whether Redis may have lost everything
  let lastFailure = ''
  let ticking: Promise<void> | undefined
  let isClosed = false
  let hasCaughtUp = false
  const startedAtMs = now()

  function drop(): void {
    bull?.drop()
    bull = undefined
    isWorking = false
  }

  async function openBull(): Promise<BullQueue> {
    if (!open) throw new RedisUnavailable('lost', 'Redis is switched off')
    const opened: BullQueue = await open((cause) => {
      log.debug({ err: cause }, 'a connection of BullMQ was lost')
      if (bull === opened) drop()
    })
    if (bull || isClosed) opened.drop()
    else bull = opened
    return bull ?? opened
  }

  async function move(to: BullQueue): Promise<void> {
    await moves.move(to, isWorking ? 'none' : isAllOwed ? 'all' : 'recent')
    isAllOwed = false
  }

  async function startWork(on: BullQueue): Promise<void> {
    for (const [name, schedule] of schedules.all()) await on.schedule(name, schedule)
    if (bull !== on) return
    isWorking = true
    for (const [name, concurrency] of concurrencies) on.work(name, concurrency)
    await catchUp()
  }

  async function catchUp(): Promise<void> {
    hasCaughtUp = true
    for (const [name] of schedules.all()) await schedules.catchUp(name)
  }

  async function tick(): Promise<void> {
    moves.forgetDead()
    if (!hasCaughtUp && !isRedis() && now() - startedAtMs > START_GRACE_MS) await explained(catchUp)
    if (!isRedis() || !open) return
    await explained(async () => {
      const on = bull ?? (await openBull())
      await move(on)
      if (!isWorking && bull === on) await startWork(on)
      await moves.forgetFinished(on)
    })
  }

  /** Jobs stay here when BullMQ cannot be used; why is said once. */
  async function explained(work: () => Promise<void>): Promise<void> {
    try {
      await work()
      lastFailure = ''
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      if (reason !== lastFailure)
        log.warn({ err: error }, 'jobs cannot be put into Redis: they are kept here')
      lastFailure = reason
      if (!(error instanceof RedisUnavailable && error.reason === 'slow')) drop()
    }
  }

  function tickOnce(): void {
    if (ticking || isClosed) return
    ticking = tick().finally(() => {
      ticking = undefined
    })
  }
  const timer = setInterval(tickOnce, TICK_MS).unref()

  return {
    async add(name, data, { id, delayMs = 0, attempts = 5, backoffMs = SECOND }) {
      const addedAtMs = now()
      const job = { name, id, data, attempts, backoffMs, addedAtMs, dueAtMs: addedAtMs + delayMs, failed: 0 }
      if (outbox.get(job)) return
      if (!bull || !hasTimeLeft()) return outbox.put({ ...job, place: 'here' })
      const copy = { ...job, place: 'redis' } as const
      outbox.put(copy)
      try {
        await bull.add(copy)
      } catch (error) {
        if (!(error instanceof RedisUnavailable)) throw error
        suspect()
        if (outbox.get(job) === copy) outbox.put({ ...job, place: 'here' })
      }
    },
    work(name, handler, { concurrency = 1, keptMs = DONE_KEPT_MS } = {}) {
      runs.handle(name, handler, keptMs)
      concurrencies.set(name, concurrency)
      memory.work(name, concurrency)
      if (isWorking) bull?.work(name, concurrency)
    },
    schedule(name, schedule) {
      schedules.set(name, schedule)
      const on = bull
      void explained(async () => {
        if (isWorking) await on?.schedule(name, schedule)
        if (isWorking || !open || hasCaughtUp) await schedules.catchUp(name)
      })
    },
    async counts() {
      const here = memory.counts()
      try {
        return bull ? sum(here, await bull.counts()) : sum(here, copiesOf(outbox, now()))
      } catch (error) {
        if (!(error instanceof RedisUnavailable)) throw error
        return sum(here, copiesOf(outbox, now()))
      }
    },

    ...createParticipant({ load: outbox.load, persist: outbox.persist }),
    left() {
      drop()
      void explained(catchUp)
    },
    async merge(returned) {
      isAllOwed ||= returned !== undefined && returned !== 'kept'
      await explained(async () => move(bull ?? (await openBull())))
    },
    isPending: () => false, // jobs run where they are until they are moved
    returned: () => setImmediate(tickOnce),
    pending: () => outbox.jobs().filter(({ place }) => place === 'here').length,

    bull: () => (isWorking ? bull : undefined),
    async close() {
      isClosed = true
      clearInterval(timer)
      schedules.close()
      memory.close()
      await Promise.all([runs.close(STOP_MS), bull?.close(STOP_MS)])
      drop()
    },
  }
}

function sum(a: JobCounts, b: JobCounts): JobCounts {
  return {
    waiting: a.waiting + b.waiting,
    delayed: a.delayed + b.delayed,
    active: a.active + b.active,
    done: a.done + b.done,
    dead: a.dead + b.dead,
  }
}

/** Jobs that wait for Redis, as far as they are known here. */
function copiesOf(outbox: Outbox, nowMs: number): JobCounts {
  const copies = outbox.jobs().filter(({ place }) => place === 'redis')
  const delayed = copies.filter(({ dueAtMs }) => dueAtMs > nowMs).length
  return { waiting: copies.length - delayed, delayed, active: 0, done: 0, dead: 0 }
}
