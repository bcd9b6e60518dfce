// What failover-machine.ts works with: the states of a role's circuit breaker, its events and its effects.
// Times named `atMs` and `sinceMs` are ms since the epoch and never run backwards; `steadyMs` is of a clock that
// nobody sets, by which durations are measured.
import type { UnavailableReason } from '../errors.ts'

/** What everybody outside is told. A doubt is none of their business: it counts as `redis` until it is an outage. */
export type Status = 'redis' | 'memory' | 'merging'

/** Why Redis is not asked. `bug`: an unexpected error of ours, which says nothing of Redis. */
export interface Failure {
  readonly reason: UnavailableReason | 'bug'
  readonly message: string
}

export interface Common {
  /** When the status began that everybody is told. */
  readonly sinceMs: number
  /** How many outages have been announced. */
  readonly activations: number
  /** Doubts that ended well: Redis was silent, and answered when it was asked again. */
  readonly blips: number
  /** Cut connections that were opened again at the first try. */
  readonly reconnects: number
  readonly isStopped: boolean
}

/** What is known of the time without Redis. */
export interface Away {
  /** When Redis was left, or the process started; for a silent Redis, when the call began that was not answered. */
  readonly sinceMs: number
  readonly steadySinceMs: number
  /** Why Redis is doubted; undefined at the start, and once it is an outage. */
  readonly doubt: 'silent' | 'cut' | undefined
  readonly isAnnounced: boolean
  /** When it counts as an outage, by `steadyMs`: immediately, but for a Redis that starts beside us. */
  readonly announceFromMs: number
  /** Delays so far, of the present back-off. */
  readonly tries: number
  readonly bugs: number
  readonly failure: Failure | undefined
}

export type FailoverState =
  /** `backMs`: when Redis was asked again, by `steadyMs`. */
  | (Common & { readonly status: 'redis'; readonly backMs: number })
  /** `asks`: the second question goes over the same connection, or over a new one. */
  | (Common & { readonly status: 'suspect'; readonly away: Away; readonly asks: 'again' | 'anew' })
  | (Common & { readonly status: 'memory'; readonly away: Away; readonly goodProbes: 0 | 1 })
  /** `isKept`: over the connection that there was before. */
  | (Common & { readonly status: 'merging'; readonly away: Away; readonly isKept: boolean })

export type In<S extends FailoverState['status']> = Extract<FailoverState, { status: S }>

export interface Moment {
  readonly atMs: number
  readonly steadyMs: number
}

export type FailoverEvent = Moment &
  (
    | { readonly type: 'started' | 'probe succeeded' | 'stopped' }
    /** It had waited `forMs`. `slowCallRate`: the share of slow calls, this one included. */
    | {
        readonly type: 'call failed'
        readonly failure: Failure
        readonly slowCallRate: number
        readonly forMs: number
      }
    | { readonly type: 'connection lost' | 'probe failed' | 'merge failed'; readonly failure: Failure }
    | { readonly type: 'merge finished'; readonly isPending: boolean }
    /** The merge has found that Redis lost data. */
    | { readonly type: 'loss found' }
  )

export type Effect =
  /** Waits `afterMs`, with jitter; then opens the connection if `opens`, within so many budgets, and probes. */
  | {
      readonly type: 'probe'
      readonly opens: boolean
      readonly afterMs: number
      readonly withinBudgets?: number
    }
  /** `isKept`: Redis cannot have been replaced by another one. */
  | { readonly type: 'merge'; readonly awaySinceMs: number; readonly isKept: boolean }
  /** The calls under way are answered from memory. */
  | { readonly type: 'abandon calls' }
  | { readonly type: 'drop connection' | 'close connection' | 'notify cut' | 'notify left' }
  | { readonly type: 'announce outage'; readonly failure: Failure; readonly awaySinceMs: number }
  | ({ readonly type: 'notify returned' } & Return)

/** How Redis came to be asked again. */
export interface Return {
  readonly after: 'start' | 'outage' | 'blip' | 'reconnect'
  /** Whether over the connection that there was before. */
  readonly isKept: boolean
  readonly tookMs: number
}

/** The status that everybody is told. */
export function publicStatus(state: FailoverState): Status {
  if (state.status === 'suspect') return 'redis'
  return state.status === 'merging' && state.away.doubt ? 'redis' : state.status
}
