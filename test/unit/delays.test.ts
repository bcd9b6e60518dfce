// Delays that are the difference of two times: Node takes what is below 0 or above 24 days for 1 ms, and warns. The
// clock may be set between the two, and a process may stand still.
import { randomUUID } from 'node:crypto'
import { createOnce, WORK_MS } from '../../src/core/once.ts'
import { createSchedules } from '../../src/core/queue/schedules.ts'
import type { State } from '../../src/core/state/state.ts'
import { webhookKeys } from '../../src/features/webhooks/webhook-keys.ts'
import { DAY, HOUR, MINUTE, type StartTimer } from '../../src/lib/time.ts'
import { createClock } from '../helpers/clock.ts'
import { recordLog } from '../helpers/log.ts'
import { openProcess, type TestProcess } from '../helpers/stores.ts'

let alone: TestProcess
beforeAll(async () => {
  alone = await openProcess({ cacheUrl: 'off' })
})
afterAll(() => alone.close())

/** A timer that never rings, and what it was given. */
function createTimer() {
  const delays: number[] = []
  const timer: StartTimer = (ms) => {
    delays.push(ms)
    return () => {}
  }
  return { delays, timer }
}

describe('work that is done once', () => {
  /** What becomes of work whose lease was taken before the clock was turned so far. */
  async function runAfter(turnMs: number) {
    const { delays, timer } = createTimer()
    const clock = createClock(Date.now())
    const { state } = alone
    let looks = 0
    const turning: Pick<State, 'claimed'> = {
      async claimed(key) {
        looks += 1
        if (looks === 2) clock.turn(turnMs) // the first look is before the lease is taken
        return state.claimed(key)
      },
    }
    const once = createOnce({ state: { ...state, ...turning }, now: clock.now, timer })
    const key = webhookKeys.webhook('test', randomUUID())
    let runs = 0
    const work = async () => {
      runs += 1
      return Buffer.from('x')
    }
    const run = () => once.run({ key, fingerprint: 'a', work })
    const first = await run().catch(({ code }) => code)
    return { first, runs: () => runs, delays, run }
  }

  test('has its time, and no more where the clock was set back', async () => {
    for (const turnMs of [0, -MINUTE, -100 * DAY]) {
      const { first, delays } = await runAfter(turnMs)
      expect([first.kind, delays]).toEqual(['done', [WORK_MS]])
    }
  })

  test('is not begun when its time is up already, and the next one may begin', async () => {
    for (const turnMs of [WORK_MS, MINUTE]) {
      const { first, runs, delays, run } = await runAfter(turnMs)
      expect([first, runs(), delays]).toEqual(['timed_out', 0, []])
      expect(await run()).toMatchObject({ kind: 'done', replayed: false })
    }
  })
})

test('a schedule: the next run is ahead, wherever in its interval the clock is read', () => {
  const { delays, timer } = createTimer()
  let nowMs = 0
  const schedules = createSchedules({
    state: alone.state,
    add: async () => {},
    startsRuns: () => false,
    knowsLastSlots: () => true,
    log: recordLog().log,
    now: () => {
      nowMs += 7 // a slow machine: time passes between any two looks
      return nowMs
    },
    timer,
  })
  const schedule = { data: null, catchUp: 'skip' } as const
  for (let i = 0; i < 20; i += 1) schedules.set('often', { ...schedule, everyMs: 10 })
  schedules.set('rarely', { ...schedule, everyMs: 100 * DAY })
  expect(delays).toHaveLength(21)
  for (const delayMs of delays) {
    expect(delayMs).toBeGreaterThan(0)
    expect(delayMs).toBeLessThanOrEqual(HOUR)
  }
})
