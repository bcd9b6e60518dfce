// What is remembered of channels, in number, age and bytes; and the limits that this process keeps for its own clients.
import { jest } from '@jest/globals'
import { type Draft, HISTORY_BYTES, HISTORY_BYTES_IN_ALL, HISTORY_MS } from '../../src/core/bus/bus.ts'
import { createLine } from '../../src/core/bus/channel.ts'
import { createLines } from '../../src/core/bus/channels.ts'
import { createHistories } from '../../src/core/bus/histories.ts'
import { createMemoryBus } from '../../src/core/bus/memory-bus.ts'
import { bytesOf } from '../../src/core/bus/message-size.ts'
import { createLateMessages } from '../../src/core/bus/unsent-messages.ts'
import { createOwnLimit, createOwnLimits } from '../../src/core/limiter.ts'
import { createGate } from '../../src/lib/gate.ts'
import { createClock } from '../helpers/clock.ts'
import { listen } from '../helpers/listener.ts'
import { recordLog } from '../helpers/log.ts'

const { now, turn } = createClock()
let ids = 0
const draft = (data: Draft['data']): Draft => {
  ids += 1
  return { id: `${ids}`, atMs: now(), data }
}
const large = () => draft('x'.repeat(60_000))
const idsOf = (messages: readonly Draft[]) => messages.map(({ id }) => id)

test('of a channel the last messages are remembered that fit into its bytes', () => {
  const histories = createHistories<Draft>(now)
  const messages = Array.from({ length: 10 }, large)
  for (const message of messages) histories.add('a', message)
  expect(idsOf(histories.of('a'))).toEqual(idsOf(messages.slice(-4)))
  expect(histories.sizeBytes()).toBeLessThanOrEqual(HISTORY_BYTES)
  expect(histories.count()).toBe(4)
  histories.add('a', draft('x'.repeat(HISTORY_BYTES)))
  expect(histories.has('a')).toBe(false)
})

test('what is too much for all is dropped from the channel that was written to longest ago', () => {
  const histories = createHistories<Draft>(now)
  for (let i = 0; i < 100; i += 1) for (let k = 0; k < 4; k += 1) histories.add(`${i}`, large())
  expect(histories.sizeBytes()).toBeLessThanOrEqual(HISTORY_BYTES_IN_ALL)
  expect(histories.sizeBytes()).toBeGreaterThan(HISTORY_BYTES_IN_ALL - HISTORY_BYTES)
  const kept = histories.channels()
  expect(kept).toEqual(Array.from({ length: kept.length }, (_, i) => `${100 - kept.length + i}`))
  histories.add(kept[0] as string, draft(1))
  histories.add('another', large())
  expect(histories.has(kept[0] as string)).toBe(true)
  expect(histories.of(kept[1] as string).length).toBeLessThan(4)
})

test('what is too old is forgotten', () => {
  const histories = createHistories<Draft>(now)
  histories.add('a', large())
  turn(HISTORY_MS - 1)
  histories.add('b', large())
  turn(1)
  expect([histories.of('a'), histories.of('b').length, histories.count()]).toEqual([[], 1, 2])
  histories.forgetOld()
  expect([histories.channels(), histories.count()]).toEqual([['b'], 1])
})

test('many small values count for what they take, not for their JSON', () => {
  const data = Array.from({ length: 20_000 }, () => ({}))
  expect(bytesOf(draft(data))).toBeGreaterThan(15 * JSON.stringify(data).length)
})

test('what waits for Redis is bounded in bytes as well, and the oldest is dropped', () => {
  const late = createLateMessages(now)
  const messages = Array.from({ length: 10 }, large)
  for (const message of messages) late.add('a', message, 'new')
  expect(idsOf(late.first('a', 50))).toEqual(idsOf(messages.slice(-4)))
  for (let i = 0; i < 100; i += 1) for (let k = 0; k < 4; k += 1) late.add(`b${i}`, large(), 'new')
  expect(late.size()).toBeLessThan(HISTORY_BYTES_IN_ALL / 60_000)
  expect([late.has('a'), late.has('b99')]).toEqual([false, true])
  for (const channel of late.channels()) late.remove(channel, late.first(channel, 50))
  expect([late.size(), late.channels()]).toEqual([0, []])
})

