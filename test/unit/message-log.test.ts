// What is remembered of channels, in number, age and bytes; and the limits that this process keeps for its own clients.
import { jest } from '@jest/globals'
import {
  type BusMessage,
  type Draft,
  HISTORY_BYTES,
  HISTORY_BYTES_IN_ALL,
  HISTORY_MS,
} from '../../src/core/bus/bus.ts'
import { createLocalChannel, createLocalChannels } from '../../src/core/bus/local-channel.ts'
import { createMemoryBus } from '../../src/core/bus/memory-bus.ts'
import { bytesOf, createMessageLog } from '../../src/core/bus/message-log.ts'
import type { UnsentMessage } from '../../src/core/bus/redis-bus.ts'
import { createUnsentMessages } from '../../src/core/bus/unsent-messages.ts'
import { createOwnLimit, createOwnLimits } from '../../src/core/limiter.ts'
import { createGate } from '../../src/lib/async/gate.ts'
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
  const messageLog = createMessageLog<Draft>({ now })
  const messages = Array.from({ length: 10 }, large)
  for (const message of messages) messageLog.append('a', message)
  expect(idsOf(messageLog.read('a'))).toEqual(idsOf(messages.slice(-4)))
  expect(messageLog.sizeBytes()).toBeLessThanOrEqual(HISTORY_BYTES)
  expect(messageLog.count()).toBe(4)
  messageLog.append('a', draft('x'.repeat(HISTORY_BYTES)))
  expect(messageLog.has('a')).toBe(false)
})

test('what is too much for all is dropped from the channel that was written to longest ago', () => {
  const messageLog = createMessageLog<Draft>({ now })
  for (let i = 0; i < 100; i += 1) for (let k = 0; k < 4; k += 1) messageLog.append(`${i}`, large())
  expect(messageLog.sizeBytes()).toBeLessThanOrEqual(HISTORY_BYTES_IN_ALL)
  expect(messageLog.sizeBytes()).toBeGreaterThan(HISTORY_BYTES_IN_ALL - HISTORY_BYTES)
  const rest = messageLog.channels()
  expect(rest).toEqual(Array.from({ length: rest.length }, (_, i) => `${100 - rest.length + i}`))
  messageLog.append(rest[0] as string, draft(1))
  messageLog.append('another', large())
  expect(messageLog.has(rest[0] as string)).toBe(true)
  expect(messageLog.read(rest[1] as string).length).toBeLessThan(4)
})

test('what is too old is forgotten', () => {
  const messageLog = createMessageLog<Draft>({ now })
  messageLog.append('a', large())
  turn(HISTORY_MS - 1)
  messageLog.append('b', large())
  turn(1)
  expect([messageLog.read('a'), messageLog.read('b').length, messageLog.count()]).toEqual([[], 1, 2])
  messageLog.prune()
  expect([messageLog.channels(), messageLog.count()]).toEqual([['b'], 1])
})

test('many small values count for what they take, not for their JSON', () => {
  const data = Array.from({ length: 20_000 }, () => ({}))
  expect(bytesOf(draft(data))).toBeGreaterThan(15 * JSON.stringify(data).length)
})

describe('what waits for Redis', () => {
  const open = () => {
    const sent: UnsentMessage[] = []
    const { log, lines } = recordLog()
    const redis = {
      merge: async (_channel: string, messages: readonly UnsentMessage[]) => void sent.push(...messages),
    }
    return { unsent: createUnsentMessages({ redis, log, now }), sent, lines }
  }

  test('is bounded in bytes as well, and the oldest is dropped, which is said when the rest is sent', async () => {
    const { unsent, sent, lines } = open()
    const messages = Array.from({ length: 10 }, large)
    for (const message of messages) unsent.add('a', message, 'new')
    await unsent.send(() => undefined)
    expect(idsOf(sent)).toEqual(idsOf(messages.slice(-4)))
    expect(lines.map(({ level, fields }) => [level, fields])).toEqual([['warn', { dropped: 6 }]])
    for (const message of messages) unsent.add('a', message, 'new')
    for (let i = 0; i < 100; i += 1) for (let k = 0; k < 4; k += 1) unsent.add(`b${i}`, large(), 'new')
    const size = unsent.size()
    expect(size).toBeLessThan(HISTORY_BYTES_IN_ALL / 60_000)
    expect([unsent.has('a'), unsent.has('b99')]).toEqual([false, true])
    await unsent.send(() => undefined)
    expect([unsent.size(), unsent.has('b99')]).toEqual([0, false])
    expect(lines[1]?.fields).toEqual({ dropped: 410 - size })
    await unsent.send(() => undefined)
    expect(lines).toHaveLength(2)
  })

  test('says nothing of what has become too old: it would be no history any more', async () => {
    const { unsent, sent, lines } = open()
    unsent.add('a', draft(1), 'new')
    turn(HISTORY_MS)
    unsent.add('a', draft(2), 'new')
    await unsent.send(() => undefined)
    expect([sent.map(({ data }) => data), lines]).toEqual([[2], []])
  })
})

describe('a channel that somebody listens to', () => {
  const open = () => {
    jest.useFakeTimers({ doNotFake: ['queueMicrotask', 'setImmediate'] })
    let messageLog = createMessageLog<BusMessage>({ now })
    const channels = createLocalChannels({
      create(channel, options) {
        messageLog = options.messageLog
        return createLocalChannel(channel, options)
      },
      log: recordLog().log,
      now,
    })
    return { channels, bus: createMemoryBus({ channels, now }), messageLog: () => messageLog }
  }
  afterEach(() => void jest.useRealTimers())

  test('forgets what is too old all the same, and still has its order', async () => {
    const { channels, bus, messageLog } = open()
    const a = await listen(bus, 'a')
    for (let i = 0; i < 4; i += 1) await bus.publish('a', 'x'.repeat(60_000))
    expect(messageLog().sizeBytes()).toBeGreaterThan(240_000)
    turn(HISTORY_MS)
    jest.advanceTimersByTime(60_000)
    expect(messageLog().sizeBytes()).toBe(0)
    const { offset } = await bus.publish('a', 'more')
    expect([offset, a.wrongs, a.gaps]).toEqual([5, [], []])
    channels.close()
  })

  test('has no more bytes before a slow subscriber than history', async () => {
    const { channels, bus } = open()
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
    channels.close()
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
  const nextTurn = () => new Promise(setImmediate)
  await nextTurn()
  expect(entered).toEqual([6])
  gate.leave(6)
  await nextTurn()
  expect(entered).toEqual([6, 5, 4])
  gate.leave(5)
  gate.leave(4)
  await nextTurn()
  expect(entered).toEqual([6, 5, 4, 20])
  gate.leave(20)
  await nextTurn()
  expect(entered).toEqual([6, 5, 4, 20, 1])
})
