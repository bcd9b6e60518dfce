// Jobs in Redis: BullMQ, over connections that close together with the first that is lost. It lives as long as they
// do; failover-queue.ts opens another one. Each name has a queue of BullMQ, so each has its own concurrency and dead
// letters.

import { createNodeRedisClient, type Job, Queue } from 'bullmq'
import { createDeadlines } from '../../lib/async/deadlines.ts'
import { waitFor } from '../../lib/async/request-deadline.ts'
import { pause, SECOND } from '../../lib/time.ts'
import type { Log } from '../../log.ts'
import { inBackground } from '../background.ts'
import { deadlineExceeded, JobRefused, RedisUnavailable } from '../errors.ts'
import type { Server } from '../redis/connection.ts'
import { unavailable } from '../redis/refusals.ts'
import { type BullWorker, createBullWorker } from './bull-worker.ts'
import type { JobRuns } from './job-runs.ts'
import type { JobRef, OutboxJob } from './outbox.ts'
import { type DeadLetter, DONE_KEPT_MS, type JobCounts, type QueuesInRedis, type Schedule } from './queue.ts'
import { openTextClients } from './redis-text-clients.ts'

/** How many finished jobs of each name are shown; that a job is done is known for longer, from its mark. */
const KEPT = { age: DONE_KEPT_MS / SECOND, count: 1_000 }
const KEEP = { removeOnComplete: KEPT, removeOnFail: KEPT }
/** So many dead letters of each name are listed. */
const SHOWN_DEAD = 100
const EVENTS = { events: { maxLen: 100 } } // its event stream, which nobody reads

