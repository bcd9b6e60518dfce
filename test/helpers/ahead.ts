// A wall clock that a test can put forward; timers go on as they are. Begin before the app is made: it keeps its clock.
import { jest } from '@jest/globals'

export interface Ahead {
  /** Puts the clock forward. */
  pass(ms: number): void
  /** Until `thaw` the clock moves by `pass` alone: what is done then takes as long by it on every machine. */
  freeze(): void
  thaw(): void
  end(): void
}

export function beginAhead(): Ahead {
  const realNow = Date.now.bind(Date)
  let aheadMs = 0
  let frozenAtMs: number | undefined
  const spy = jest.spyOn(Date, 'now').mockImplementation(() => (frozenAtMs ?? realNow()) + aheadMs)
  return {
    pass(ms) {
      aheadMs += ms
    },
    freeze() {
      frozenAtMs = realNow()
    },
    thaw() {
      frozenAtMs = undefined
    },
    end: () => spy.mockRestore(),
  }
}
