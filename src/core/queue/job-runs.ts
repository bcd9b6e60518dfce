// One run of a job, wherever it was kept: under a lease, so that no other run of it overlaps, and never again once it is
// done (once.ts). The mark of that is in the state role and goes with it through an outage, in either direction.
import { originOf } from '../../lib/error-origin.ts'
import { pause } from '../../lib/time.ts'
import type { Log } from '../../log.ts'
import type { Json } from '../bus/bus.ts'
import { keys } from '../keys.ts'
import type { Once } from '../once.ts'
import type { JobName } from './outbox.ts'
import type { JobHandler } from './queue.ts'

const FINGERPRINT = 'job' // one id is one job, whatever its data
const DEAD = 'dead '

/** `busy`: somebody else is at it, look again later. `dead`: it was given up while Redis was away. */
export type RunEnd =
  | { readonly kind: 'done' }
  | { readonly kind: 'busy'; readonly retryAfterMs: number }
  | { readonly kind: 'dead'; readonly reason: string }

export interface JobToRun extends JobName {
  readonly data: Json
  readonly attempt: number
  /** How many attempts it has in all. */
  readonly attempts: number
}

/** What a schedule says of its own runs. */
export interface SlotRules {
  /** How long the mark of such a run is needed; undefined for other jobs. */
  keptMs(job: JobName): number | undefined
  /** Whether it must not run: a later run has taken its place, or it is too late. */
  isOver(job: JobToRun): Promise<boolean>
  done(job: JobName): Promise<void>
}

export interface JobRuns {
  /** `keptMs`: how long the mark of a job of that name is kept. */
  handle(name: string, handler: JobHandler, keptMs: number): void
  /** Rejects when this attempt has failed; or, while stopping, was broken off and does not count. */
  run(job: JobToRun): Promise<RunEnd>
  /** Nobody shall run it again. Never rejects. */
  bury(job: JobName, reason: string): Promise<void>
  isStopping(): boolean
  /** Begins no job any more, tells those under way to end, and waits so long for them; the others are run again some day. */
  close(graceMs: number): Promise<void>
}

export function createJobRuns(options: { once: Once; slots: SlotRules; log: Log }): JobRuns {
  const { once, slots, log } = options
  const handlers = new Map<string, { readonly handler: JobHandler; readonly keptMs: number }>()
  const underWay = new Set<Promise<RunEnd>>()
  const stop = new AbortController()

  async function attempt(job: JobToRun): Promise<RunEnd> {
    const { name, id, data, attempt } = job
    const known = handlers.get(name)
    if (!known) throw new Error(`nobody works on ${name} here`)
    if (await slots.isOver(job)) return { kind: 'done' }
    const keptMs = slots.keptMs(job) ?? known.keptMs
    const outcome = await once.run({
      key: keys.job(name, id),
      fingerprint: FINGERPRINT,
      keptMs,
      async work({ signal }) {
        stop.signal.throwIfAborted() // its mark could not be kept any more
        await known.handler({ id, name, data, attempt, signal: AbortSignal.any([signal, stop.signal]) })
        return Buffer.alloc(0)
      },
    })
    if (outcome.kind === 'running') return { kind: 'busy', retryAfterMs: outcome.retryAfterMs }
    const answer = outcome.kind === 'done' ? outcome.answer.toString() : ''
    if (answer.startsWith(DEAD)) return { kind: 'dead', reason: answer.slice(DEAD.length) }
    await slots.done(job)
    return { kind: 'done' }
  }

  async function during(running: Promise<RunEnd>): Promise<RunEnd> {
    underWay.add(running)
    try {
      return await running
    } finally {
      underWay.delete(running)
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
        const end = await during(attempt(job))
        log.debug({ ...line, outcome: end.kind }, 'job')
        return end
      } catch (error) {
        const isLast = job.attempt >= job.attempts
        if (stop.signal.aborted)
          log.info({ ...line, outcome: 'stopped' }, 'a job was broken off and is run again')
        else if (isLast)
          log.error({ ...line, outcome: 'dead', ...originOf(error) }, 'a job failed for the last time')
        else log.warn({ ...line, outcome: 'failed', ...originOf(error) }, 'a job failed and is tried again')
        throw error
      }
    },
    async bury({ name, id }, reason) {
      const work = async () => Buffer.from(DEAD + reason.slice(0, 500))
      try {
        const keptMs = handlers.get(name)?.keptMs
        const task = { key: keys.job(name, id), fingerprint: FINGERPRINT, work }
        await once.run({ ...task, ...(keptMs !== undefined && { keptMs }) })
      } catch (error) {
        // Full memory, say. Without the mark it would be run again where it is added again.
        log.warn({ job: name, id, err: error }, 'that a job is dead could not be kept')
      }
    },
    isStopping: () => stop.signal.aborted,
    async close(graceMs) {
      stop.abort(new Error('the process stops'))
      if (underWay.size > 0) await Promise.race([Promise.allSettled(underWay), pause(graceMs)])
    },
  }
}
