// Whether Redis is asked: a circuit breaker that merges before it closes, as a pure function of its state and an event.
// The controller (failover.ts) owns timers and the connection, reports events and carries out the effects.
//
// redis (closed): Redis is asked.
//   call failed: silent                → suspect. The calls under way are answered from memory; Redis is asked again
//                                        over the same connection.
//   call failed: lost; connection lost → suspect, over a new connection. Participants are notified. Straight to memory
//                                        when the connection had not lasted: that is no way to be there.
//   call failed: refused               → memory. Participants and operators are notified.
//   call failed: slow                  → memory when more than half of the calls of this second and the last were slow.
//   call failed: deadline                stays: the request has waited long enough, which says nothing of Redis.
// suspect: one question decides, and nobody but it waits for Redis; calls are answered from memory.
//   probe succeeded                    → merging.
//   probe failed (the same connection)   asks once more, over a new one; after a refusal or a bug of ours → memory.
//   probe failed (a new connection)    → memory. The outage began when Redis was doubted.
// memory (open): Redis is not asked, so nothing waits for it. Probes run with back-off (half-open).
//   started                              probes. An outage is announced after a grace period at the earliest.
//   probe succeeded                      one more on the same connection; two in a row → merging.
//   probe failed                         probes again, on a new connection. Announces the outage if that was due.
// merging (half-open): only the merge writes to Redis; calls are still answered from memory.
//   loss found                           after a doubt: it was an outage, and is announced.
//   merge finished, more is pending      merges again.
//   merge finished, nothing is pending → redis. Participants are notified; operators too, unless it was only a doubt.
//   merge failed                       → memory, probes again, on a new connection, unless it waits for the other role.
//                                        After a bug of ours the back-off is longer.
//   connection lost, call failed (as in redis) → memory, probes again. The merge fails by that, too, which is ignored.
//   The last two: after a doubt it was an outage, and is announced; a merge that was only slow runs again first.
// In every state `stopped` closes the connection. Any event after it drops a connection that was being opened.
// An event that is not listed changes nothing: a call that fails after Redis was left says nothing new.

import { stepMs } from '../../lib/backoff.ts'
import { SECOND } from '../../lib/time.ts'
import type {
  Away,
  Common,
  Effect,
  FailoverEvent,
  FailoverState,
  Failure,
  In,
  Moment,
  Return,
} from './failover-state.ts'

export type Transition = readonly [FailoverState, readonly Effect[]]

export const PROBE = { firstMs: 50, capMs: SECOND }
export const AFTER_BUG = { firstMs: SECOND, capMs: 30 * SECOND }
export const START_GRACE_MS = 3 * SECOND
/** A connection that was cut earlier than that is not opened again on trust. */
export const SETTLED_MS = SECOND / 2
const MOST_SLOW = 0.5
/** So often may a merge after a doubt be too slow, in smaller batches each time, before it counts as an outage. */
export const SLOW_MERGES = 2

const DROP = { type: 'drop connection' } as const
const LEFT = { type: 'notify left' } as const

export function initialState({ atMs, steadyMs }: Moment): FailoverState {
  const away = {
    sinceMs: atMs,
    steadySinceMs: steadyMs,
    doubt: undefined,
    isAnnounced: false,
    announceFromMs: steadyMs,
    tries: 0,
    bugs: 0,
    failure: undefined,
  }
  const counts = { activations: 0, blips: 0, reconnects: 0 }
  return { status: 'memory', sinceMs: atMs, ...counts, isStopped: false, away, goodProbes: 0 }
}

export function transition(state: FailoverState, event: FailoverEvent): Transition {
  if (state.isStopped) return [state, [DROP]]
  if (event.type === 'stopped') return [{ ...state, isStopped: true }, [{ type: 'close connection' }]]
  switch (state.status) {
    case 'redis':
      return inRedis(state, event)
    case 'suspect':
      return inDoubt(state, event)
    case 'memory':
      return inMemory(state, event)
    case 'merging':
      return whileMerging(state, event)
  }
}

