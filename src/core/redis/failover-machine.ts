// Whether Redis is asked: a circuit breaker that merges before it closes, as a pure function of its state and an event.
// The controller (failover.ts) owns timers and the connection, reports events and carries out the effects.
//
// redis (closed): Redis is asked.
//   call failed: lost, refused, silent → memory. Participants and operators are notified.
//                                        `silent` drops the connection.
//   call failed: slow                  → memory when more than half of the calls of this second and the last were slow.
//   call failed: deadline                stays: the request has waited long enough, which says nothing of Redis.
//   connection lost                    → memory.
// memory (open): Redis is not asked, so nothing waits for it. Probes run with back-off (half-open).
//   started                              probes. An outage is announced after a grace period at the earliest.
//   probe succeeded                      one more on the same connection; two in a row → merging.
//   probe failed                         probes again, on a new connection. Announces the outage if that was due.
// merging (half-open): only the merge writes to Redis; calls are still answered from memory.
//   merge finished, more is pending      merges again.
//   merge finished, nothing is pending → redis. Participants and operators are notified.
//   merge failed                       → memory, probes again. After a bug of ours the back-off is longer.
//   connection lost, call failed (as in redis) → memory, probes again. The merge fails by that, too, which is ignored.
// In every state `stopped` closes the connection. Any event after it drops a connection that was being opened.
// An event that is not listed changes nothing: a call that fails after Redis was left says nothing new.

import { stepMs } from '../../lib/backoff.ts'
import { SECOND } from '../../lib/time.ts'
import type { UnavailableReason } from '../errors.ts'

export type Status = 'redis' | 'memory' | 'merging'

/** Why Redis is not asked. `bug`: an unexpected error of ours, which says nothing of Redis. */
export interface Failure {
  readonly reason: UnavailableReason | 'bug'
  readonly message: string
}

interface Common {
  /** When `status` began; ms since the epoch, as all times here. */
  readonly sinceMs: number
  /** How many outages have been announced. */
  readonly activations: number
  readonly isStopped: boolean
}

/** What is known of the time without Redis. */
export interface Away {
  /** When Redis was left, or the process started. */
  readonly sinceMs: number
  readonly isAnnounced: boolean
  /** When it counts as an outage: immediately, but for a Redis that starts beside us. */
  readonly announceFromMs: number
  /** Delays so far, of the present back-off. */
  readonly tries: number
  readonly bugs: number
  readonly failure: Failure | undefined
}

export type FailoverState =
  | (Common & { readonly status: 'redis' })
  | (Common & { readonly status: 'memory'; readonly away: Away; readonly goodProbes: 0 | 1 })
  | (Common & { readonly status: 'merging'; readonly away: Away })

type In<S extends Status> = Extract<FailoverState, { status: S }>

export type FailoverEvent = { readonly atMs: number } & (
  | { readonly type: 'started' | 'probe succeeded' | 'stopped' }
  /** `slowCallRate`: the share of slow calls, this one included. */
  | { readonly type: 'call failed'; readonly failure: Failure; readonly slowCallRate: number }
  | { readonly type: 'connection lost' | 'probe failed' | 'merge failed'; readonly failure: Failure }
  | { readonly type: 'merge finished'; readonly isPending: boolean }
)

export type Effect =
  /** Waits `afterMs`, with jitter; then opens the connection if `opens`, and probes. */
  | { readonly type: 'probe'; readonly opens: boolean; readonly afterMs: number }
  | { readonly type: 'merge'; readonly awaySinceMs: number }
  | { readonly type: 'drop connection' | 'close connection' | 'notify left' }
  | { readonly type: 'announce outage'; readonly failure: Failure; readonly awaySinceMs: number }
  | { readonly type: 'notify returned'; readonly wasAnnounced: boolean; readonly awaySinceMs: number }

export type Transition = readonly [FailoverState, readonly Effect[]]

export const PROBE = { firstMs: 50, capMs: SECOND }
export const AFTER_BUG = { firstMs: SECOND, capMs: 30 * SECOND }
export const START_GRACE_MS = 3 * SECOND
const MOST_SLOW = 0.5

const DROP = { type: 'drop connection' } as const

export function initialState(atMs: number): FailoverState {
  const away = {
    sinceMs: atMs,
    isAnnounced: false,
    announceFromMs: atMs,
    tries: 0,
    bugs: 0,
    failure: undefined,
  }
  return { status: 'memory', sinceMs: atMs, activations: 0, isStopped: false, away, goodProbes: 0 }
}

export function transition(state: FailoverState, event: FailoverEvent): Transition {
  if (state.isStopped) return [state, [DROP]]
  if (event.type === 'stopped') return [{ ...state, isStopped: true }, [{ type: 'close connection' }]]
  if (state.status === 'redis') return inRedis(state, event)
  return state.status === 'memory' ? inMemory(state, event) : whileMerging(state, event)
}

