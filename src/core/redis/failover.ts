// The failover controller, one for each role: the only place that knows what a failure of Redis means.
// failover-machine.ts decides which step comes next; one loop here probes, merges and waits, one step at a time.

import { hasTimeLeft, withoutDeadline } from '../../lib/async/request-deadline.ts'
import { jittered } from '../../lib/backoff.ts'
import { type Now, pause } from '../../lib/time.ts'
import type { Log } from '../../log.ts'
import { inBackground } from '../background.ts'
import { RedisUnavailable } from '../errors.ts'
import type { RedisConnection } from './connection.ts'
import { createFailoverLog, type EndedOutage } from './failover-log.ts'
import { initialState, transition } from './failover-machine.ts'
import {
  type Effect,
  type FailoverEvent,
  type FailoverState,
  type Failure,
  type Moment,
  publicStatus,
  type Return,
  type Status,
} from './failover-state.ts'
import { createProbe } from './probe.ts'
import { createSlowCallRate } from './slow-call-rate.ts'

export interface RoleStatus {
  readonly status: Status
  /** When `status` began; ms since the epoch. */
  readonly sinceMs: number
  /** Outages since the start. */
  readonly activations: number
  /** Short silences, and cut connections, after which Redis was there all the same. */
  readonly blips: number
  readonly reconnects: number
  /** Calls that memory answered instead of Redis. */
  readonly servedCalls: number
  readonly lastError: string | null
}

/** The status of a role whose Redis is switched off. */
export function switchedOff(sinceMs: number): RoleStatus {
  const counts = { activations: 0, blips: 0, reconnects: 0, servedCalls: 0 }
  return { status: 'memory', sinceMs, ...counts, lastError: null }
}

export interface Failover {
  /** Asks Redis while it answers, memory while it does not. Errors other than RedisUnavailable pass through. */
  attempt<T>(onRedis: () => Promise<T>, onMemory: () => T | Promise<T>): Promise<T>
  /** Counts an answer that memory gave without `attempt`, where Redis is not asked. */
  served(): void
  /** Whether Redis is asked right now: also false while it is only doubted. */
  isRedis(): boolean
  status(): RoleStatus
  /** Calls back after each change of `status().status`. */
  onStatus(listener: () => void): void
  /** In a merge: Redis has lost data since it was left, so that it was an outage however short it was. */
  foundLoss(): void
  /** Begins to probe Redis; each time it answers, `merge` runs before it is asked again. */
  start(merge: Merge): void
  close(): void
}

/** Brings Redis up to date with what happened while it was away. */
export interface Merge {
  /**
   * Redis was left at `awaySinceMs`. Runs at least once on each return, and again after it rejected: with
   * RedisUnavailable, or with an error that is a bug.
   */
  run(awaySinceMs: number): Promise<void>
  /** The same after a silence on a connection that is still there: no restart and no write of others was missed. */
  resume(awaySinceMs: number): Promise<void>
  /** Whether more has happened since `run` began. */
  isPending(): boolean
}

export interface FailoverEvents {
  /** The connection was lost and is opened again: Redis may have lost the last writes. An outage may follow. */
  cut(): void
  /** Redis is not asked any more, before any call is answered from memory for that reason. */
  left(): void
  /** When Redis was there before: immediately. When it never was: a few seconds after the start. */
  outageBegan(cause: string, atMs: number, servedCalls: () => number): void
  /** Redis is asked again; memory answered `servedCalls` in the outage. Returns the outage's report, for the log. */
  returned(servedCalls: number, atMs: number, how: Return): EndedOutage | undefined
}

export interface FailoverOptions {
  role: 'cache' | 'state'
  connection: RedisConnection
  probeKey: string
  /** What the role sends, as in needed-commands.ts: a Redis that lacks one of them is not used. */
  commands?: readonly string[]
  /** Whether Redis is asked a few times a second although nobody else does, so that its loss is noticed early. */
  hasHeartbeat: boolean
  events: FailoverEvents
  log: Log
  now?: Now
  /** By which durations are measured: a step of the wall clock is none. */
  steadyNow?: Now
}

type Step = Extract<Effect, { type: 'probe' | 'merge' }>
type EffectOf<T extends Effect['type']> = Extract<Effect, { type: T }>

const HEARTBEAT_MS = 250