function inRedis(state: In<'redis'>, event: FailoverEvent): Transition {
  const failure = failureThatOpens(event)
  if (!failure) return [state, []]
  const { atMs, steadyMs } = event
  const forMs = event.type === 'call failed' && failure.reason === 'silent' ? event.forMs : 0
  const away: Away = {
    sinceMs: Math.max(state.sinceMs, atMs - forMs),
    steadySinceMs: steadyMs - forMs,
    doubt: doubtOf(state, failure, event),
    isAnnounced: false,
    announceFromMs: steadyMs - forMs,
    tries: 0,
    bugs: 0,
    failure,
  }
  const suspect = { ...common(state), status: 'suspect', away } as const
  if (away.doubt === 'silent') return [{ ...suspect, asks: 'again' }, ASK_AGAIN]
  if (away.doubt === 'cut') return [{ ...suspect, asks: 'anew' }, askAnew(2)]
  return leave(suspect, failure, event)
}

function doubtOf(state: In<'redis'>, { reason }: Failure, { steadyMs }: Moment): Away['doubt'] {
  if (reason === 'silent') return 'silent'
  return reason === 'lost' && steadyMs - state.backMs >= SETTLED_MS ? 'cut' : undefined
}

function inDoubt(state: In<'suspect'>, event: FailoverEvent): Transition {
  const { away, asks } = state
  if (event.type === 'probe succeeded') {
    const isKept = asks === 'again'
    return [
      { ...common(state), status: 'merging', away, isKept },
      [{ type: 'merge', awaySinceMs: away.sinceMs, isKept }],
    ]
  }
  if (event.type !== 'probe failed') return [state, []]
  const tells = event.failure.reason === 'refused' || event.failure.reason === 'bug'
  if (asks === 'again' && !tells) return [{ ...state, asks: 'anew' }, [DROP, ...askAnew(1)]]
  return leave(state, tells ? event.failure : (away.failure ?? event.failure), event)
}

const ASK_AGAIN: readonly Effect[] = [{ type: 'abandon calls' }, { type: 'probe', opens: false, afterMs: 0 }]

/** Over a new connection, and only once: who still hangs, or refuses, is away. */
const askAnew = (withinBudgets: number): readonly Effect[] => [
  { type: 'notify cut' },
  { type: 'probe', opens: true, afterMs: 0, withinBudgets },
]

/** It is an outage, which began when Redis was doubted. */
function leave(state: Common & { readonly away: Away }, failure: Failure, { atMs }: Moment): Transition {
  const isBug = failure.reason === 'bug'
  const away = { ...state.away, ...ANNOUNCED, tries: 1, bugs: isBug ? 1 : 0, failure }
  return [
    toMemory({ ...state, activations: state.activations + 1, sinceMs: atMs }, away),
    [
      LEFT,
      { type: 'announce outage', failure, awaySinceMs: away.sinceMs },
      DROP,
      { type: 'probe', opens: true, afterMs: isBug ? AFTER_BUG.firstMs : PROBE.firstMs },
    ],
  ]
}

const ANNOUNCED = { isAnnounced: true, doubt: undefined } as const

