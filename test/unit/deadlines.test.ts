import { createDeadlines } from '../../src/lib/deadlines.ts'
import { eventually } from '../helpers/eventually.ts'

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

test('a call that is never settled expires, once, after its budget', async () => {
  const deadlines = createDeadlines(60)
  let expired = 0
  const startedAt = performance.now()
  deadlines.start(() => {
    expired += 1
  })
  await eventually(() => expect(expired).toBe(1), 5_000, 1)
  expect(performance.now() - startedAt).toBeGreaterThanOrEqual(40)
  await sleep(100)
  expect(expired).toBe(1)
})

test('a settled call never expires, also in front of one that does', async () => {
  const deadlines = createDeadlines(40)
  const expired: string[] = []
  const settle = deadlines.start(() => expired.push('settled'))
  deadlines.start(() => expired.push('hanging'))
  settle()
  await eventually(() => expect(expired).toEqual(['hanging']), 5_000)
})

test('time in which this process stood still is not charged to the calls', async () => {
  const deadlines = createDeadlines(100)
  let expired = false
  const settle = deadlines.start(() => {
    expired = true
  })
  const until = performance.now() + 400
  while (performance.now() < until); // an event loop that is blocked four budgets long
  await new Promise((resolve) => setImmediate(resolve))
  expect(expired).toBe(false)
  settle()
})

test('clear drops what is pending', async () => {
  const deadlines = createDeadlines(20)
  let expired = false
  deadlines.start(() => {
    expired = true
  })
  deadlines.clear()
  await sleep(100)
  expect(expired).toBe(false)
})