export function createFailover(options: FailoverOptions): Failover {
  const { role, connection, probeKey, hasHeartbeat, events, log, now = Date.now } = options
  const { steadyNow = () => performance.now(), commands = [] } = options
  const { run: runProbe, doubt } = createProbe({ connection, key: probeKey, commands })
  const lines = createFailoverLog(role, log)
  const calls = createSlowCallRate(steadyNow)
  const listeners: (() => void)[] = []
  let lastMs = 0
  let state = initialState(moment())
  let merge: Merge = { isPending: () => false, run: async () => {}, resume: async () => {} }
  let next: Step | undefined // at most one: what the loop does when it has done the present one
  let isRunning = false
  let servedCalls = 0
  let servedBefore = 0 // when Redis was left

  const heartbeat = hasHeartbeat
    ? setInterval(() => void inBackground(beat(), log), HEARTBEAT_MS).unref()
    : undefined

  connection.onLost((failure) => handle({ type: 'connection lost', failure, ...moment() }))

  /** The wall clock may be set back; what is told never is. */
  function moment(): Moment {
    lastMs = Math.max(lastMs, now())
    return { atMs: lastMs, steadyMs: steadyNow() }
  }

  function handle(event: FailoverEvent): void {
    const before = state
    const [after, effects] = transition(before, event)
    state = after
    if (before.status === 'redis' && after.status !== 'redis') servedBefore = servedCalls
    if (publicStatus(before) !== publicStatus(after)) for (const listener of listeners) listener()
    // What an event begins does not end with the request that noticed it.
    if (effects.length > 0) withoutDeadline(() => effects.forEach(perform))
  }

  /** A bug in an effect is logged: the effects after it must happen all the same. */
  function perform(effect: Effect): void {
    try {
      carryOut(effect)
    } catch (error) {
      lines.bug(error, effect.type)
    }
  }

  function carryOut(effect: Effect): void {
    switch (effect.type) {
      case 'probe':
      case 'merge':
        next = effect
        if (!isRunning) void inBackground(loop(), log)
        break
      case 'abandon calls':
        connection.abandonCalls()
        break
      case 'drop connection':
        connection.drop()
        break
      case 'close connection':
        clearInterval(heartbeat)
        connection.close()
        break
      case 'notify cut':
        events.cut()
        break
      case 'notify left':
        events.left()
        break
      case 'announce outage':
        announce(effect)
        break
      case 'notify returned':
        notifyReturned(effect)
    }
  }

  async function loop(): Promise<void> {
    isRunning = true
    for (let step = takeStep(); step; step = takeStep()) await runStep(step)
    isRunning = false
  }

  function takeStep(): Step | undefined {
    const step = next
    next = undefined
    return step
  }

  async function runStep(step: Step): Promise<void> {
    try {
      await (step.type === 'probe' ? probe(step) : mergeOnce(step))
    } catch (error) {
      handle({ type: `${step.type} failed`, failure: failureOf(error, step), ...moment() })
    }
  }

  async function probe({ opens, afterMs, withinBudgets }: EffectOf<'probe'>): Promise<void> {
    if (afterMs > 0) await pause(jittered(afterMs))
    if (state.isStopped) return
    if (opens) await connection.open(withinBudgets && withinBudgets * connection.budgetMs)
    await runProbe()
    handle({ type: 'probe succeeded', ...moment() })
  }

  async function mergeOnce({ awaySinceMs, isKept }: EffectOf<'merge'>): Promise<void> {
    await (isKept ? merge.resume(awaySinceMs) : merge.run(awaySinceMs))
    // In the same turn: nothing can become pending between the question and Redis being asked again.
    handle({ type: 'merge finished', isPending: merge.isPending(), ...moment() })
  }

  function failureOf(error: unknown, { type }: Step): Failure {
    if (error instanceof RedisUnavailable) {
      if (error.reason === 'refused') doubt()
      return error
    }
    lines.bug(error, type)
    return { reason: 'bug', message: `unexpected error in Samovar: ${error}` }
  }

  function announce({ failure, awaySinceMs }: EffectOf<'announce outage'>): void {
    const cause = `${failure.reason}: ${failure.message}`
    events.outageBegan(cause, awaySinceMs, () => servedCalls - servedBefore)
    lines.unavailable(failure)
  }

  function notifyReturned(how: EffectOf<'notify returned'>): void {
    calls.reset()
    const served = servedCalls - servedBefore
    const outage = events.returned(served, moment().atMs, how)
    if (how.after === 'outage') lines.recovered(outage, how.tookMs)
    else if (how.after === 'start') lines.connected()
    else if (how.after === 'blip') lines.blip({ tookMs: how.tookMs, servedCalls: served, blips: state.blips })
  }

  async function beat(): Promise<void> {
    if (state.status !== 'redis') return
    try {
      await connection.call((client) => client.ping())
      calls.answered()
    } catch (error) {
      failed(error)
    }
  }

  /** Reports a failure of Redis; throws what is none. */
  function failed(error: unknown): void {
    if (!(error instanceof RedisUnavailable)) throw error
    if (error.reason === 'refused') doubt()
    const slowCallRate = error.reason === 'slow' ? calls.slow() : 0
    handle({ type: 'call failed', failure: error, slowCallRate, forMs: error.waitedMs, ...moment() })
  }

  function answered<T>(answer: T): T {
    calls.answered()
    return answer
  }

  function served(): void {
    servedCalls += 1
  }

  async function fromMemory<T>(onMemory: () => T | Promise<T>): Promise<T> {
    served()
    return onMemory()
  }

  return {
    attempt(onRedis, onMemory) {
      if (state.status !== 'redis' || !hasTimeLeft()) return fromMemory(onMemory)
      return onRedis().then(answered, (error) => {
        failed(error)
        return fromMemory(onMemory)
      })
    },
    served,
    isRedis: () => state.status === 'redis',
    status() {
      const { sinceMs, activations, blips, reconnects } = state
      const counts = { activations, blips, reconnects, servedCalls }
      return { status: publicStatus(state), sinceMs, ...counts, lastError: lastErrorOf(state) }
    },
    onStatus(listener) {
      listeners.push(listener)
    },
    foundLoss: () => handle({ type: 'loss found', ...moment() }),
    start(merging) {
      merge = merging
      handle({ type: 'started', ...moment() })
    },
    close: () => handle({ type: 'stopped', ...moment() }),
  }
}

const lastErrorOf = (state: FailoverState) =>
  (state.status !== 'redis' && state.away.failure?.message) || null
