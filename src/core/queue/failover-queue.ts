// Chooses where a job goes: to Redis while the state role is there, else to the outbox, whose jobs run in this process.
//
// away     No BullMQ. Added jobs run here; jobs that are in Redis wait for it.
// merging  The state role has merged, so every done mark is in Redis. BullMQ is opened and given, by id, the unfinished
//          jobs that Redis does not have. No worker runs yet.
// working  Workers run and schedules are upserted. A job that BullMQ does not take in time runs here, unless the relay,
//          which tries every second, gets it into Redis first.
import type { DrainGate } from '../../lib/async/drain-gate.ts'
import { hasTimeLeft } from '../../lib/async/request-deadline.ts'
import { type Now, SECOND } from '../../lib/time.ts'
import type { Log } from '../../log.ts'
import { inBackground } from '../background.ts'
import { JobRefused, RedisUnavailable } from '../errors.ts'
import { createParticipant, type Participant } from '../participant.ts'
import { createBullLink, type OpenBull } from './bull-link.ts'
import type { BullQueue } from './bull-queue.ts'
import { createDeadLetters } from './dead-letters.ts'
import type { JobRuns } from './job-runs.ts'
import type { MemoryQueue } from './memory-queue.ts'
import type { Outbox, OutboxJob } from './outbox.ts'
import {
  type Added,
  type DeadLetters,
  DONE_KEPT_MS,
  type JobCounts,
  type Queue,
  type QueuesInRedis,
  type Schedule,
} from './queue.ts'
import type { Relay } from './relay.ts'
import type { Schedules } from './schedules.ts'

const TICK_MS = SECOND
const START_GRACE_MS = 5 * SECOND // Redis may take so long to be found
const STOP_MS = 2 * SECOND

export interface FailoverQueueOptions {
  /** Undefined: Redis is switched off. */
  open: OpenBull | undefined
  outbox: Outbox
  memory: MemoryQueue
  relay: Relay
  runs: Pick<JobRuns, 'handle' | 'endOf' | 'runAgain' | 'close'>
  schedules: Schedules
  /** Whether the state role is in Redis. */
  isRedis: () => boolean
  /** BullMQ did not answer in time: asks the state role to find out whether Redis is there. */
  probeRedis: () => void
  /** Closed while another container holds the data: then no job is added, and none is run. */
  changes: Pick<DrainGate, 'pass' | 'isOpen'>
  log: Log
  now: Now
}

export interface FailoverQueue extends Queue, Participant {
  /** Undefined while BullMQ does not work. */
  bull(): QueuesInRedis | undefined
  readonly deadLetters: DeadLetters
  /** Whether this process starts the runs of that schedule. */
  startsRuns(name: string): boolean
  close(): Promise<void>
}

export function createFailoverQueue(options: FailoverQueueOptions): FailoverQueue {
  const { open, outbox, memory, relay, runs, schedules, isRedis, probeRedis, changes, log, now } = options
  const link = createBullLink({ open, log })
  const concurrencies = new Map<string, number>()
  const refusedSchedules = new Set<string>()
  let worked: BullQueue | undefined // the last one whose workers were started
  let mayHaveLostAll = false // whether Redis may have come back without the jobs it had
  let hasCaughtUp = false
  let isTicking = false
  const startedAtMs = now()

  const working = () => (worked === link.current() ? worked : undefined)

  async function relayTo(on: BullQueue): Promise<void> {
    await relay.send(on, working() ? 'none' : mayHaveLostAll ? 'all' : 'recent')
    mayHaveLostAll = false
  }

  async function startWork(on: BullQueue): Promise<void> {
    refusedSchedules.clear()
    for (const [name, schedule] of schedules.all()) await upsertSchedule(on, name, schedule)
    if (on !== link.current()) return
    worked = on
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
    if (!changes.isOpen()) return
    hasCaughtUp = true
    for (const [name] of schedules.all()) await schedules.catchUp(name)
  }

  async function tick(): Promise<void> {
    if (!changes.isOpen()) {
      // The other container runs them.
      link.drop()
      hasCaughtUp = false
      return
    }
    relay.pruneDead()
    if (!hasCaughtUp && !isRedis() && now() - startedAtMs > START_GRACE_MS) await link.attempt(catchUp)
    if (!isRedis() || !open) return
    await link.attempt(async () => {
      const on = await link.open()
      await relayTo(on)
      if (!working()) await startWork(on)
      await relay.pruneFinished(on)
    })
  }

  async function tickOnce(): Promise<void> {
    if (isTicking) return
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

  async function store(job: OutboxJob): Promise<void> {
    const bull = link.current()
    if (bull && hasTimeLeft()) await addToRedis(bull, job)
    else outbox.put(job)
  }

  async function add(job: OutboxJob): Promise<Added> {
    const known = outbox.get(job)
    if (known) return known.place === 'dead' ? 'dead' : 'known'
    // Together, so that nobody waits for both. What has ended and is stored all the same is not run: its mark says so.
    const [end] = await Promise.all([runs.endOf(job), store(job)])
    if (end === undefined) return 'added'
    if (outbox.get(job)?.failed === 0) outbox.delete(job)
    return end === 'dead' ? 'dead' : 'known'
  }

  return {
    async add(name, data, { id, delayMs = 0, attempts = 5, backoffMs = SECOND }) {
      const addedAtMs = now()
      const dueAtMs = addedAtMs + delayMs
      const options = { attempts, backoffMs, addedAtMs, dueAtMs }
      return changes.pass(() => add({ name, id, data, ...options, failed: 0, place: 'here' }))
    },
    work(name, handler, { concurrency = 1, keptMs = DONE_KEPT_MS } = {}) {
      runs.handle(name, handler, keptMs)
      concurrencies.set(name, concurrency)
      memory.work(name, concurrency)
      working()?.work(name, concurrency)
    },
    schedule(name, schedule) {
      schedules.set(name, schedule)
      const begin = async () => {
        const bull = working()
        if (bull) await upsertSchedule(bull, name, schedule)
        if (bull || !open || hasCaughtUp) await schedules.catchUp(name)
      }
      void inBackground(link.attempt(begin), log)
    },
    async counts() {
      const bull = link.current()
      try {
        if (bull) return sum(memory.counts(), await bull.counts())
      } catch (error) {
        if (!(error instanceof RedisUnavailable)) throw error
      }
      return memory.counts({ withCopies: true })
    },

    // Nothing when it is cut: BullMQ has connections of its own, and says itself when they are lost.
    ...createParticipant({ load: outbox.load, persist: outbox.persist, cut: () => {} }),
    left() {
      link.drop()
      void inBackground(link.attempt(catchUp), log)
    },
    async merge(returned) {
      mayHaveLostAll ||= returned !== undefined && returned !== 'kept'
      await link.attempt(async () => relayTo(await link.open()))
    },
    isPending: () => false, // jobs run where they are until they are moved
    returned: () => setImmediate(tickInBackground),
    pending: outbox.hereCount,

    bull: working,
    deadLetters: createDeadLetters({
      outbox,
      runs,
      bull: working,
      hasRedis: open !== undefined,
      changes,
      now,
    }),
    startsRuns: (name) => changes.isOpen() && (!working() || refusedSchedules.has(name)),
    async close() {
      clearInterval(timer)
      schedules.close()
      memory.close()
      await Promise.all([runs.close(STOP_MS), link.close(STOP_MS)])
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