/** Replies about keys, not about what this client may do, or what this server is. */
const ABOUT_KEYS = /^(WRONGTYPE|ERR (?!.*(can't run|ACL failure|unknown|READONLY|number of clients)))/i

export interface BullOptions {
  server: Server
  /** Before every key. */
  prefix: string
  budgetMs: number
  runs: Pick<JobRuns, 'run' | 'deadLetter' | 'isStopping'>
  /** A worker that takes nothing for that long, while the same job is due, is replaced. */
  stuckMs: number
  /** Called once, when the connections are lost after opening. */
  onLost: (cause: RedisUnavailable) => void
  /** Redis may evict jobs and state. */
  onEvicting: (policy: string) => void
  /** Nobody will run the job any more. */
  onFinished: (job: JobRef) => void
  /** The id of a schedule's run. */
  slotId: (name: string, atMs: number) => string
  log: Log
}

/** A dead letter in Redis. */
export interface DeadJob {
  /** Its name, id and data, as `add` takes them. */
  readonly job: OutboxJob
  /**
   * Lets it run again, with all of its attempts; `not-dead`: somebody was faster. Rejects as the calls of BullQueue do.
   */
  retry(): Promise<'retried' | 'not-dead'>
}

/** Each call rejects with RedisUnavailable; one about a single job or name may reject with JobRefused, too. */
export interface BullQueue extends QueuesInRedis {
  /** Adds the job unless its id is known. */
  add(job: OutboxJob): Promise<void>
  work(name: string, concurrency: number): void
  schedule(name: string, schedule: Schedule): Promise<void>
  /** Whether nobody will run it any more; true as well when Redis does not know it. */
  isFinished(job: JobRef): Promise<boolean>
  counts(): Promise<JobCounts>
  /** The last dead letters of each name. */
  deadLetters(): Promise<DeadLetter[]>
  /** The job, if it is a dead letter. */
  findDead(job: JobRef): Promise<DeadJob | 'not-dead' | 'unknown'>
  /** Waits for active jobs to be put back, up to `graceMs`: they have been told to end. */
  close(graceMs: number): Promise<void>
  /** Closes the connections immediately, and tells Redis nothing. Active jobs continue. */
  drop(): void
}

/** Rejects with RedisUnavailable. */
export async function openBullQueue(options: BullOptions): Promise<BullQueue> {
  const { server, prefix, budgetMs, runs, stuckMs, onFinished, slotId, log } = options
  const clients = await openTextClients({ server, prefix, onLost: options.onLost })
  const { evictionPolicy } = clients
  if (evictionPolicy?.startsWith('allkeys')) options.onEvicting(evictionPolicy)
  const connection = createNodeRedisClient(clients.client)
  connection.on('error', () => {}) // the clients report it
  const deadlines = createDeadlines()
  const queues = new Map<string, Queue>()
  const workers = new Map<string, BullWorker>()
  const watch = setInterval(() => void inBackground(replaceStuck(), log), stuckMs).unref()

  function queueOf(name: string): Queue {
    const known = queues.get(name)
    if (known) return known
    const queue = new Queue(name, { connection, prefix, streams: EVENTS, defaultJobOptions: KEEP })
    queue.on('error', (error) => log.debug({ queue: name, err: error }, 'BullMQ'))
    queues.set(name, queue)
    return queue
  }

  /** Within one budget. Too late means `slow`: whether Redis is away is for the state role to say. */
  function call<T>(work: () => Promise<T>): Promise<T> {
    const answer = new Promise<T>((resolve, reject) => {
      const stop = deadlines.start(budgetMs, () =>
        reject(new RedisUnavailable('slow', `BullMQ took longer than ${budgetMs} ms`)),
      )
      work().then(
        (answer) => {
          stop()
          resolve(answer)
        },
        (cause) => {
          stop()
          reject(failureOf(cause))
        },
      )
    })
    return waitFor(answer, deadlineExceeded)
  }

  async function addJob(queue: Queue, job: OutboxJob): Promise<void> {
    const jobId = encodeId(job.id)
    // A dead letter does not run, because of its done mark; its retry has all attempts.
    const failed = job.place === 'dead' ? 0 : job.failed
    try {
      await queue.add(job.name, job.data, {
        jobId,
        delay: Math.max(0, job.dueAtMs - Date.now()),
        attempts: Math.max(1, job.attempts - failed),
        backoff: { type: 'exponential', delay: job.backoffMs * 2 ** failed },
      })
    } catch (cause) {
      // BullMQ stores a job before it queues it: what it could not queue would stay a known id, which is never run.
      if (failureOf(cause) instanceof JobRefused) await clients.client.del(queue.toKey(jobId))
      throw cause
    }
  }

  async function replaceStuck(): Promise<void> {
    for (const worker of workers.values()) await worker.replaceIfStuck().catch(() => {}) // the next check will tell
  }

  async function countsOf(queue: Queue): Promise<Readonly<Record<string, number>>> {
    try {
      return await queue.getJobCounts()
    } catch (cause) {
      if (failureOf(cause) instanceof JobRefused) return {} // the other names are counted
      throw cause
    }
  }

  function refOf({ name, id = '' }: Job): JobRef {
    const [, atMs] = /^repeat:.*:(\d+)$/.exec(id) ?? []
    return { name, id: atMs ? slotId(name, Number(atMs)) : decodeId(id) }
  }

  const failedOf = async (queue: Queue, most: number) =>
    (await queue.getJobs(['failed'], 0, most - 1)).filter((job) => job !== undefined)

  function deadLetterOf(job: Job): DeadLetter {
    return { ...refOf(job), reason: job.failedReason ?? '', failedAtMs: job.finishedOn }
  }

  async function findDead({ name, id }: JobRef): Promise<DeadJob | 'not-dead' | 'unknown'> {
    const queue = queues.get(name)
    if (!queue) return 'unknown'
    // Runs of a schedule have ids of BullMQ's own.
    const found =
      (await queue.getJob(encodeId(id))) ??
      (await failedOf(queue, KEPT.count)).find((job) => refOf(job).id === id)
    if (!found?.id) return 'unknown'
    if ((await queue.getJobState(found.id)) !== 'failed') return 'not-dead'
    const { attempts = 1, backoff } = found.opts
    const backoffMs = typeof backoff === 'object' ? (backoff.delay ?? SECOND) : SECOND
    const nowMs = Date.now()
    const whole = { name, id, data: found.data, attempts, backoffMs, addedAtMs: nowMs, dueAtMs: nowMs }
    return {
      job: { ...whole, failed: 0, place: 'redis' },
      retry: () =>
        call(() =>
          found
            .retry('failed', { resetAttemptsMade: true, resetAttemptsStarted: true })
            .then(() => 'retried' as const, notDeadIfMoved),
        ),
    }
  }

  function drop(): void {
    clearInterval(watch)
    clients.destroy()
    for (const worker of workers.values()) worker.abandon()
  }

  return {
    add: (job) => call(() => addJob(queueOf(job.name), job)),
    work(name, concurrency) {
      const parts = { queue: queueOf(name), connection, prefix, concurrency, keep: KEEP }
      const worker = createBullWorker({ ...parts, runs, refOf, onFinished, onRefused: clients.refuse, log })
      workers.set(name, worker)
    },
    schedule: (name, { everyMs, data }) =>
      call(async () => {
        const startDate = (Math.floor(Date.now() / everyMs) + 1) * everyMs
        const template = {
          name,
          data,
          opts: { attempts: 5, backoff: { type: 'exponential', delay: SECOND } },
        }
        await queueOf(name).upsertJobScheduler(name, { every: everyMs, startDate }, template)
      }),
    isFinished: ({ name, id }) =>
      call(async () =>
        ['completed', 'failed', 'unknown'].includes(await queueOf(name).getJobState(encodeId(id))),
      ),
    counts: () =>
      call(async () => {
        const all = await Promise.all([...queues.values()].map(countsOf))
        const sum = (...states: string[]) =>
          all.reduce((total, counts) => total + states.reduce((n, state) => n + (counts[state] ?? 0), 0), 0)
        return {
          waiting: sum('waiting', 'prioritized', 'paused'),
          delayed: sum('delayed'),
          active: sum('active'),
          done: sum('completed'),
          dead: sum('failed'),
        }
      }),
    deadLetters: () =>
      call(async () => {
        const all = await Promise.all([...queues.values()].map((queue) => failedOf(queue, SHOWN_DEAD)))
        return all.flat().map(deadLetterOf)
      }),
    findDead: (job) => call(() => findDead(job)),
    ping: () =>
      call(async () => {
        await clients.client.ping()
      }),
    queues: () => [...queues.values()],
    async close(graceMs) {
      const drained = Promise.all([...workers.values()].map((worker) => worker.drain()))
      await Promise.race([drained.catch(() => {}), pause(graceMs)])
      drop()
    },
    drop,
  }
}

/** BullMQ's own errors about the state of a job have a number as their code; those of connections have words. */
function notDeadIfMoved(error: unknown): 'not-dead' {
  if (typeof (error as { code?: unknown } | undefined)?.code === 'number') return 'not-dead'
  throw error
}

// BullMQ takes no id that holds a colon or is a number.
const encodeId = (id: string) => (/^\d+$/.test(id) ? `+${id}` : encodeURIComponent(id))
const decodeId = (id: string) => decodeURIComponent(id.replace(/^\+/, ''))

/** A bug stays what it is; a reply about the keys of one job or name says nothing of Redis. */
function failureOf(cause: unknown): unknown {
  if (cause instanceof TypeError || cause instanceof RangeError || cause instanceof ReferenceError)
    return cause
  const failure = unavailable(cause)
  const isAboutKeys = failure.reason === 'refused' && ABOUT_KEYS.test(failure.message)
  return isAboutKeys ? new JobRefused(failure.message, { cause }) : failure
}
