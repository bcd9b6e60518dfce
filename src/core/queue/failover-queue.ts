// Chooses where a job goes: to Redis while the state role is there, else to the outbox, whose jobs run in this process.
//
// away     No BullMQ. Added jobs run here; jobs that are in Redis wait for it.
// merging  The state role has merged, so every done mark is in Redis. BullMQ is opened and given, by id, the unfinished
//          jobs that Redis does not have. No worker runs yet.
// redis    Workers run and schedules are upserted. A job that BullMQ does not take in time runs here, unless the relay,
//          which tries every second, gets it into Redis first.
//
// BullMQ may lose its connections, or be refused, while the state role is well: then only BullMQ is opened again, every
// second.
import { hasTimeLeft } from '../../lib/request-deadline.ts'
import { type Now, SECOND } from '../../lib/time.ts'
import type { Log } from '../../log.ts'
import { inBackground } from '../background.ts'
import { RedisUnavailable } from '../errors.ts'
import type { StateGuest } from '../state/state-role.ts'
import { type BullQueue, JobRefused } from './bull-queue.ts'
import type { JobRuns } from './job-runs.ts'
import type { MemoryQueue } from './memory-queue.ts'
import type { Outbox } from './outbox.ts'
import type { OutboxJob } from './outbox-job.ts'
import { DONE_KEPT_MS, type JobCounts, type Queue, type QueuesInRedis, type Schedule } from './queue.ts'
import type { Relay } from './relay.ts'
import type { Schedules } from './schedules.ts'

const TICK_MS = SECOND
const START_GRACE_MS = 5 * SECOND // Redis may take so long to be found
const STOP_MS = 2 * SECOND

export interface FailoverQueueOptions {
  /** Undefined: Redis is switched off. Rejects with RedisUnavailable. */
  open: ((onLost: (cause: RedisUnavailable) => void) => Promise<BullQueue>) | undefined
  outbox: Outbox
  memory: MemoryQueue
  relay: Relay
  runs: Pick<JobRuns, 'handle' | 'close'>
  schedules: Schedules
  /** Whether the state role is in Redis. */
  isRedis: () => boolean
  /** BullMQ did not answer in time: asks the state role to find out whether Redis is there. */
  probeRedis: () => void
  log: Log
  now: Now
}

export interface FailoverQueue extends Queue, StateGuest {
  /** Undefined while BullMQ does not work. */
  bull(): QueuesInRedis | undefined
  /** Whether this process starts the runs of that schedule. */
  startsRuns(name: string): boolean
  close(): Promise<void>
}

