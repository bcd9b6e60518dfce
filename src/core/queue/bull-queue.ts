// Jobs in Redis: BullMQ, over clients that end with the first connection that is lost. What is here lives as long as they
// do; failover-queue.ts makes another one when Redis is back. One queue of BullMQ for each name, so that each has its own
// concurrency and its own dead letters.

import { createNodeRedisClient, type Job, Queue } from 'bullmq'
import { createDeadlines } from '../../lib/deadlines.ts'
import { waitFor } from '../../lib/request-deadline.ts'
import { pause, SECOND } from '../../lib/time.ts'
import type { Log } from '../../log.ts'
import { deadlineExceeded, RedisUnavailable } from '../errors.ts'
import { type Server, unavailable } from '../redis/connection.ts'
import { type BullWorker, createBullWorker } from './bull-worker.ts'
import type { JobRuns } from './job-runs.ts'
import type { JobName, KeptJob } from './outbox.ts'
import { DONE_KEPT_MS, type JobCounts, type Schedule } from './queue.ts'
import { openTextClients } from './redis-text-clients.ts'

/** How many finished jobs of each name are shown; that a job is done is known for longer, from its mark. */
const KEPT = { age: DONE_KEPT_MS / SECOND, count: 1_000 }
const KEEP = { removeOnComplete: KEPT, removeOnFail: KEPT }
const EVENTS = { events: { maxLen: 100 } } // its stream of news, which nobody reads

export interface BullOptions {
  server: Server
  /** Before every key. */
  prefix: string
  budgetMs: number
  runs: Pick<JobRuns, 'run' | 'isStopping'>
  /** A worker that took nothing for that long, while one job was due, is replaced. */
  stuckMs: number
  /** Called once: the connections are gone. */
  lost: (cause: RedisUnavailable) => void
  finished: (job: JobName) => void
  /** The id of a schedule's run. */
  slotId: (name: string, atMs: number) => string
  log: Log
}

export interface BullQueue {
  /** Adds it unless its id is known. Rejects with RedisUnavailable. */
  add(job: KeptJob): Promise<void>
  work(name: string, concurrency: number): void
  schedule(name: string, schedule: Schedule): Promise<void>
  /** Whether nobody will run it any more, or nothing is known of it. */
  isFinished(job: JobName): Promise<boolean>
  counts(): Promise<JobCounts>
  ping(): Promise<void>
  /** BullMQ's own queues, for its board. */
  queues(): readonly Queue[]
  /** Puts back the jobs under way, which have been told to end; or leaves them after `graceMs`. */
  close(graceMs: number): Promise<void>
  /** At once, without a word to Redis. Jobs under way go on. */
  drop(): void
}

/** Rejects with RedisUnavailable. */
export async function openBullQueue(options: BullOptions): Promise<BullQueue> {
  const { server, prefix, budgetMs, runs, stuckMs, finished, slotId, log } = options
  const clients = await openTextClients(server, options.lost)
  const connection = createNodeRedisClient(clients.client)
  connection.on('error', () => {}) // known from the clients
  const deadlines = createDeadlines()
  const queues = new Map<string, Queue>()
  const workers = new Map<string, BullWorker>()
  const watch = setInterval(() => void look(), stuckMs).unref()

  function queueOf(name: string): Queue {
    const known = queues.get(name)
    if (known) return known
    const queue = new Queue(name, { connection, prefix, streams: EVENTS, defaultJobOptions: KEEP })
    queue.on('error', (error) => log.debug({ queue: name, err: error }, 'BullMQ'))
    queues.set(name, queue)
    return queue
  }

  /** Under one budget. Too late means `slow`: whether Redis is away is for those to say who watch its connection. */
  function call<T>(work: () => Promise<T>): Promise<T> {
    const answer = new Promise<T>((resolve, reject) => {
      const settle = deadlines.start(budgetMs, () =>
        reject(new RedisUnavailable('slow', `BullMQ took longer than ${budgetMs} ms`)),
      )
      work().then(
        (answer) => {
          settle()
          resolve(answer)
        },
        (cause) => {
          settle()
          reject(unavailable(cause))
        },
      )
    })
    return waitFor(answer, deadlineExceeded)
  }

  async function look(): Promise<void> {
    for (const worker of workers.values()) await worker.look().catch(() => {}) // the next look will tell
  }

  function nameOf({ name, id = '' }: Job): JobName {
    const [, atMs] = /^repeat:.*:(\d+)$/.exec(id) ?? []
    return { name, id: atMs ? slotId(name, Number(atMs)) : decodeId(id) }
  }

  function drop(): void {
    clearInterval(watch)
    clients.destroy()
    for (const worker of workers.values()) worker.abandon()
  }

  return {
    add: (job) =>
      call(async () => {
        await queueOf(job.name).add(job.name, job.data, {
          jobId: encodeId(job.id),
          delay: Math.max(0, job.dueAtMs - Date.now()),
          attempts: Math.max(1, job.attempts - job.failed),
          backoff: { type: 'exponential', delay: job.backoffMs * 2 ** job.failed },
        })
      }),
    work(name, concurrency) {
      const parts = { queue: queueOf(name), connection, prefix, concurrency, keep: KEEP }
      const worker = createBullWorker({ ...parts, runs, nameOf, finished, log })
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
        const all = await Promise.all([...queues.values()].map((queue) => queue.getJobCounts()))
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
    ping: () => call(async () => void (await clients.client.ping())),
    queues: () => [...queues.values()],
    async close(graceMs) {
      const drained = Promise.all([...workers.values()].map((worker) => worker.drain()))
      await Promise.race([drained.catch(() => {}), pause(graceMs)])
      drop()
    },
    drop,
  }
}

// BullMQ takes no id that holds a colon or is a number.
const encodeId = (id: string) => (/^\d+$/.test(id) ? `+${id}` : encodeURIComponent(id))
const decodeId = (id: string) => decodeURIComponent(id.replace(/^\+/, ''))
