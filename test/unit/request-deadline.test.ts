// Judged in virtual time: on a busy machine a command of 45 ms takes longer, and two of them are the whole budget.

import { hasTimeLeft, waitFor, withDeadline, withoutDeadline } from '../../src/lib/async/request-deadline.ts'
import { pause } from '../../src/lib/time.ts'
import { createRandom } from '../helpers/random.ts'
import { beginVirtualTime, type VirtualTime } from '../helpers/virtual-time.ts'

const BUDGET_MS = 100

let time: VirtualTime
beforeAll(() => {
  time = beginVirtualTime({ traffic: () => 0, startMs: 0, random: createRandom(1) })
})
afterAll(() => time.end())

/** Does the work as a request with a budget. */
const request = <T>(work: (end: () => void) => Promise<T>) =>
  time.finish(
    new Promise<T>((resolve, reject) =>
      withDeadline(BUDGET_MS, (end) => void work(end).then(resolve, reject)),
    ),
  )

/** A command that takes so long; whether it was waited for. */
const command = (ms: number) =>
  waitFor(
    pause(ms).then(() => true),
    () => new Error('too long'),
  ).catch((error: Error) => error.message === 'too long' && false)

test('commands one after another get one budget together, and nothing is asked after it', async () => {
  const startedAt = performance.now()
  const answers = await request(async () => {
    const made = []
    while (hasTimeLeft() && made.length < 10) made.push(await command(45))
    return made
  })
  expect(answers).toEqual([true, true, false]) // the third got what was left, a tenth
  expect(performance.now() - startedAt).toBeLessThan(2 * BUDGET_MS)
})

test('commands at once count once, and time without a command not at all', async () => {
  await request(async () => {
    expect(await Promise.all([command(40), command(40), command(40)])).toEqual([true, true, true])
    await pause(2 * BUDGET_MS)
    expect(hasTimeLeft()).toBe(true)
    expect(await command(20)).toBe(true)
  })
})

test('the first command is left to its own budget, and uses up that of the request', async () => {
  await request(async () => {
    expect(await command(3 * BUDGET_MS)).toBe(true)
    expect(hasTimeLeft()).toBe(false)
    expect(await command(BUDGET_MS)).toBe(false)
  })
})

test('requests have budgets of their own', async () => {
  const waits = () => request(async () => [await command(60), hasTimeLeft()])
  expect(await Promise.all([waits(), waits(), waits()])).toEqual(Array(3).fill([true, true]))
})

test('what is under way when the request ends, and what begins after it, is not limited', async () => {
  await request(async (end) => {
    await command(10)
    const underWay = command(2 * BUDGET_MS)
    end()
    expect(await underWay).toBe(true)
    expect(hasTimeLeft()).toBe(true)
    expect(await command(2 * BUDGET_MS)).toBe(true)
  })
})

test('what no request waits for, and what is outside of any, is not limited', async () => {
  await request(async () => {
    await command(10)
    expect(await withoutDeadline(() => command(2 * BUDGET_MS))).toBe(true)
    expect(hasTimeLeft()).toBe(true)
  })
  expect(await time.finish(command(2 * BUDGET_MS))).toBe(true)
})
