// A wall clock that a test can put forward; timers go on as they are. Begin before the app is made: it keeps its clock.
import { jest } from '@jest/globals'

export interface Ahead {
  /** Puts the clock forward. */
  pass(ms: number): void
  end(): void
}

export function beginAhead(): Ahead {
  const realNow = Date.now.bind(Date)
  let aheadMs = 0
  const spy = jest.spyOn(Date, 'now').mockImplementation(() => realNow() + aheadMs)
  return {
    pass(ms) {
      aheadMs += ms
    },
    end: () => spy.mockRestore(),
  }
}
