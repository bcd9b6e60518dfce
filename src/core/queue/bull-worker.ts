// A worker of BullMQ that is replaced when it has stopped taking jobs although its connection looks fine.
import { DelayedError, type Job, type Queue, UnrecoverableError, Worker, type WorkerOptions } from 'bullmq'
import { SECOND } from '../../lib/time.ts'
import type { Log } from '../../log.ts'
import type { JobRuns } from './job-runs.ts'
import type { JobName } from './outbox.ts'

const SETTINGS = {
  // A job whose process died runs again after lockDuration and at most one stalledInterval.
  lockDuration: 30 * SECOND,
  stalledInterval: 15 * SECOND,
  maxStalledCount: 50, // each outage counts once for each job under way; attempts are counted elsewhere
  drainDelay: 10, // s; how often an idle worker asks, which rented servers count
} as const

export interface BullWorkerOptions {
  queue: Queue
  connection: WorkerOptions['connection']
  prefix: string
  concurrency: number
  keep: Pick<WorkerOptions, 'removeOnComplete' | 'removeOnFail'>
  runs: Pick<JobRuns, 'run' | 'isStopping'>
  /** The name by which we know it. */
  nameOf: (job: Job) => JobName
  /** Nobody will run it any more. */
  finished: (job: JobName) => void
  log: Log
}

export interface BullWorker {
  /** Replaces the worker if it is idle and the same job has been due since the last look. */
  look(): Promise<void>
  /** Resolves when the jobs under way have ended. */
  drain(): Promise<void>
  /** At once; what is under way goes on without it. */
  abandon(): void
}

export function createBullWorker(options: BullWorkerOptions): BullWorker {
  const { queue, connection, prefix, concurrency, keep, runs, nameOf, finished, log } = options
  let active = 0
  let taken = 0
  let takenBefore = 0
  let dueBefore: string | undefined
  let worker = start()

  function start(): Worker {
    const settings = { ...SETTINGS, ...keep, connection, prefix, concurrency }
    const started = new Worker(queue.name, (job, token) => counted(job, token ?? ''), settings)
    // What it tells of connections is known from the clients; what fails in a job is logged where it runs.
    started.on('error', (error) => log.debug({ queue: queue.name, err: error }, 'BullMQ'))
    return started
  }

  async function counted(job: Job, token: string): Promise<void> {
    taken += 1
    active += 1
    try {
      await run(job, token)
    } finally {
      active -= 1
    }
  }

  async function run(job: Job, token: string): Promise<void> {
    const name = nameOf(job)
    const attempts = job.opts.attempts ?? 1
    const attempt = job.attemptsMade + 1
    const end = await runs.run({ ...name, data: job.data, attempt, attempts }).catch(async (error) => {
      if (runs.isStopping()) return putBack(job, token, 0)
      if (attempt >= attempts) finished(name)
      throw error
    })
    if (end.kind === 'busy') return putBack(job, token, end.retryAfterMs)
    finished(name)
    if (end.kind === 'dead') throw new UnrecoverableError(end.reason)
  }

  /** This attempt does not count. */
  async function putBack(job: Job, token: string, delayMs: number): Promise<never> {
    await job.moveToDelayed(Date.now() + delayMs, token)
    throw new DelayedError()
  }

  /** The job that has been due for longest, if any is. */
  async function firstDue(): Promise<string | undefined> {
    const [waiting] = await queue.getJobs(['wait'], 0, 0, true)
    if (waiting) return waiting.id
    const [delayed] = await queue.getJobs(['delayed'], 0, 0, true)
    return delayed && delayed.timestamp + delayed.delay <= Date.now() ? delayed.id : undefined
  }

  function abandon(): void {
    void worker.close(true).catch(() => {}) // its clients may be gone, and nobody waits for it
  }

  return {
    async look() {
      const due = await firstDue()
      const isStuck = due !== undefined && due === dueBefore && taken === takenBefore && active === 0
      dueBefore = due
      takenBefore = taken
      if (!isStuck || runs.isStopping()) return
      log.warn(
        { queue: queue.name, id: due },
        'a worker has stopped taking jobs: another one takes its place',
      )
      abandon()
      worker = start()
    },
    drain: () => worker.close(),
    abandon,
  }
}