function inMemory(state: In<'memory'>, event: FailoverEvent): Transition {
  const { away } = state
  switch (event.type) {
    case 'started':
      return [
        { ...state, away: { ...away, announceFromMs: event.steadyMs + START_GRACE_MS } },
        [{ type: 'probe', opens: true, afterMs: 0 }],
      ]
    case 'probe succeeded': {
      if (state.goodProbes === 1)
        return [
          { ...common(state), status: 'merging', sinceMs: event.atMs, away, isKept: false },
          [{ type: 'merge', awaySinceMs: away.sinceMs, isKept: false }],
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
  const { away, isKept } = state
  if (event.type === 'loss found') return away.doubt ? tellOfLoss(state, event) : [state, []]
  if (event.type === 'merge finished') {
    if (event.isPending) return [state, [{ type: 'merge', awaySinceMs: away.sinceMs, isKept }]]
    return comeBack(state, event)
  }
  if (event.type === 'merge failed') {
    if (!away.doubt) return retry(state, event)
    if (event.failure.reason !== 'slow' || away.tries >= SLOW_MERGES)
      return leave(state, event.failure, event)
    return [
      { ...state, away: { ...away, tries: away.tries + 1 } },
      [{ type: 'merge', awaySinceMs: away.sinceMs, isKept }],
    ]
  }
  const failure = failureThatOpens(event)
  if (!failure) return [state, []]
  if (away.doubt) return leave(state, failure, event)
  const due = announcementDue(away, failure, event)
  const drop = failure.reason === 'silent' ? [DROP] : []
  return [
    toMemory(
      { ...withOutages(state, due), sinceMs: event.atMs },
      { ...away, isAnnounced: isAnnounced(away, due), tries: 1, failure },
    ),
    [...drop, ...due, { type: 'probe', opens: true, afterMs: stepMs(PROBE, 0) }],
  ]
}

function tellOfLoss(state: In<'merging'>, { atMs }: Moment): Transition {
  const { away, activations } = state
  const failure = away.failure ?? { reason: 'lost', message: 'Redis was away for a moment' }
  return [
    { ...state, sinceMs: atMs, activations: activations + 1, away: { ...away, ...ANNOUNCED } },
    [LEFT, { type: 'announce outage', failure, awaySinceMs: away.sinceMs }],
  ]
}

function comeBack(state: In<'merging'>, { atMs, steadyMs }: Moment): Transition {
  const { away, isKept } = state
  const after = waysBack(away)
  const back = {
    ...common(state),
    status: 'redis',
    sinceMs: away.doubt ? state.sinceMs : atMs,
    blips: state.blips + (after === 'blip' ? 1 : 0),
    reconnects: state.reconnects + (after === 'reconnect' ? 1 : 0),
    backMs: steadyMs,
  } as const
  return [back, [{ type: 'notify returned', after, isKept, tookMs: steadyMs - away.steadySinceMs }]]
}

function waysBack({ doubt, isAnnounced }: Away): Return['after'] {
  if (doubt) return doubt === 'cut' ? 'reconnect' : 'blip'
  return isAnnounced ? 'outage' : 'start'
}

/** Redis was never reached since the start, and by now that is an outage. */
function announcementDue(away: Away, failure: Failure, { steadyMs }: Moment): readonly Effect[] {
  const isDue = !away.isAnnounced && steadyMs >= away.announceFromMs
  return isDue ? [{ type: 'announce outage', failure, awaySinceMs: away.sinceMs }] : []
}

const isAnnounced = (away: Away, due: readonly Effect[]) => away.isAnnounced || due.length > 0

const withOutages = (state: Common, due: readonly Effect[]): Common => ({
  ...common(state),
  activations: state.activations + due.length,
})

/** Why the event opens the breaker; undefined when it does not. */
function failureThatOpens(event: FailoverEvent): Failure | undefined {
  if (event.type === 'connection lost') return event.failure
  if (event.type !== 'call failed' || event.failure.reason === 'deadline') return undefined
  return event.failure.reason !== 'slow' || event.slowCallRate > MOST_SLOW ? event.failure : undefined
}

function retry(state: In<'memory' | 'merging'>, event: Moment & { readonly failure: Failure }): Transition {
  const { away } = state
  const { failure, atMs } = event
  const due = announcementDue(away, failure, event)
  const isBug = failure.reason === 'bug'
  const next = {
    ...away,
    isAnnounced: isAnnounced(away, due),
    tries: away.tries + 1,
    bugs: away.bugs + (isBug ? 1 : 0),
    failure,
  }
  const afterMs = isBug ? stepMs(AFTER_BUG, away.bugs) : stepMs(PROBE, away.tries)
  const sinceMs = state.status === 'memory' ? state.sinceMs : atMs
  // Who waits for the other role keeps a connection that works: where they are few, another would take its place.
  const opens = failure.reason !== 'waiting'
  return [
    toMemory({ ...withOutages(state, due), sinceMs }, next),
    [...(opens ? [DROP] : []), ...due, { type: 'probe', opens, afterMs }],
  ]
}

const toMemory = (from: Common, away: Away): FailoverState => ({
  ...common(from),
  status: 'memory',
  away,
  goodProbes: 0,
})

const common = ({ sinceMs, activations, blips, reconnects, isStopped }: Common): Common => ({
  sinceMs,
  activations,
  blips,
  reconnects,
  isStopped,
})