export function createFailoverQueue(options: FailoverQueueOptions): FailoverQueue {
  const { open, outbox, memory, relay, runs, schedules, isRedis, probeRedis, log, now } = options
  const concurrencies = new Map<string, number>()
  const refusedSchedules = new Set<string>()
  let bull: BullQueue | undefined
  let isWorking = false // whether the workers of `bull` run
  let mayHaveLostAll = false // whether Redis may have come back without the jobs it had
  let connectionLost: RedisUnavailable | undefined
  let lastReason = ''
  let isTicking = false
  let isClosed = false
  let hasCaughtUp = false
  const startedAtMs = now()

  function drop(): void {
    bull?.drop()
    bull = undefined
    isWorking = false
    refusedSchedules.clear()
  }

  async function openBull(): Promise<BullQueue> {
    if (!open) throw new RedisUnavailable('lost', 'Redis is switched off')
    let opened: BullQueue | undefined
    opened = await open((cause) => {
      if (bull !== opened) return
      connectionLost = cause
      drop()
    })
    if (bull || isClosed) opened.drop()
    else bull = opened
    return bull ?? opened
  }

  async function relayTo(on: BullQueue): Promise<void> {
    await relay.send(on, isWorking ? 'none' : mayHaveLostAll ? 'all' : 'recent')
    mayHaveLostAll = false
  }

  async function startWork(on: BullQueue): Promise<void> {
    for (const [name, schedule] of schedules.all()) await upsertSchedule(on, name, schedule)
    if (bull !== on) return
    isWorking = true
    for (const [name, concurrency] of concurrencies) on.work(name, concurrency)
    await catchUp()
  }

  async function upsertSchedule(on: BullQueue, name: string, schedule: Schedule): Promise<void> {
    try {
      await on.schedule(name, schedule)
    } catch (error) {
      if (!(error instanceof JobRefused)) throw error
      log.error({ job: name, err: error }, 'a schedule cannot be put into Redis: its runs start here')
      refusedSchedules.add(name)
    }
  }

  async function catchUp(): Promise<void> {
    hasCaughtUp = true
    for (const [name] of schedules.all()) await schedules.catchUp(name)
  }

  async function tick(): Promise<void> {
    relay.pruneDead()
    if (!hasCaughtUp && !isRedis() && now() - startedAtMs > START_GRACE_MS) await orStayHere(catchUp)
    if (!isRedis() || !open) return
    if (connectionLost) explain(connectionLost)
    connectionLost = undefined
    const wasWorking = isWorking
    await orStayHere(async () => {
      const on = bull ?? (await openBull())
      await relayTo(on)
      if (!isWorking && bull === on) await startWork(on)
      await relay.pruneFinished(on)
    })
    if (wasWorking && isWorking) lastReason = ''
  }

  /** Does it with BullMQ; when that fails, jobs stay here. */
  async function orStayHere(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      explain(error)
      if (!(error instanceof RedisUnavailable && error.reason === 'slow')) drop()
    }
  }

  /** Logs each reason once, until BullMQ works. */
  function explain(error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error)
    if (reason !== lastReason)
      log.warn({ err: error }, 'jobs cannot be put into Redis: they are kept here and run in this process')
    lastReason = reason
  }

  async function tickOnce(): Promise<void> {
    if (isTicking || isClosed) return
    isTicking = true
    try {
      await tick()
    } finally {
      isTicking = false
    }
  }
  const tickInBackground = () => void inBackground(tickOnce(), log)
  const timer = setInterval(tickInBackground, TICK_MS).unref()

  /** To Redis with a copy here, or, when Redis does not take it, to the outbox alone. */
  async function addToRedis(to: BullQueue, job: OutboxJob): Promise<void> {
    const copy: OutboxJob = { ...job, place: 'redis' }
    outbox.put(copy) // a full outbox goes without it
    try {
      await to.add(copy)
    } catch (error) {
      const isOutage = error instanceof RedisUnavailable
      if (!isOutage && !(error instanceof JobRefused)) {
        outbox.delete(copy)
        throw error
      }
      if (isOutage) probeRedis()
      // Undefined when there was no room for the copy; any other version is newer, from a run of the job.
      const known = outbox.get(job)
      if (known === undefined || known === copy) outbox.put(job)
    }
  }

  return {
    async add(name, data, { id, delayMs = 0, attempts = 5, backoffMs = SECOND }) {
      const addedAtMs = now()
      const dueAtMs = addedAtMs + delayMs
      const job = {
        name,
        id,
        data,
        attempts,
        backoffMs,
        addedAtMs,
        dueAtMs,
        failed: 0,
        place: 'here',
      } as const
      if (outbox.get(job)) return
      if (bull && hasTimeLeft()) await addToRedis(bull, job)
      else outbox.put(job)
    },
    work(name, handler, { concurrency = 1, keptMs = DONE_KEPT_MS } = {}) {
      runs.handle(name, handler, keptMs)
      concurrencies.set(name, concurrency)
      memory.work(name, concurrency)
      if (isWorking) bull?.work(name, concurrency)
    },
    schedule(name, schedule) {
      schedules.set(name, schedule)
      const begin = async () => {
        if (bull && isWorking) await upsertSchedule(bull, name, schedule)
        if (isWorking || !open || hasCaughtUp) await schedules.catchUp(name)
      }
      void inBackground(orStayHere(begin), log)
    },
    async counts() {
      try {
        if (bull) return sum(memory.counts(), await bull.counts())
      } catch (error) {
        if (!(error instanceof RedisUnavailable)) throw error
      }
      return memory.counts({ withCopies: true })
    },

    left() {
      connectionLost = undefined // the state role says why
      drop()
      void inBackground(orStayHere(catchUp), log)
    },
    async synchronize(returned) {
      mayHaveLostAll ||= returned !== undefined && returned !== 'kept'
      await orStayHere(async () => relayTo(bull ?? (await openBull())))
    },
    isPending: () => false, // jobs run where they are until they are moved
    returned: () => setImmediate(tickInBackground),
    pending: () => outbox.jobs().filter(({ place }) => place === 'here').length,

    bull: () => (isWorking ? bull : undefined),
    startsRuns: (name) => !isWorking || refusedSchedules.has(name),
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
