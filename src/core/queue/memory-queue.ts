// Runs the jobs of the outbox that belong to this process, each when it is due.
//
//   here, due later ── time ──► here, due ──► under way ──► finished: out of the outbox
//          ▲                                     │  └─ failed for the last time ──► dead
//          └───── failed: back-off · busy ───────┘
import { HOUR, type Now, type StartTimer } from '../../lib/time.ts'
import type { JobRuns } from './job-runs.ts'
import type { JobName, KeptJob, Outbox } from './outbox.ts'
import type { JobCounts } from './queue.ts'

export interface MemoryQueue {
  /** Runs jobs of that name from here on, so many at a time. */
  work(name: string, concurrency: number): void
  isActive(job: JobName): boolean
  counts(): JobCounts
  /** Begins no more jobs. */
  close(): void
}

export interface MemoryQueueOptions {
  outbox: Outbox
  runs: Pick<JobRuns, 'run' | 'bury' | 'isStopping'>
  now: Now
  timer: StartTimer
}

interface Line {
  concurrency: number
  /** Ordered by when they are due; some may have gone elsewhere or have been changed since. */
  readonly jobs: KeptJob[]
  readonly active: Set<string>
  stopTimer(): void
}

export function createMemoryQueue({ outbox, runs, now, timer }: MemoryQueueOptions): MemoryQueue {
  const lines = new Map<string, Line>()
  let done = 0

  function lineOf(name: string): Line {
    const line = lines.get(name) ?? { concurrency: 0, jobs: [], active: new Set(), stopTimer: () => {} }
    lines.set(name, line)
    return line
  }

  outbox.onHere((job) => {
    const line = lineOf(job.name)
    line.jobs.splice(placeOf(line.jobs, job.dueAtMs), 0, job)
    pump(line)
  })

  function pump(line: Line): void {
    while (line.active.size < line.concurrency && !runs.isStopping()) {
      const [job] = line.jobs
      if (!job) return
      // An older version, or one that is in Redis by now; the same id is never run twice at once here.
      const isCurrent = outbox.get(job) === job && !line.active.has(job.id)
      const inMs = job.dueAtMs - now()
      if (isCurrent && inMs > 0) {
        line.stopTimer()
        line.stopTimer = timer(Math.min(inMs, HOUR), () => pump(line))
        return
      }
      line.jobs.shift()
      if (!isCurrent) continue
      line.active.add(job.id)
      void run(job).then((next) => {
        line.active.delete(job.id)
        if (next) outbox.put(next)
        pump(line)
      })
    }
  }

  /** What it is to be after this attempt; undefined when it is finished, or stays as it is. */
  async function run(job: KeptJob): Promise<KeptJob | undefined> {
    const attempt = job.failed + 1
    try {
      const end = await runs.run({ ...job, attempt })
      if (end.kind === 'busy') return { ...job, dueAtMs: now() + end.retryAfterMs }
      done += 1
      outbox.delete(job)
      return undefined
    } catch (error) {
      if (runs.isStopping()) return undefined
      const failed = { ...job, failed: attempt }
      if (attempt < job.attempts) return { ...failed, dueAtMs: now() + job.backoffMs * 2 ** (attempt - 1) }
      await runs.bury(job, error instanceof Error ? error.message : String(error))
      return { ...failed, place: 'dead' }
    }
  }

  return {
    work(name, concurrency) {
      const line = lineOf(name)
      line.concurrency = concurrency
      pump(line)
    },
    isActive: ({ name, id }) => lines.get(name)?.active.has(id) ?? false,
    counts() {
      const count = { waiting: 0, delayed: 0, active: 0, done, dead: 0 }
      for (const job of outbox.jobs()) {
        if (job.place === 'dead') count.dead += 1
        else if (job.place === 'redis') continue
        else if (lines.get(job.name)?.active.has(job.id)) count.active += 1
        else if (job.dueAtMs > now()) count.delayed += 1
        else count.waiting += 1
      }
      return count
    },
    close() {
      for (const line of lines.values()) line.stopTimer()
    },
  }
}

/** Where a job that is due then belongs: after all that are due no later. */
function placeOf(jobs: readonly KeptJob[], dueAtMs: number): number {
  let [low, high] = [0, jobs.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((jobs[middle]?.dueAtMs ?? 0) <= dueAtMs) low = middle + 1
    else high = middle
  }
  return low
}
