// What the channel layer does as time goes by: it forgets after two minutes, and members are there as long as their process
// says so. Intervals stand still until a test lets them run; Redis and sockets go on for real.
import { randomUUID } from 'node:crypto'
import { jest } from '@jest/globals'
import { createClient } from 'redis'
import { HISTORY_MS } from '../../src/infra/bus/bus.ts'
import { HEAD_MS } from '../../src/infra/bus/bus-scripts.ts'
import { createLine } from '../../src/infra/bus/line.ts'
import { createLines } from '../../src/infra/bus/lines.ts'
import { createMemoryBus } from '../../src/infra/bus/memory-bus.ts'
import { LEASE_MS } from '../../src/infra/bus/redis-bus.ts'
import { createClock } from '../helpers/clock.ts'
import { eventually } from '../helpers/eventually.ts'
import { listen } from '../helpers/listener.ts'
import { recordLog } from '../helpers/log.ts'
import { startRedis, type TestRedis } from '../helpers/redis-server.ts'
import { openProcess, type TestProcess } from '../helpers/stores.ts'

const RENEWAL_MS = 20_000
const FOR_REAL = [
  'Date',
  'performance',
  'hrtime',
  'nextTick',
  'queueMicrotask',
  'setImmediate',
  'clearImmediate',
  'setTimeout',
  'clearTimeout',
] as const
const connect = (url: string) => createClient({ url }).connect()
const name = () => `call:${randomUUID()}`
const dataOf = (messages: readonly { data: unknown }[]) => messages.map(({ data }) => data)

describe('in memory', () => {
  test('a message is remembered for two minutes, and who asks for an older one is told that it is missing', async () => {
    const { now, turn } = createClock()
    const lines = createLines({ createLine, log: recordLog().log, now })
    const bus = createMemoryBus({ lines, now })
    const channel = name()
    const { subscription } = await listen(bus, channel)
    await bus.publish(channel, 'old')
    turn(HISTORY_MS - 1)
    await bus.publish(channel, 'new')
    expect(dataOf(await bus.history(channel))).toEqual(['old', 'new'])
    turn(1)
    expect(dataOf(await bus.history(channel))).toEqual(['new'])
    const back = await listen(bus, channel, { since: subscription.position })
    expect([back.subscription.recovered, back.data()]).toEqual([false, ['new']])
    lines.close()
  })

  test('a channel that nobody listens to is forgotten with its last message', async () => {
    jest.useFakeTimers({ doNotFake: [...FOR_REAL] })
    const { now, turn } = createClock()
    const lines = createLines({ createLine, log: recordLog().log, now })
    const bus = createMemoryBus({ lines, now })
    await bus.publish('call:left', 1)
    jest.advanceTimersByTime(HISTORY_MS)
    expect(lines.find('call:left')).toBeDefined()
    turn(HISTORY_MS)
    jest.advanceTimersByTime(HISTORY_MS)
    expect(lines.find('call:left')).toBeUndefined()
    lines.close()
    jest.useRealTimers()
  })
})

describe('in Redis', () => {
  let redis: TestRedis
  let client: Awaited<ReturnType<typeof connect>>
  let up: TestProcess
  let other: TestProcess

  beforeAll(async () => {
    redis = await startRedis()
    client = await connect(redis.url)
    jest.useFakeTimers({ doNotFake: [...FOR_REAL] })
    up = await openProcess({ cacheUrl: redis.url, budgetMs: 2_000 })
    other = await openProcess({ cacheUrl: redis.url, budgetMs: 2_000 })
    await up.untilStatus('redis')
    await other.untilStatus('redis')
  })
  afterAll(async () => {
    await up.close()
    await other.close()
    jest.useRealTimers()
    client.destroy()
    await redis.stop()
  })

  const keyOf = (channel: string, part: 'head' | 'here' | 'log') => `samovar:bus:{${channel}}:${part}`
  const endOf = async (channel: string, id: string) =>
    Number((await client.hGet(keyOf(channel, 'here'), id))?.split('\n')[0])

  test('a message is remembered for two minutes, and who asks for an older one is told that it is missing', async () => {
    const channel = name()
    const start = await listen(up.bus, channel)
    const before = start.position()
    for (const data of ['old', 'older than it looks', 'new']) await up.bus.publish(channel, data)
    await age(channel, [HISTORY_MS + 1_000, HISTORY_MS + 1, 0])
    expect(dataOf(await other.bus.history(channel))).toEqual(['new'])
    const back = await listen(other.bus, channel, { since: before })
    expect([back.subscription.recovered, back.data()]).toEqual([false, ['new']])
    expect(back.wrongs).toEqual([])
    await up.bus.publish(channel, 'newest')
    expect(await client.xLen(keyOf(channel, 'log'))).toBe(2)
    expect(start.wrongs).toEqual([])
  })

  test('a quiet channel is there for minutes, and as long as somebody listens to it', async () => {
    const channel = name()
    const { subscription } = await listen(up.bus, channel)
    expect(await client.pTTL(keyOf(channel, 'head'))).toBeLessThanOrEqual(HEAD_MS)
    expect(HEAD_MS).toBeLessThanOrEqual(10 * 60_000)
    await client.pExpire(keyOf(channel, 'head'), 60_000)
    jest.advanceTimersByTime(HEAD_MS / 3)
    await eventually(async () =>
      expect(await client.pTTL(keyOf(channel, 'head'))).toBeGreaterThan(HEAD_MS - 15_000),
    )
    subscription.close()
    await client.pExpire(keyOf(channel, 'head'), 60_000)
    jest.advanceTimersByTime(HEAD_MS / 3)
    await up.bus.publish(name(), 'something')
    expect(await client.pTTL(keyOf(channel, 'head'))).toBeLessThanOrEqual(60_000)
  })

  /** Writes the log of a channel anew, as if its messages had come so long ago. */
  async function age(channel: string, agesMs: readonly number[]): Promise<void> {
    const log = keyOf(channel, 'log')
    const entries = (await client.xRange(log, '-', '+')) ?? []
    expect(entries).toHaveLength(agesMs.length)
    await client.del(log)
    for (const [i, { id, message }] of entries.entries())
      await client.xAdd(log, id, { ...message, t: String(Date.now() - (agesMs[i] ?? 0)) })
  }

  test('the lease of a member is renewed while its process lives', async () => {
    const channel = name()
    await up.bus.enter(channel, { id: 'a', info: 1 }, 5)
    const node = (await client.hGet(keyOf(channel, 'here'), 'a'))?.split('\n')[1]
    const endsAt = Date.now() + 1_000
    await client.hSet(keyOf(channel, 'here'), 'a', `${endsAt}\n${node}\n1`)
    jest.advanceTimersByTime(RENEWAL_MS - 1)
    expect(await endOf(channel, 'a')).toBe(endsAt)
    jest.advanceTimersByTime(1)
    await eventually(async () =>
      expect(await endOf(channel, 'a')).toBeGreaterThan(Date.now() + LEASE_MS - 15_000),
    )
  })

  test('who is in the channel is told of a member whose process ended, without asking', async () => {
    const channel = name()
    const lost: string[] = []
    other.bus.onLost((where, id) => where === channel && lost.push(id))
    await listen(other.bus, channel)
    await client.hSet(keyOf(channel, 'here'), 'crashed', `${Date.now() - 1}\nsome-node\nnull`)
    jest.advanceTimersByTime(RENEWAL_MS)
    await eventually(() => expect(lost).toEqual(['crashed']))
    expect(await client.hExists(keyOf(channel, 'here'), 'crashed')).toBe(0)
  })
})
