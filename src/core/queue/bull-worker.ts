// A worker of BullMQ, and another one in its place when it takes no jobs although its connection looks fine.
import { DelayedError, type Job, type Queue, UnrecoverableError, Worker, type WorkerOptions } from 'bullmq'
import { SECOND } from '../../lib/time.ts'
import type { Log } from '../../log.ts'
import { inBackground } from '../background.ts'
import type { RedisUnavailable } from '../errors.ts'
import { unavailable } from '../redis/refusals.ts'
import type { JobRuns } from './job-runs.ts'
import type { JobRef } from './outbox.ts'

const SETTINGS = {
  // A job whose process died runs again after lockDuration and at most one stalledInterval.
  lockDuration: 30 * SECOND,
  stalledInterval: 15 * SECOND,
  maxStalledCount: 50, // each outage counts once for each active job; attempts are counted elsewhere
  drainDelay: 10, // s; how often an idle worker asks: managed services bill each command
} as const

/** It waits at a server that has become a replica, or whose user may not do that any more: it would wait for ever. */
const TAKES_NO_WRITES = /^(READONLY|UNBLOCKED|NOPERM)\b|-READONLY/

export interface BullWorkerOptions {
  queue: Queue
  connection: WorkerOptions['connection']
  prefix: string
  concurrency: number
  keep: Pick<WorkerOptions, 'removeOnComplete' | 'removeOnFail'>
  runs: Pick<JobRuns, 'run' | 'deadLetter' | 'isStopping'>
  refOf: (job: Job) => JobRef
  /** Nobody will run the job any more. */
  onFinished: (job: JobRef) => void
  /** Redis refuses what a worker does. */
  onRefused: (cause: RedisUnavailable) => void
  log: Log
}

export interface BullWorker {
  /** Replaces the worker if it is idle and the same job has been due since the last call. */
  replaceIfStuck(): Promise<void>
  /** Resolves when the active jobs have ended. */
  drain(): Promise<void>
  /** Closes the worker immediately; active jobs continue without it. */
  abandon(): void
}

export function createBullWorker(options: BullWorkerOptions): BullWorker {
  const { queue, connection, prefix, concurrency, keep, runs, refOf, onFinished, onRefused, log } = options
  let active = 0
  let taken = 0
  let takenBefore = 0
  let dueBefore: string | undefined
  let worker = start()

  function start(): Worker {
    const settings = { ...SETTINGS, ...keep, connection, prefix, concurrency }
    const started = new Worker(queue.name, (job, token) => counted(job, token ?? ''), settings)
    // Failures of connections are reported by the clients, those of jobs where they run.
    started.on('error', (error) => {
      log.debug({ queue: queue.name, err: error }, 'BullMQ')
      if (TAKES_NO_WRITES.test(error.message)) onRefused(unavailable(error))
    })
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
    const ref = refOf(job)
    const attempts = job.opts.attempts ?? 1
    const attempt = job.attemptsMade + 1
    const end = await runs.run({ ...ref, data: job.data, attempt, attempts }).catch(async (error) => {
      if (runs.isStopping()) return putBack(job, token, 0)
      if (attempt >= attempts) {
        await runs.deadLetter(ref, error instanceof Error ? error.message : String(error))
        onFinished(ref)
      }
      throw error
    })
    if (end.kind === 'busy') return putBack(job, token, end.retryAfterMs)
    onFinished(ref)
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
    void inBackground(
      worker.close(true).catch(() => {}), // its connections may be closed already
      log,
    )
  }

  return {
    async replaceIfStuck() {
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
