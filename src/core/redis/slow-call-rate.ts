// The share of slow calls in this second and the last, by which the circuit breaker (failover-machine.ts) opens for a
// server that answers, but too late.
import { type Now, SECOND } from '../../lib/time.ts'

export interface SlowCallRate {
  /** Counts a call that was answered within its budget. */
  answered(): void
  /** Counts a call that was not. Returns the share of such calls, from 0 to 1. */
  slow(): number
  reset(): void
}

export function createSlowCallRate(now: Now): SlowCallRate {
  let secondStartedMs = 0
  let current = { answered: 0, slow: 0 }
  let last = current

  function turn(): void {
    const ageMs = now() - secondStartedMs
    if (ageMs >= 0 && ageMs < SECOND) return
    last = ageMs < 2 * SECOND ? current : { answered: 0, slow: 0 }
    current = { answered: 0, slow: 0 }
    secondStartedMs = now()
  }

  return {
    answered() {
      turn()
      current.answered += 1
    },
    slow() {
      turn()
      current.slow += 1
      const slow = current.slow + last.slow
      return slow / (slow + current.answered + last.answered)
    },
    reset() {
      secondStartedMs = 0
      turn()
    },
  }
}