function inRedis(state: In<'redis'>, event: FailoverEvent): Transition {
  const failure = failureThatOpens(event)
  if (!failure) return [state, []]
  const { atMs } = event
  const away = { sinceMs: atMs, isAnnounced: true, announceFromMs: atMs, tries: 1, bugs: 0, failure }
  return [
    toMemory({ ...state, activations: state.activations + 1 }, away, atMs),
    [
      { type: 'notify left' },
      { type: 'announce outage', failure, awaySinceMs: atMs },
      ...dropIfSilent(failure),
      { type: 'probe', opens: true, afterMs: stepMs(PROBE, 0) },
    ],
  ]
}

function inMemory(state: In<'memory'>, event: FailoverEvent): Transition {
  const { away } = state
  switch (event.type) {
    case 'started':
      return [
        { ...state, away: { ...away, announceFromMs: event.atMs + START_GRACE_MS } },
        [{ type: 'probe', opens: true, afterMs: 0 }],
      ]
    case 'probe succeeded': {
      if (state.goodProbes === 1)
        return [
          { ...common(state), status: 'merging', sinceMs: event.atMs, away },
          [{ type: 'merge', awaySinceMs: away.sinceMs }],
        ]
      return [
        { ...state, goodProbes: 1, away: { ...away, tries: away.tries + 1 } },
        [{ type: 'probe', opens: false, afterMs: stepMs(PROBE, away.tries) }],
      ]
    }
    case 'probe failed':
      return retry(state, event)
    default:
      return [state, []]
  }
}

function whileMerging(state: In<'merging'>, event: FailoverEvent): Transition {
  const { away } = state
  if (event.type === 'merge failed') return retry(state, event)
  if (event.type === 'merge finished') {
    if (event.isPending) return [state, [{ type: 'merge', awaySinceMs: away.sinceMs }]]
    return [
      { ...common(state), status: 'redis', sinceMs: event.atMs },
      [{ type: 'notify returned', wasAnnounced: away.isAnnounced, awaySinceMs: away.sinceMs }],
    ]
  }
  const failure = failureThatOpens(event)
  if (!failure) return [state, []]
  const due = announcementDue(away, failure, event.atMs)
  return [
    toMemory(
      withOutages(state, due),
      { ...away, isAnnounced: isAnnounced(away, due), tries: 1, failure },
      event.atMs,
    ),
    [...dropIfSilent(failure), ...due, { type: 'probe', opens: true, afterMs: stepMs(PROBE, 0) }],
  ]
}

/** Redis was never reached since the start, and by now that is an outage. */
function announcementDue(away: Away, failure: Failure, atMs: number): readonly Effect[] {
  const isDue = !away.isAnnounced && atMs >= away.announceFromMs
  return isDue ? [{ type: 'announce outage', failure, awaySinceMs: away.sinceMs }] : []
}

const isAnnounced = (away: Away, due: readonly Effect[]) => away.isAnnounced || due.length > 0

const withOutages = <S extends FailoverState>(state: S, due: readonly Effect[]): S => ({
  ...state,
  activations: state.activations + due.length,
})

/** Why the event opens the breaker; undefined when it does not. */
function failureThatOpens(event: FailoverEvent): Failure | undefined {
  if (event.type === 'connection lost') return event.failure
  if (event.type !== 'call failed' || event.failure.reason === 'deadline') return undefined
  return event.failure.reason !== 'slow' || event.slowCallRate > MOST_SLOW ? event.failure : undefined
}

const dropIfSilent = ({ reason }: Failure) => (reason === 'silent' ? [DROP] : [])

function retry(
  state: In<'memory' | 'merging'>,
  { failure, atMs }: { readonly failure: Failure; readonly atMs: number },
): Transition {
  const { away } = state
  const due = announcementDue(away, failure, atMs)
  const isBug = failure.reason === 'bug'
  const next = {
    ...away,
    isAnnounced: isAnnounced(away, due),
    tries: away.tries + 1,
    bugs: away.bugs + (isBug ? 1 : 0),
    failure,
  }
  const afterMs = isBug ? stepMs(AFTER_BUG, away.bugs) : stepMs(PROBE, away.tries)
  return [
    toMemory(withOutages(state, due), next, atMs),
    [DROP, ...due, { type: 'probe', opens: true, afterMs }],
  ]
}

function toMemory(from: FailoverState, away: Away, atMs: number): FailoverState {
  const sinceMs = from.status === 'memory' ? from.sinceMs : atMs
  return { ...common(from), status: 'memory', sinceMs, away, goodProbes: 0 }
}

const common = ({ activations, isStopped }: Common) => ({ activations, isStopped })
