// Limits: at most so many hits in any window, by the exact sliding log of the state role. Knows no HTTP.
import { randomUUID } from 'node:crypto'
import type { Now } from '../lib/time.ts'
import { keys } from './keys.ts'
import type { HitResult } from './state/sliding-log.ts'
import type { State } from './state/state.ts'

/** At most `limit` hits in any window of `windowMs`. */
export interface Policy {
  readonly name: string
  readonly limit: number
  readonly windowMs: number
}

export interface Limiter {
  /** Counts a hit of `who` unless the window is full. Reaching the limit is an answer, not an exception. */
  hit(policy: Policy, who: string): Promise<HitResult>
}

export function createLimiter({ state, now = Date.now }: { state: Pick<State, 'hit'>; now?: Now }): Limiter {
  return {
    hit: ({ name, limit, windowMs }, who) =>
      state.hit(keys.limit(name, who), { id: randomUUID(), nowMs: now(), limit, windowMs }),
  }
}
