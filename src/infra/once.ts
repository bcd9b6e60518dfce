// Work that is done once under its key, however often and from wherever it is asked for. Knows no HTTP.
//
//   absent ──► running ──► done       running: a lease of 30 s, a record. done: a claim with the answer, 4 days.
//     ▲           │
//     └───────────┘                   the work failed, or its lease ended because its process died
//
// Four days, because senders repeat an id for three. The lease is taken, given back and handed on by compare-and-set
// only, and never destroyed: what is destroyed could not be taken again. It keeps two runs from overlapping; it does not
// fence what the work does elsewhere. Work that must take effect once whatever happens writes a mark of its own in the
// transaction of its effect (see features/webhooks), and tells here what that mark says.
import { randomUUID } from 'node:crypto'
import { workTimedOut } from '../errors.ts'
import { DAY, type Now, SECOND, type StartTimer, startTimer } from '../lib/time.ts'
import { keys } from './keys.ts'
import type { State } from './state/state.ts'

export const LEASE_MS = 30 * SECOND
/** Less than the lease, so that work that heeds its signal has ended before anybody else begins. */
export const WORK_MS = 25 * SECOND
/** Answers are kept for days in memory that is bounded. */
export const MOST_ANSWER_BYTES = 16 * 1024
const DONE_MS = 4 * DAY
const LEASE_KEPT_MS = 2 * LEASE_MS
const TRIES = 3
const TAKEN_MEANWHILE_MS = SECOND

export interface Done {
  /** Which run did it. */
  readonly by: string
  /** What it was asked with; no white space. */
  readonly fingerprint: string
  readonly answer: Buffer
}

export interface Run {
  /** Names this run, and no other. */
  readonly by: string
  /** Aborts when the time is up. */
  readonly signal: AbortSignal
  /** Throws when the time is up, also where a blocked event loop has kept the signal from telling. */
  throwIfLate(): void
}

export interface Task {
  /** A key of a claim, from keys.ts. */
  readonly key: string
  readonly fingerprint: string
  /** How long it is known that it was done; 4 days unless said. */
  readonly keptMs?: number
  /** Its answer; or, where a mark of its own says that it was done before, what was done then. */
  work(run: Run): Promise<Buffer | Done>
}

export type Outcome =
  | { readonly kind: 'done'; readonly answer: Buffer; readonly replayed: boolean }
  | { readonly kind: 'running'; readonly retryAfterMs: number }
  | { readonly kind: 'other-body' }

export interface Once {
  /** Rejects with what the work rejects with, with `timed_out`, and with what State rejects with. */
  run(task: Task): Promise<Outcome>
}

export interface OnceOptions {
  state: Pick<State, 'read' | 'update' | 'claim' | 'claimed'>
  now?: Now
  timer?: StartTimer
}

export function createOnce({ state, now = Date.now, timer = startTimer }: OnceOptions): Once {
  /** Takes the lease; or how long somebody else has it. */
  async function take(name: string, by: string): Promise<{ untilMs: number } | { leftMs: number }> {
    for (let tries = 0; tries < TRIES; tries += 1) {
      const found = await state.read(name)
      const held = found && (JSON.parse(found.bytes.toString()) as Lease)
      // Written after all, though the answer to that was lost.
      if (held?.by === by) return held
      const leftMs = held ? held.untilMs - now() : 0
      if (leftMs > 0) return { leftMs }
      const lease: Lease = { by, untilMs: now() + LEASE_MS }
      if (await state.update(name, encodeLease(lease), LEASE_KEPT_MS, found?.stamp)) return lease
    }
    return { leftMs: TAKEN_MEANWHILE_MS }
  }

  /** Lets the next one begin at once. Where that fails, the lease ends by itself. */
  async function giveBack(name: string, by: string): Promise<void> {
    try {
      const found = await state.read(name)
      if (!found || (JSON.parse(found.bytes.toString()) as Lease).by !== by) return
      await state.update(name, encodeLease({ by: '', untilMs: 0 }), LEASE_KEPT_MS, found.stamp)
    } catch {}
  }

  /** The work's result, or a rejection when its time is up; work that goes on all the same keeps its lease. */
  async function inTime(work: Task['work'], by: string, lateAtMs: number, ended: () => Promise<void>) {
    // A stall, or a clock that was set forward: the time can be up before the work begins, and the lease soon somebody else's.
    const leftMs = Math.min(lateAtMs - now(), WORK_MS)
    if (leftMs <= 0) {
      await ended()
      throw workTimedOut()
    }
    const abort = new AbortController()
    let stopTimer = () => {}
    const late = new Promise<never>((_resolve, reject) => {
      stopTimer = timer(leftMs, () => {
        reject(workTimedOut()) // first, so that this is the answer whatever the work makes of the abort
        abort.abort(workTimedOut())
      })
    })
    const throwIfLate = () => {
      if (abort.signal.aborted || now() >= lateAtMs) throw workTimedOut()
    }
    const working = (async () => work({ by, signal: abort.signal, throwIfLate }))()
    try {
      return await Promise.race([working, late])
    } catch (error) {
      if (abort.signal.aborted) void working.then(ended, ended)
      else await ended()
      throw error
    } finally {
      stopTimer()
    }
  }

  return {
    async run({ key, fingerprint, keptMs = DONE_MS, work }) {
      const by = randomUUID()
      const outcome = (bytes: Buffer): Outcome => {
        const done = decodeDone(bytes)
        if (done.fingerprint !== fingerprint) return { kind: 'other-body' }
        return { kind: 'done', answer: done.answer, replayed: done.by !== by }
      }
      const before = await state.claimed(key)
      if (before) return outcome(before)

      const name = keys.running(key)
      const lease = await take(name, by)
      if ('leftMs' in lease) return { kind: 'running', retryAfterMs: lease.leftMs }
      // Whoever had the lease may have finished between the two looks.
      const meanwhile = await state.claimed(key)
      if (meanwhile) return outcome(meanwhile)

      const lateAtMs = lease.untilMs - (LEASE_MS - WORK_MS)
      const result = await inTime(work, by, lateAtMs, () => giveBack(name, by))
      const done = Buffer.isBuffer(result) ? { by, fingerprint, answer: result } : result
      // The lease is left to end: a claim is looked for first.
      return outcome((await state.claim(key, encodeDone(done), keptMs)).bytes)
    },
  }
}

interface Lease {
  readonly by: string
  readonly untilMs: number
}

const encodeLease = (lease: Lease) => Buffer.from(JSON.stringify(lease))

function encodeDone({ by, fingerprint, answer }: Done): Buffer {
  if (answer.length > MOST_ANSWER_BYTES)
    throw new RangeError(`an answer of ${answer.length} bytes is not kept`)
  return Buffer.concat([Buffer.from(`${by} ${fingerprint}\n`), answer])
}

function decodeDone(bytes: Buffer): Done {
  const end = bytes.indexOf('\n')
  const [by = '', fingerprint = ''] = bytes.toString('utf8', 0, end).split(' ')
  return { by, fingerprint, answer: bytes.subarray(end + 1) }
}
