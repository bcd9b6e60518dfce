// Limits: at most so many hits in any window, by the exact sliding log of the state role. Knows no HTTP.
import { randomUUID } from 'node:crypto'
import type { Now } from '../lib/time.ts'
import { keys } from './keys.ts'
import { type HitResult, type LoggedHit, slide } from './state/sliding-log.ts'
import type { State } from './state/state.ts'

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
   * Asks several at once, all of which must allow. They are asked in this order until one refuses, so give those first
   * that refuse most: a hit that is refused counts in none after it, only in those before it.
   */
  hitAll(hits: readonly [LimitedHit, ...LimitedHit[]]): Promise<Verdict>
}

export function createLimiter({ state, now = Date.now }: { state: Pick<State, 'hit'>; now?: Now }): Limiter {
  const hit: Limiter['hit'] = ({ name, limit, windowMs }, who, cost = 1) =>
    state.hit(keys.limit(name, who), { id: randomUUID(), nowMs: now(), limit, windowMs, cost })

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
 * The same log for something that lives and ends in this process, as a socket does: no other process ever counts its hits,
 * so none of them needs the state role.
 */
export function createOwnLimit({ limit, windowMs }: Policy, now: Now = Date.now): () => HitResult {
  let log: readonly LoggedHit[] = []
  return function hit() {
    const after = slide(log, { id: '', nowMs: now(), limit, windowMs })
    log = after.log
    return after.result
  }
}
