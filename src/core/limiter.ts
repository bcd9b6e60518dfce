// Limits: at most so many hits in any window, by the exact sliding log of the state role. Knows no HTTP.
import { randomUUID } from 'node:crypto'
import type { Now } from '../lib/time.ts'
import type { Log } from '../log.ts'
import { keys } from './keys.ts'
import { coarserOf } from './limited-groups.ts'
import type { HitResult } from './state/kinds/sliding-window-log.ts'
import type { State } from './state/state.ts'

/** No log holds more. */
const MOST_HITS = 1_000

/** At most `limit` hits in any window of `windowMs`. A log holds that many entries: keep it to 1,000. */
export interface Policy {
  readonly name: string
  readonly limit: number
  readonly windowMs: number
}

export interface LimitedHit {
  readonly policy: Policy
  readonly who: string
  readonly cost?: number
}

export interface Answer extends HitResult {
  readonly policy: Policy
}

export interface Verdict {
  /** True when every policy allowed it. */
  readonly allowed: boolean
  /** The one that refused; else the one that leaves least. */
  readonly tightest: Answer
  /** Of every policy that was asked. */
  readonly answers: readonly Answer[]
}

export interface Limiter {
  /** Counts a hit of `who` unless the window is full. Reaching the limit is an answer, not an exception. */
  hit(policy: Policy, who: string, cost?: number): Promise<HitResult>
  /**
   * Asks several, all of which must allow. They are asked in this order until one refuses, so give those first
   * that refuse most: a hit that is refused counts in none after it, only in those before it.
   */
  hitAll(hits: readonly [LimitedHit, ...LimitedHit[]]): Promise<Verdict>
}

export function createLimiter({ state, now = Date.now }: { state: Pick<State, 'hit'>; now?: Now }): Limiter {
  const hit: Limiter['hit'] = ({ name, limit, windowMs }, who, cost = 1) =>
    state.hit(
      keys.limit(name, who),
      { id: randomUUID(), nowMs: now(), limit, windowMs, cost },
      coarserOf(who).map((group) => ({
        key: keys.limit(name, group.who),
        limit: Math.max(limit, Math.min(MOST_HITS, limit * group.factor)),
      })),
    )

  const ask = async ({ policy, who, cost }: LimitedHit): Promise<Answer> => ({
    policy,
    ...(await hit(policy, who, cost)),
  })

  return {
    hit,
    async hitAll([first, ...rest]) {
      const answers: Answer[] = []
      let tightest = await ask(first)
      answers.push(tightest)
      for (const next of rest) {
        if (!tightest.allowed) break
        const answer = await ask(next)
        answers.push(answer)
        if (!answer.allowed || answer.remaining < tightest.remaining) tightest = answer
      }
      return { allowed: tightest.allowed, tightest, answers }
    },
  }
}

/**
 * The same for something of this process alone, such as a socket: nobody else counts its hits, so the state role
 * need not.
 */
export interface OwnLimit {
  /** Counts a hit, which may weigh as much as it likes, unless the window is full. True when it was allowed. */
  hit(weight?: number): boolean
  /** Whether such a hit would be allowed; nothing is counted. */
  hasRoom(weight?: number): boolean
  /** Whether the window is empty. */
  isUnused(): boolean
}

export function createOwnLimit({ limit, windowMs }: Policy, now: Now = Date.now): OwnLimit {
  const log: { atMs: number; weight: number }[] = []
  let sum = 0

  function slide(): void {
    for (let first = log[0]; first && first.atMs <= now() - windowMs; first = log[0]) {
      sum -= first.weight
      log.shift()
    }
  }

  function hasRoom(weight = 1): boolean {
    slide()
    return sum + weight <= limit
  }

  return {
    hasRoom,
    hit(weight = 1) {
      if (!hasRoom(weight)) return false
      if (weight > 0) log.push({ atMs: now(), weight })
      sum += weight
      return true
    },
    isUnused() {
      slide()
      return log.length === 0
    },
  }
}

/** So many clients have a limit each; more than that share one. */
const MOST_CLIENTS = 10_000
/** What those may do together, as a multiple of what one may. */
const SHARED_FACTOR = 16

export interface OwnLimits {
  hit(who: string, weight?: number): boolean
  /** Whether such a hit would be allowed; nothing is counted. */
  hasRoom(who: string, weight?: number): boolean
  /** How many clients have a limit of their own now. */
  size(): number
}

export interface OwnLimitsOptions {
  mostClients?: number
  /** Says when clients come to share one, at most once a window. */
  log?: Pick<Log, 'warn'>
}

/**
 * One such limit for each client, for as long as its window has hits. Of more clients than there is room for, those
 * who come last share one.
 */
export function createOwnLimits(
  policy: Policy,
  now: Now = Date.now,
  { mostClients = MOST_CLIENTS, log }: OwnLimitsOptions = {},
): OwnLimits {
  const limits = new Map<string, OwnLimit>() // who was heard last is last
  const shared = createOwnLimit({ ...policy, limit: policy.limit * SHARED_FACTOR }, now)
  let toldAtMs = Number.NEGATIVE_INFINITY

  function tell(): void {
    if (Math.abs(now() - toldAtMs) < policy.windowMs) return
    toldAtMs = now()
    log?.warn(
      { limit: policy.name, clients: limits.size },
      'limits: so many clients that new ones share a limit for now: somebody may have very many addresses',
    )
  }

  function forgetUnused(): void {
    for (const [who, limit] of limits) {
      if (!limit.isUnused()) return
      limits.delete(who)
    }
  }

  /** Its own, a new one if need be; undefined when it shares one. */
  function limitOf(who: string): OwnLimit | undefined {
    forgetUnused()
    return limits.get(who) ?? (limits.size < mostClients ? createOwnLimit(policy, now) : undefined)
  }

  return {
    hasRoom: (who, weight) => (limitOf(who) ?? shared).hasRoom(weight),
    hit(who: string, weight?: number): boolean {
      const limit = limitOf(who)
      if (!limit) {
        tell()
        return shared.hit(weight)
      }
      const isAllowed = limit.hit(weight)
      limits.delete(who)
      limits.set(who, limit)
      return isAllowed
    },
    size: () => limits.size,
  }
}
