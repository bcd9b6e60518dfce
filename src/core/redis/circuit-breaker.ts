// Whether a server that answers is too slow to be asked: more than half of a second's commands were over budget.
import { type Now, SECOND } from '../../lib/time.ts'

export interface Overruns {
  answered(): void
  /** Counts one command over budget; true when that makes more than half, of this second and the last. */
  overran(): boolean
  reset(): void
}

export function createOverruns(now: Now): Overruns {
  let secondStartedMs = 0
  let current = { answered: 0, overran: 0 }
  let last = current

  function turn(): void {
    const ageMs = now() - secondStartedMs
    if (ageMs >= 0 && ageMs < SECOND) return
    last = ageMs < 2 * SECOND ? current : { answered: 0, overran: 0 }
    current = { answered: 0, overran: 0 }
    secondStartedMs = now()
  }

  return {
    answered() {
      turn()
      current.answered += 1
    },
    overran() {
      turn()
      current.overran += 1
      return current.overran + last.overran > current.answered + last.answered
    },
    reset() {
      secondStartedMs = 0
      turn()
    },
  }
}
