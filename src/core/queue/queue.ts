// The contract of background jobs: added by id, run at least once, and known as done afterwards.
//
//   add ──► outbox, in memory and on disk ──► BullMQ in Redis ──► a worker in any process ──┐
//              │      ▲ (relay: what Redis misses, once it is back)                         ├──► one run ──► done mark
//              └──────┴── memory queue, while Redis is away ──► this process ───────────────┘
//
// open-queue.ts puts the parts together, failover-queue.ts chooses the way, job-runs.ts is the one run of a job.
//
// A job whose id is known is not added again, also when it is done: the id of a job that is done is known for
// DONE_KEPT_MS, or for `keptMs` of its name. A queue may run a handler twice (its process may die between the effect
// and the done mark), so handlers are idempotent, and say how.
import type { Json } from '../bus/bus.ts'

export interface JobOptions {
  /** Names the job: the same work has the same id. */
  readonly id: string
  /** 0 unless said. */
  readonly delayMs?: number
  /** How often it is tried before it is a dead letter; 5 unless said. */
  readonly attempts?: number
  /** Before the second attempt; doubled before each one after it. 1 s unless said. */
  readonly backoffMs?: number
}

export interface Job {
  readonly id: string
  readonly name: string
  readonly data: Json
  /** 1 for the first one. */
  readonly attempt: number
  /** Aborts when the process stops, or when the job takes longer than a worker may. */
  readonly signal: AbortSignal
}

/** Rejects to be tried again. */
export type JobHandler = (job: Job) => Promise<void>

export interface WorkOptions {
  /** How many at a time; 1 unless said. */
  readonly concurrency?: number
  /** How long it is known that a job is done; 4 days unless said. Each one takes room in the state role until then. */
  readonly keptMs?: number
}

export interface Schedule {
  readonly everyMs: number
  readonly data: Json
  /** What happens to runs that fell due while nobody could run them: none of them, or one for all. */
  readonly catchUp: 'skip' | 'once'
}

/**
 * What `add` found. `known`: this process knows that the id waits, runs, or was done. `dead`: it is a dead letter,
 * which does not run again by itself (DeadLetters.retry).
 */
export type Added = 'added' | 'known' | 'dead'

export interface JobCounts {
  readonly waiting: number
  readonly delayed: number
  readonly active: number
  readonly done: number
  readonly dead: number
}

export interface Queue {
  /**
   * Resolves once the job is stored: in Redis, or in memory and on disk. Rejects with `state_full` when neither can
   * take it. Never waits longer than one command may.
   */
  add(name: string, data: Json, options: JobOptions): Promise<Added>
  /** Runs jobs of that name. One handler for each name. */
  work(name: string, handler: JobHandler, options?: WorkOptions): void
  /** Runs jobs of that name on a schedule, which is upserted from here each time Redis is found. */
  schedule(name: string, schedule: Schedule): void
  counts(): Promise<JobCounts>
}

export interface DeadLetter {
  readonly name: string
  readonly id: string
  /** What its last attempt failed with. */
  readonly reason: string
  /** When, ms; undefined where that is not known. */
  readonly failedAtMs: number | undefined
}

/** Jobs whose last attempt has failed, for an admin. */
export interface DeadLetters {
  /** The last ones of each name, newest first. While Redis is away only those that it does not have. */
  list(): Promise<{ readonly letters: readonly DeadLetter[]; readonly isComplete: boolean }>
  /**
   * Lets one run again, with all of its attempts. `not-dead`: it waits, runs, or was done; `unknown`: there is none.
   * Rejects with RedisUnavailable while Redis, which has it, is away, and with what State rejects with: then it may be
   * asked for again.
   */
  retry(job: { readonly name: string; readonly id: string }): Promise<'retried' | 'not-dead' | 'unknown'>
}

/** BullMQ while it works: for the board of an admin. */
export interface QueuesInRedis {
  /** Rejects with RedisUnavailable. */
  ping(): Promise<void>
  /** BullMQ's own queues, one for each name. */
  queues(): readonly object[]
}

export const DONE_KEPT_MS = 4 * 24 * 3_600_000
