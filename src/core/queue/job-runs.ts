// One run of a job, whether BullMQ or the memory queue starts it: under a lease, so that no two runs of it overlap,
// and not again once it is done (once.ts). The done mark is in the state role, and goes through an outage with it.
import { asTask } from '../../lib/async/drain-gate.ts'
import { originOf } from '../../lib/error-origin.ts'
import { pause, SECOND } from '../../lib/time.ts'
import type { Log } from '../../log.ts'
import type { Json } from '../bus/bus.ts'
import { isHandingOver, isStateUnknown, RedisUnavailable, Refusal } from '../errors.ts'
import { keys } from '../keys.ts'
import type { Once, Outcome } from '../once.ts'
import { deadReason, FINGERPRINT, type JobMarks } from './job-marks.ts'
import type { JobRef } from './outbox.ts'
import { DONE_KEPT_MS, type JobHandler } from './queue.ts'

const UNKNOWN_MS = SECOND

/**
 * `busy`: another process runs it, or nobody knows yet whether it is done: try again later. `dead`: its last attempt
 * failed while Redis was away.
 */
export type RunEnd =
  | { readonly kind: 'done' }
  | { readonly kind: 'busy'; readonly retryAfterMs: number }
  | { readonly kind: 'dead'; readonly reason: string }

export interface JobToRun extends JobRef {
  readonly data: Json
  readonly attempt: number
  /** How many attempts it has. */
  readonly attempts: number
}

/** What a schedule knows of its own runs. */
export interface SlotRules {
  /** How long the done mark of such a run is needed; undefined for other jobs. */
  keptMs(job: JobRef): number | undefined
  /** When its slot began: nobody can have run it before. Undefined for other jobs. */
  madeAtMs(job: JobRef): number | undefined
  /** Whether it must not run: a later run has taken its place, or it is too late. */
  isOver(job: JobToRun): Promise<boolean>
  done(job: JobRef): Promise<void>
}

export interface JobRuns {
  /** `keptMs`: how long done marks of that name are kept. */
  handle(name: string, handler: JobHandler, keptMs: number): void
  /** Rejects when this attempt has failed; or, while stopping, was interrupted and does not count. */
  run(job: JobToRun): Promise<RunEnd>
  /** How it has ended, as far as that is known now: undefined also where nobody can be asked. */
  endOf(job: JobRef): Promise<'done' | 'dead' | undefined>
  /** Lets a dead letter run once more. Rejects with what State rejects with. */
  runAgain(job: JobRef): Promise<void>
  /** Marks the job so that nobody runs it again. Never rejects. */
  deadLetter(job: JobRef, reason: string): Promise<void>
  isStopping(): boolean
  /** Starts no more jobs, tells active ones to end, and waits up to `graceMs` for them; the others run again later. */
  close(graceMs: number): Promise<void>
}

export interface JobRunsOptions {
  once: Once
  marks: JobMarks
  slots: SlotRules
  log: Log
}

export function createJobRuns({ once, marks, slots, log }: JobRunsOptions): JobRuns {
  const handlers = new Map<string, { readonly handler: JobHandler; readonly keptMs: number }>()
  const active = new Set<Promise<RunEnd>>()
  const stop = new AbortController()

  async function attempt(job: JobToRun): Promise<RunEnd> {
    const { name, id, data, attempt } = job
    const known = handlers.get(name)
    if (!known) throw new Error(`nobody works on ${name} here`)
    if (await slots.isOver(job)) return { kind: 'done' }
    const runUnder = (retry: number) =>
      once.run({
        key: keys.job(name, id, retry),
        fingerprint: FINGERPRINT,
        keptMs: keptMsOf(job),
        madeAtMs: slots.madeAtMs(job),
        async work({ signal }) {
          stop.signal.throwIfAborted() // its done mark could not be kept any more
          await known.handler({ id, name, data, attempt, signal: AbortSignal.any([signal, stop.signal]) })
          return Buffer.alloc(0)
        },
      })
    let outcome = await runUnder(0)
    if (reasonOf(outcome) !== undefined) {
      const retries = await marks.retries(job)
      if (retries > 0) outcome = await runUnder(retries)
    }
    if (outcome.kind === 'running') return { kind: 'busy', retryAfterMs: outcome.retryAfterMs }
    const reason = reasonOf(outcome)
    if (reason !== undefined) return { kind: 'dead', reason }
    await slots.done(job)
    return { kind: 'done' }
  }

  const keptMsOf = (job: JobRef) => slots.keptMs(job) ?? handlers.get(job.name)?.keptMs ?? DONE_KEPT_MS

  /** That says nothing of the job, so this attempt does not count. */
  function busyIfUnknown(error: unknown): RunEnd {
    if (!isStateUnknown(error)) throw error
    return { kind: 'busy', retryAfterMs: UNKNOWN_MS }
  }

  async function tracked(running: Promise<RunEnd>): Promise<RunEnd> {
    active.add(running)
    try {
      return await running
    } finally {
      active.delete(running)
    }
  }

  return {
    handle(name, handler, keptMs) {
      if (handlers.has(name)) throw new Error(`${name} has a handler already`)
      handlers.set(name, { handler, keptMs })
    },
    async run(job) {
      const line = { job: job.name, id: job.id, attempt: job.attempt }
      try {
        const end = await tracked(asTask((ended) => attempt(job).catch(busyIfUnknown).finally(ended)))
        log.debug({ ...line, outcome: end.kind }, 'job')
        return end
      } catch (error) {
        // This attempt does not count: whoever holds the data runs it, or we do when it comes back.
        if (isHandingOver(error)) return { kind: 'busy', retryAfterMs: SECOND }
        const isLast = job.attempt >= job.attempts
        if (stop.signal.aborted)
          log.info({ ...line, outcome: 'stopped' }, 'a job was interrupted and runs again')
        else if (isLast)
          log.error({ ...line, outcome: 'dead', ...originOf(error) }, 'a job failed for the last time')
        else log.warn({ ...line, outcome: 'failed', ...originOf(error) }, 'a job failed and is tried again')
        throw error
      }
    },
    async endOf(job) {
      try {
        return await marks.endOf(job)
      } catch (error) {
        if (error instanceof Refusal || error instanceof RedisUnavailable) return undefined
        throw error
      }
    },
    runAgain: (job) => marks.runAgain(job, keptMsOf(job)),
    async deadLetter(job, reason) {
      try {
        await marks.markDead(job, reason, keptMsOf(job))
      } catch (error) {
        // The state's memory is full, for instance.
        log.warn(
          { job: job.name, id: job.id, err: error },
          'a dead letter could not be marked: added again, the job runs again',
        )
      }
    },
    isStopping: () => stop.signal.aborted,
    async close(graceMs) {
      stop.abort(new Error('the process stops'))
      if (active.size > 0) await Promise.race([Promise.allSettled(active), pause(graceMs)])
    },
  }
}

/** Why its last attempt failed, where that is how it ended. */
const reasonOf = (outcome: Outcome) => (outcome.kind === 'done' ? deadReason(outcome.answer) : undefined)
