// The contract of background jobs: added by id, run at least once, remembered when they are done.
// Implementations: bull-queue.ts (BullMQ on Redis), memory-queue.ts, and failover-queue.ts, which chooses.
//
// A job with an id that is known is not added again, also when it has finished: ids of finished jobs are kept for
// DONE_KEPT_MS, or as long as whoever works on them needs. A handler may run twice by the nature of queues (its process may die between its effect and the mark), so
// handlers are idempotent, and say how.
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
  /** How long it is known at least that a job is done; 4 days unless said. Each one takes room in the state role till then. */
  readonly keptMs?: number
}

export interface Schedule {
  readonly everyMs: number
  readonly data: Json
  /** What happens to runs that fell due while nobody could run them: none of them, or one for all. */
  readonly catchUp: 'skip' | 'once'
}

export interface JobCounts {
  readonly waiting: number
  readonly delayed: number
  readonly active: number
  readonly done: number
  readonly dead: number
}

export interface Queue {
  /** Resolves once the job is kept: in Redis, or in memory and on disk. Never waits beyond one budget. */
  add(name: string, data: Json, options: JobOptions): Promise<void>
  /** Runs jobs of that name. One handler for each name. */
  work(name: string, handler: JobHandler, options?: WorkOptions): void
  /** Runs jobs of that name on a schedule, which is upserted from here each time Redis is found. */
  schedule(name: string, schedule: Schedule): void
  counts(): Promise<JobCounts>
}

export const DONE_KEPT_MS = 4 * 24 * 3_600_000