describe('a channel that somebody listens to', () => {
  const open = () => {
    jest.useFakeTimers({ doNotFake: ['queueMicrotask', 'setImmediate'] })
    let histories = createHistories<never>(now) as Parameters<typeof createLine>[1]['histories']
    const lines = createLines({
      createLine(channel, options) {
        histories = options.histories
        return createLine(channel, options)
      },
      log: recordLog().log,
      now,
    })
    return { lines, bus: createMemoryBus({ lines, now }), histories: () => histories }
  }
  afterEach(() => void jest.useRealTimers())

  test('forgets what is too old all the same, and still has its order', async () => {
    const { lines, bus, histories } = open()
    const a = await listen(bus, 'a')
    for (let i = 0; i < 4; i += 1) await bus.publish('a', 'x'.repeat(60_000))
    expect(histories().sizeBytes()).toBeGreaterThan(240_000)
    turn(HISTORY_MS)
    jest.advanceTimersByTime(60_000)
    expect(histories().sizeBytes()).toBe(0)
    const { offset } = await bus.publish('a', 'more')
    expect([offset, a.wrongs, a.gaps]).toEqual([5, [], []])
    lines.close()
  })

  test('has no more bytes before a slow subscriber than history', async () => {
    const { lines, bus } = open()
    const releases: (() => void)[] = []
    const slow = await listen(bus, 'a', { wait: () => new Promise((resolve) => releases.push(resolve)) })
    for (let i = 0; i < 20; i += 1) await bus.publish('a', 'x'.repeat(60_000))
    for (let i = 0; i < 10; i += 1) {
      releases[i]?.()
      await new Promise(setImmediate)
    }
    expect(slow.messages).toHaveLength(6) // one that is taken, and five that wait
    expect(slow.gaps).toEqual([
      { channel: 'a', reason: 'behind', to: { epoch: expect.anything(), offset: 20 } },
    ])
    expect(slow.wrongs).toEqual([])
    lines.close()
  })
})

describe('a limit of our own', () => {
  test('lets hits of any weight through, up to its limit in any window', () => {
    const limit = createOwnLimit({ name: 'bytes', limit: 100, windowMs: 1_000 }, now)
    expect([limit.hit(60), limit.hit(41), limit.hit(40), limit.hit(1)]).toEqual([true, false, true, false])
    turn(999)
    expect(limit.hit(1)).toBe(false)
    turn(1)
    expect([limit.isUnused(), limit.hit(100)]).toEqual([true, true])
  })

  test('counts each client by itself', () => {
    const limits = createOwnLimits({ name: 'joins', limit: 1, windowMs: 1_000 }, now)
    expect([limits.hit('a'), limits.hit('a'), limits.hit('b')]).toEqual([true, false, true])
    turn(1_000)
    expect([limits.hit('b'), limits.hit('a')]).toEqual([true, true])
  })
})

test('a gate lets in what fits, the others in their order, and what is too large alone', async () => {
  const gate = createGate(10)
  const entered: number[] = []
  for (const size of [6, 5, 4, 20, 1]) void gate.enter(size).then(() => entered.push(size))
  const settle = () => new Promise(setImmediate)
  await settle()
  expect(entered).toEqual([6])
  gate.leave(6)
  await settle()
  expect(entered).toEqual([6, 5, 4])
  gate.leave(5)
  gate.leave(4)
  await settle()
  expect(entered).toEqual([6, 5, 4, 20])
  gate.leave(20)
  await settle()
  expect(entered).toEqual([6, 5, 4, 20, 1])
})
