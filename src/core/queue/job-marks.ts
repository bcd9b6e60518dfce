// How a job has ended, by its done mark in the state role: done, or a dead letter. A mark is the first write for ever,
// so a dead letter that is run again has another one: its retries are counted, and each has a mark of its own.
import { randomUUID } from 'node:crypto'
import { corrupt } from '../../lib/codec.ts'
import { keys } from '../keys.ts'
import { decodeDone, encodeDone } from '../once.ts'
import type { State } from '../state/state.ts'
import type { JobRef } from './outbox.ts'

export const FINGERPRINT = 'job' // one id is one job, also with other data
const DEAD = 'dead '
const MOST_REASON = 500

/** Undefined for the answer of a job that was done. */
export function deadReason(answer: Buffer): string | undefined {
  const text = answer.toString()
  return text.startsWith(DEAD) ? text.slice(DEAD.length) : undefined
}

export interface JobMarks {
  /** How often it was run again. */
  retries(job: JobRef): Promise<number>
  /** Undefined when it has not ended: it may run, or is not known. */
  endOf(job: JobRef): Promise<'done' | 'dead' | undefined>
  /** Nobody runs it again until somebody asks for it. */
  markDead(job: JobRef, reason: string, keptMs: number): Promise<void>
  /** Lets a dead letter run once more. */
  runAgain(job: JobRef, keptMs: number): Promise<void>
}

export function createJobMarks(state: Pick<State, 'claim' | 'claimed' | 'mark' | 'marked'>): JobMarks {
  const retries = async ({ name, id }: JobRef) => (await state.marked(keys.jobRetries(name, id))) ?? 0

  async function endUnder({ name, id }: JobRef, retry: number): Promise<'done' | 'dead' | undefined> {
    const bytes = await state.claimed(keys.job(name, id, retry))
    const done = bytes && decodeDone(bytes)
    if (!done || done === corrupt) return undefined
    return deadReason(done.answer) === undefined ? 'done' : 'dead'
  }

  /** The last of its runs again; 0: it was not. */
  async function lastRetry(job: JobRef): Promise<number> {
    return (await endUnder(job, 0)) === 'dead' ? retries(job) : 0
  }

  return {
    retries,
    async endOf(job) {
      const first = await endUnder(job, 0)
      const last = first === 'dead' ? await retries(job) : 0
      return last === 0 ? first : endUnder(job, last)
    },
    async markDead(job, reason, keptMs) {
      const answer = Buffer.from(DEAD + reason.slice(0, MOST_REASON))
      const done = encodeDone({ by: randomUUID(), fingerprint: FINGERPRINT, answer })
      await state.claim(keys.job(job.name, job.id, await lastRetry(job)), done, keptMs)
    },
    async runAgain(job, keptMs) {
      const last = await lastRetry(job)
      // Asked for twice: the first time has not ended yet.
      if ((await endUnder(job, last)) !== 'dead') return
      await state.mark(keys.jobRetries(job.name, job.id), last + 1, keptMs)
    },
  }
}
