// Runs the jobs of the outbox that belong to this process, each when it is due.
//
//   delayed ──due──► waiting ──► active ──► done: out of the outbox
//      ▲                           │  └─ the last attempt failed ──► dead
//      └── failed: back-off, busy ─┘
import { HOUR, type Now, type StartTimer } from '../../lib/time.ts'
import type { Log } from '../../log.ts'
import { inBackground } from '../background.ts'
import type { JobRuns } from './job-runs.ts'
import type { JobRef, Outbox, OutboxJob } from './outbox.ts'
import type { JobCounts } from './queue.ts'

const MOST_REASON = 500 // of why the last attempt failed

export interface MemoryQueue {
  /** Runs jobs of that name from now on, so many at a time. */
  work(name: string, concurrency: number): void
  isActive(job: JobRef): boolean
  /** `withCopies`: jobs that wait in Redis, too, as far as this process knows them. */
  counts(options?: { withCopies: boolean }): JobCounts
  /** Starts no more jobs. */
  close(): void
}

export interface MemoryQueueOptions {
  outbox: Outbox
  runs: Pick<JobRuns, 'run' | 'deadLetter' | 'isStopping'>
  log: Log
  now: Now
  timer: StartTimer
}

/** The jobs of one name that are not finished. */
interface NamedJobs {
  concurrency: number
  /** Ordered by when they are due. May hold jobs that have changed or gone to Redis since: the outbox knows. */
  readonly waiting: OutboxJob[]
  readonly active: Set<string>
  stopTimer(): void
}

export function createMemoryQueue({ outbox, runs, log, now, timer }: MemoryQueueOptions): MemoryQueue {
  const names = new Map<string, NamedJobs>()
  let done = 0

  function jobsOf(name: string): NamedJobs {
    const known = names.get(name)
    if (known) return known
    const jobs: NamedJobs = { concurrency: 0, waiting: [], active: new Set(), stopTimer: () => {} }
    names.set(name, jobs)
    return jobs
  }

  outbox.onHere((job) => {
    const jobs = jobsOf(job.name)
    jobs.waiting.splice(indexFor(jobs.waiting, job.dueAtMs), 0, job)
    startDue(jobs)
  })

  function startDue(jobs: NamedJobs): void {
    const { waiting, active } = jobs
    while (active.size < jobs.concurrency && !runs.isStopping()) {
      const [job] = waiting
      if (!job) return
      // The same id never runs twice at the same time here.
      const isCurrent = outbox.get(job) === job && !active.has(job.id)
      const inMs = job.dueAtMs - now()
      if (isCurrent && inMs > 0) {
        jobs.stopTimer()
        jobs.stopTimer = timer(Math.min(inMs, HOUR), () => startDue(jobs))
        return
      }
      waiting.shift()
      if (isCurrent) void inBackground(runAndContinue(job, jobs), log)
    }
  }

  async function runAndContinue(job: OutboxJob, jobs: NamedJobs): Promise<void> {
    jobs.active.add(job.id)
    const next = await run(job)
    jobs.active.delete(job.id)
    if (next) outbox.put(next)
    startDue(jobs)
  }

  /** What the job is after this attempt; undefined when it is done, or stays as it is. */
  async function run(job: OutboxJob): Promise<OutboxJob | undefined> {
    const attempt = job.failed + 1
    try {
      const end = await runs.run({ ...job, attempt })
      if (end.kind === 'busy') return { ...job, dueAtMs: now() + end.retryAfterMs }
      if (end.kind === 'done') done += 1
      outbox.delete(job)
      return undefined
    } catch (error) {
      if (runs.isStopping()) return undefined
      const failed = { ...job, failed: attempt }
      if (attempt < job.attempts) return { ...failed, dueAtMs: now() + job.backoffMs * 2 ** (attempt - 1) }
      const reason = error instanceof Error ? error.message : String(error)
      await runs.deadLetter(job, reason)
      return { ...failed, place: 'dead', dueAtMs: now(), reason: reason.slice(0, MOST_REASON) }
    }
  }

  return {
    work(name, concurrency) {
      const jobs = jobsOf(name)
      jobs.concurrency = concurrency
      startDue(jobs)
    },
    isActive: ({ name, id }) => names.get(name)?.active.has(id) ?? false,
    counts({ withCopies } = { withCopies: false }) {
      const count = { waiting: 0, delayed: 0, active: 0, done, dead: 0 }
      for (const job of outbox.jobs()) {
        if (job.place === 'dead') count.dead += 1
        else if (job.place === 'redis' && !withCopies) continue
        else if (names.get(job.name)?.active.has(job.id)) count.active += 1
        else if (job.dueAtMs > now()) count.delayed += 1
        else count.waiting += 1
      }
      return count
    },
    close() {
      for (const jobs of names.values()) jobs.stopTimer()
    },
  }
}

/** The index after all jobs that are due no later. */
function indexFor(waiting: readonly OutboxJob[], dueAtMs: number): number {
  let [low, high] = [0, waiting.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((waiting[middle]?.dueAtMs ?? 0) <= dueAtMs) low = middle + 1
    else high = middle
  }
  return low
}
