// Work that is done once under its key, however often and by however many processes it is asked for. Knows no HTTP.
//
//   absent ──► running ──► done     running: a lease, 30 s. done: a first-write-wins register with the answer, 4 days.
//     ▲           │
//     └───────────┘                 the work failed, or its lease ended because its process died
//
// Four days, because senders repeat an id for three. The lease is taken, given back and handed on by
// compare-and-set only: a tombstone could not be taken again. It keeps two runs from overlapping; it does not fence
// what the work does elsewhere. Work that must take effect exactly once writes a mark of its own in the transaction
// of its effect, and returns here what that mark says. A lease or an answer that cannot be decoded counts as
// absent.

import { randomUUID } from 'node:crypto'
import { type Corrupt, corrupt, isNumber, isShape, isText, parseJson } from '../lib/codec.ts'
import { DAY, type Now, SECOND, type StartTimer, startTimer } from '../lib/time.ts'
import { workTimedOut } from './errors.ts'
import { keys } from './keys.ts'
import type { Asked, State } from './state/state.ts'

export const RUN_LEASE_MS = 30 * SECOND
/** Less than the lease, so that work that heeds its signal has ended before anybody else begins. */
export const WORK_MS = 25 * SECOND
/** Answers are kept for days in memory that is bounded. */
export const MOST_ANSWER_BYTES = 16 * 1024
const DONE_MS = 4 * DAY
const LEASE_KEPT_MS = 2 * RUN_LEASE_MS
const TRIES = 3
const CONTENDED_MS = SECOND

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
  /** Throws when the time is up, also where a blocked event loop has delayed the signal. */
  throwIfLate(): void
}

export interface Task {
  /** A key of a first-write-wins register. */
  readonly key: string
  readonly fingerprint: string
  /** How long it is known that it was done; 4 days unless said. */
  readonly keptMs?: number
  /** When it was made what this is the work for: it has not been done before. */
  readonly madeAtMs?: number | undefined
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
  /** What is under this key cannot be decoded. */
  damaged?: (key: string) => void
  now?: Now
  timer?: StartTimer
}

export function createOnce(options: OnceOptions): Once {
  const { state, damaged = () => {}, now = Date.now, timer = startTimer } = options

  function leaseIn(name: string, bytes: Buffer): RunLease | undefined {
    const lease = parseJson(bytes, isLease)
    if (lease !== corrupt) return lease
    damaged(name)
    return undefined
  }

  /** Takes the lease; or how long somebody else has it. */
  async function take(
    name: string,
    by: string,
    asked: Asked,
  ): Promise<{ untilMs: number } | { leftMs: number }> {
    for (let tries = 0; tries < TRIES; tries += 1) {
      const found = await state.read(name, asked)
      const held = found && leaseIn(name, found.bytes)
      // Written after all, though the answer to that was lost.
      if (held?.by === by) return held
      const leftMs = held ? held.untilMs - now() : 0
      if (leftMs > 0) return { leftMs }
      const lease: RunLease = { by, untilMs: now() + RUN_LEASE_MS }
      if (await state.update(name, encodeLease(lease), LEASE_KEPT_MS, found?.timestamp, asked)) return lease
    }
    return { leftMs: CONTENDED_MS }
  }

  /** Lets the next one begin now. Where that fails, the lease ends by itself. */
  async function giveBack(name: string, by: string): Promise<void> {
    try {
      const found = await state.read(name)
      if (!found || leaseIn(name, found.bytes)?.by !== by) return
      await state.update(name, encodeLease({ by: '', untilMs: 0 }), LEASE_KEPT_MS, found.timestamp)
    } catch {}
  }

  /** The work's result, or a rejection when its time is up; work that does not stop then keeps its lease. */
  async function inTime(work: Task['work'], by: string, lateAtMs: number, ended: () => Promise<void>) {
    // A stall, or a clock that was set forward: the time can be up before the work begins, and the lease soon
    // somebody else's.
    const leftMs = Math.min(lateAtMs - now(), WORK_MS)
    if (leftMs <= 0) {
      await ended()
      throw workTimedOut()
    }
    const abort = new AbortController()
    let stopTimer = () => {}
    const late = new Promise<never>((_resolve, reject) => {
      stopTimer = timer(leftMs, () => {
        reject(workTimedOut()) // first, so that this is the answer however the work takes the abort
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
    async run({ key, fingerprint, keptMs = DONE_MS, madeAtMs, work }) {
      const asked = { madeAtMs }
      const by = randomUUID()
      const outcome = (done: Done): Outcome =>
        done.fingerprint === fingerprint
          ? { kind: 'done', answer: done.answer, replayed: done.by !== by }
          : { kind: 'other-body' }
      const doneIn = (bytes: Buffer | undefined): Done | undefined => {
        const done = bytes && decodeDone(bytes)
        if (done !== corrupt) return done
        damaged(key)
        return undefined
      }
      const before = doneIn(await state.claimed(key, asked))
      if (before) return outcome(before)

      const name = keys.running(key)
      const lease = await take(name, by, asked)
      if ('leftMs' in lease) return { kind: 'running', retryAfterMs: lease.leftMs }
      // The last holder of the lease may have finished between the two reads.
      const since = doneIn(await state.claimed(key, asked))
      if (since) return outcome(since)
      const foundAtMs = now()

      const lateAtMs = lease.untilMs - (RUN_LEASE_MS - WORK_MS)
      const result = await inTime(work, by, lateAtMs, () => giveBack(name, by))
      const done = Buffer.isBuffer(result) ? { by, fingerprint, answer: result } : result
      // The lease is left to end: a claim is looked for first. Nobody has claimed it since it was found absent: what
      // is done by now must not be refused because that cannot be asked again.
      const winner = await state.claim(key, encodeDone(done), keptMs, { madeAtMs: foundAtMs })
      return outcome(doneIn(winner.bytes) ?? done)
    },
  }
}

interface RunLease {
  readonly by: string
  readonly untilMs: number
}

const isLease = isShape<RunLease>({ by: isText, untilMs: isNumber })

const encodeLease = (lease: RunLease) => Buffer.from(JSON.stringify(lease))

/** As `run` stores what was done. */
export function encodeDone({ by, fingerprint, answer }: Done): Buffer {
  if (answer.length > MOST_ANSWER_BYTES)
    throw new RangeError(`an answer of ${answer.length} bytes is not kept`)
  return Buffer.concat([Buffer.from(`${by} ${fingerprint}\n`), answer])
}

export function decodeDone(bytes: Buffer): Done | Corrupt {
  const end = bytes.indexOf('\n')
  const [, by, fingerprint] = /^(\S+) (\S*)$/.exec(bytes.toString('utf8', 0, Math.max(0, end))) ?? []
  if (by === undefined || fingerprint === undefined) return corrupt
  return { by, fingerprint, answer: bytes.subarray(end + 1) }
}
