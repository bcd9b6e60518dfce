// Time that a test turns: timers and clocks of everything in this process stand still but for what is asked here, while
// sockets go on for real. So an outage of minutes takes milliseconds, and a timer never runs because a machine was
// slow.
import { jest } from '@jest/globals'
import { dropDeadlines } from '../../src/lib/async/deadlines.ts'
import type { Random } from './random.ts'

const QUIET_MS = 1

export interface VirtualTime {
  /** Lets timers run while nothing moves on the network, until the work is done. */
  finish<T>(work: Promise<T>): Promise<T>
  /** The same, until the condition holds; throws after a virtual minute. */
  until(what: string, condition: () => boolean): Promise<void>
  /** Lets this much time go by, as fast as the network is quiet. */
  pass(ms: number): Promise<void>
  /** Sets the wall clock, forward or back; no timer notices. */
  stepClock(ms: number): void
  end(): void
}

export interface VirtualTimeOptions {
  /** Grows while something moves on the network. */
  traffic: () => number
  startMs: number
  /** In the place of Math.random, so that back-off and jitter can be repeated too. */
  random: Random
}

export function beginVirtualTime({ traffic, startMs, random }: VirtualTimeOptions): VirtualTime {
  const realNow = performance.now.bind(performance)
  jest.useFakeTimers({
    now: startMs,
    doNotFake: ['nextTick', 'setImmediate', 'clearImmediate', 'queueMicrotask'],
  })

  const dice = jest.spyOn(Math, 'random').mockImplementation(() => random.below(2 ** 32) / 2 ** 32)

  async function run(isDone: () => boolean, limitMs = 60_000): Promise<boolean> {
    let before = traffic()
    let quietSinceMs = realNow()
    const endMs = performance.now() + limitMs
    while (performance.now() < endMs && !isDone()) {
      await new Promise(setImmediate)
      if (traffic() !== before) {
        before = traffic()
        quietSinceMs = realNow()
      } else if (realNow() - quietSinceMs > QUIET_MS) {
        jest.advanceTimersToNextTimer()
        quietSinceMs = realNow()
      }
    }
    return isDone()
  }

  return {
    async finish(work) {
      let isDone = false
      const done = () => {
        isDone = true
      }
      work.then(done, done)
      await run(() => isDone)
      if (!isDone) throw new Error('a call was not answered within a minute')
      return work
    },
    async until(what, condition) {
      if (!(await run(condition))) throw new Error(`not within a minute: ${what}`)
    },
    pass: async (ms) => void (await run(() => false, ms)),
    stepClock: (ms) => void jest.setSystemTime(Date.now() + ms),
    end() {
      dropDeadlines() // their sweep ends with this clock, and those of the next test would wait for it
      dice.mockRestore()
      jest.useRealTimers()
    },
  }
}
