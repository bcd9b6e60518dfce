// Whether "absent" may be said from memory. A standby that has never been filled does not know what Redis, or an
// earlier life of this process, has: it says `state_unknown` instead of "no".
//
//   incomplete ──► complete      a whole copy was on disk (whole-copy.ts); or a resync has ended; or Redis was empty
//   complete ──► incomplete      another container writes on this disk now
//
// While it is incomplete two things are absent all the same: what was made after this process began, which nobody can
// have written before; and everything, where there is no Redis to have it (`setAlone`).
import { createDeadlines } from '../../../lib/async/deadlines.ts'
import { waitFor } from '../../../lib/async/request-deadline.ts'
import { stateUnknown } from '../../errors.ts'

export interface Absence {
  /**
   * Throws `state_unknown` where a key that is not in memory may be elsewhere. `madeAtMs`: when the thing was made
   * that the key stands for.
   */
  expectKnown(madeAtMs?: number): void
  isComplete(): boolean
  /** Everything that could be known has been offered to the standby. */
  complete(): void
  incomplete(): void
  /** Whether there is no Redis that could know more. */
  setAlone(isAlone: boolean): void
  /** Calls back each time it becomes complete. */
  onComplete(listener: () => void): void
  /** Redis is asked. */
  redisIsAsked(): void
  /**
   * Resolves when more may be known: it is complete, or Redis is asked. Rejects with `state_unknown` when the caller
   * has waited for the budget of a command, or its request for its deadline.
   */
  untilMore(): Promise<void>
  close(): void
}

export interface AbsenceOptions {
  budgetMs: number
  /** When this process began; now unless said. */
  startedAtMs?: number
}

export function createAbsence({ budgetMs, startedAtMs = Date.now() }: AbsenceOptions): Absence {
  const deadlines = createDeadlines()
  const waiting = new Set<() => void>()
  const listeners: (() => void)[] = []
  let isComplete = false
  let isAlone = false

  function wake(): void {
    for (const resume of [...waiting]) resume()
  }

  return {
    expectKnown(madeAtMs = Number.NEGATIVE_INFINITY) {
      if (!isComplete && !isAlone && madeAtMs < startedAtMs) throw stateUnknown()
    },
    isComplete: () => isComplete,
    complete() {
      if (isComplete) return
      isComplete = true
      for (const listener of listeners) listener()
      wake()
    },
    incomplete() {
      isComplete = false
    },
    setAlone(alone) {
      isAlone = alone
      if (alone) wake()
    },
    onComplete(listener) {
      listeners.push(listener)
    },
    redisIsAsked: wake,
    untilMore() {
      if (isComplete || isAlone) return Promise.resolve()
      const more = new Promise<void>((resolve, reject) => {
        const stop = deadlines.start(budgetMs, () => {
          waiting.delete(resume)
          reject(stateUnknown())
        })
        function resume(): void {
          waiting.delete(resume)
          stop()
          resolve()
        }
        waiting.add(resume)
      })
      return waitFor(more, stateUnknown)
    },
    close: deadlines.clear,
  }
}
