// What the channel layer does as time passes: it forgets after two minutes, and members are there as long as their
// process says so. Intervals stand still until a test lets them run; Redis and sockets are real.
import { randomUUID } from 'node:crypto'
import { jest } from '@jest/globals'
import { createClient } from 'redis'
import { HISTORY_MS } from '../../src/core/bus/bus.ts'
import { HEAD_MS } from '../../src/core/bus/channel-scripts.ts'
import { createLocalChannel, createLocalChannels } from '../../src/core/bus/local-channel.ts'
import { createMemoryBus } from '../../src/core/bus/memory-bus.ts'
import type { BusParts } from '../../src/core/bus/open-bus.ts'
import { createRedisBus } from '../../src/core/bus/redis-bus.ts'
import { PRESENCE_LEASE_MS } from '../../src/core/bus/redis-presence.ts'
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
  test('a message is remembered for two minutes, and a subscriber learns that an older one is missing', async () => {
    const { now, turn } = createClock()
    const channels = createLocalChannels({ log: recordLog().log, now })
    const bus = createMemoryBus({ channels, now })
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
    channels.close()
  })

  test('a channel that nobody listens to is forgotten with its last message', async () => {
    jest.useFakeTimers({ doNotFake: [...FOR_REAL] })
    const { now, turn } = createClock()
    const channels = createLocalChannels({ log: recordLog().log, now })
    const bus = createMemoryBus({ channels, now })
    await bus.publish('call:left', 1)
    jest.advanceTimersByTime(HISTORY_MS)
    expect(channels.find('call:left')).toBeDefined()
    turn(HISTORY_MS)
    jest.advanceTimersByTime(HISTORY_MS)
    expect(channels.find('call:left')).toBeUndefined()
    channels.close()
    jest.useRealTimers()
  })
})

describe('in Redis', () => {
  let redis: TestRedis
  let client: Awaited<ReturnType<typeof connect>>
  let up: TestProcess
  let other: TestProcess
  let watched: TestProcess
  let intervals: ReturnType<typeof holdIntervals>
  const { renewed, busParts } = recordRenewals()

  beforeAll(async () => {
    redis = await startRedis()
    client = await connect(redis.url)
    intervals = holdIntervals()
    up = await openProcess({ cacheUrl: redis.url, budgetMs: 2_000 })
    other = await openProcess({ cacheUrl: redis.url, budgetMs: 2_000 })
    watched = await openProcess({ cacheUrl: redis.url, budgetMs: 2_000, busParts })
    for (const process of [up, other, watched]) await process.untilStatus('redis')
  })
  afterAll(async () => {
    for (const process of [up, other, watched]) await process.close()
    intervals.end()
    client.destroy()
    await redis.stop()
  })

  const keyOf = (channel: string, part: 'head' | 'here' | 'log') => `samovar:bus:{${channel}}:${part}`
  const endOf = async (channel: string, id: string) =>
    Number((await client.hGet(keyOf(channel, 'here'), id))?.split('\n')[0])

  test('a message is remembered for two minutes, and a subscriber learns that an older one is missing', async () => {
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
    intervals.run(HEAD_MS / 3)
    await eventually(async () =>
      expect(await client.pTTL(keyOf(channel, 'head'))).toBeGreaterThan(HEAD_MS - 15_000),
    )
    subscription.close()
    await client.pExpire(keyOf(channel, 'head'), 60_000)
    intervals.run(HEAD_MS / 3)
    await up.bus.publish(name(), 'something')
    expect(await client.pTTL(keyOf(channel, 'head'))).toBeLessThanOrEqual(60_000)
  })

  /** Rewrites the log of a channel as if its messages had come so long ago. */
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
    const endsAt = Date.now() + PRESENCE_LEASE_MS / 4
    await client.hSet(keyOf(channel, 'here'), 'a', `${endsAt}\n${node}\n1`)
    expect(await endOf(channel, 'a')).toBe(endsAt)
    intervals.run(RENEWAL_MS)
    await eventually(async () =>
      expect(await endOf(channel, 'a')).toBeGreaterThan(Date.now() + PRESENCE_LEASE_MS - 15_000),
    )
  })

  test('subscribers learn of a member whose process ended, without asking', async () => {
    const channel = name()
    const lost: string[] = []
    other.bus.onMember((where, news, { id }) => where === channel && lost.push(`${news} ${id}`))
    await listen(other.bus, channel)
    await client.hSet(keyOf(channel, 'here'), 'crashed', `${Date.now() + PRESENCE_LEASE_MS}\nsome-node\nnull`)
    expect(await other.bus.members(channel)).toHaveLength(1)
    await client.hSet(keyOf(channel, 'here'), 'crashed', `${Date.now() - 1}\nsome-node\nnull`)
    intervals.run(RENEWAL_MS)
    await eventually(() => expect(lost).toEqual(['lost crashed']))
    expect(await client.hExists(keyOf(channel, 'here'), 'crashed')).toBe(0)
  })

  test('what pub/sub missed is found by the next renewal', async () => {
    const channel = name()
    const news: string[] = []
    other.bus.onMember((where, what, { id }) => where === channel && news.push(`${what} ${id}`))
    await listen(other.bus, channel)
    await other.bus.enter(channel, { id: 'a', info: 1 }, 5)
    const key = keyOf(channel, 'here')
    await client.hSet(key, 'quiet', `${Date.now() + PRESENCE_LEASE_MS}\nsome-node\nnull`)
    intervals.run(RENEWAL_MS)
    await eventually(() => expect(news).toEqual(['back quiet']))
    await client.hDel(key, 'quiet')
    intervals.run(RENEWAL_MS)
    await eventually(() => expect(news).toEqual(['back quiet', 'lost quiet']))
  })

  test('only channels with members of ours, or that somebody listens to with others in them, are renewed', async () => {
    const [empty, own, heard, asked, left] = [name(), name(), name(), name(), name()]
    for (const channel of [empty, own, heard, left]) await listen(watched.bus, channel)
    for (const channel of [heard, asked]) await up.bus.enter(channel, { id: 'theirs', info: 0 }, 5)
    for (const channel of [own, left]) await watched.bus.enter(channel, { id: 'ours', info: 0 }, 5)
    await watched.bus.leave(left, 'ours')
    for (const channel of [heard, asked])
      await eventually(async () => expect(await watched.bus.members(channel)).toHaveLength(1))
    for (let i = 0; i < 2; i += 1) {
      renewed.length = 0
      intervals.run(RENEWAL_MS)
      await eventually(() => expect(renewed.toSorted()).toEqual([own, heard].toSorted()))
    }
  })
})

describe('while Redis is away', () => {
  let redis: TestRedis
  let process: TestProcess
  const { renewed, busParts } = recordRenewals()

  beforeAll(async () => {
    redis = await startRedis()
    await redis.kill()
    jest.useFakeTimers({ doNotFake: FOR_REAL.filter((name) => name !== 'Date'), now: Date.now() })
    process = await openProcess({ cacheUrl: redis.url, busParts })
  })
  afterAll(async () => {
    await process.close()
    jest.useRealTimers()
    await redis.stop()
  })

  test('who left longer ago than a lease is forgotten', async () => {
    const [old, recent, stays] = [name(), name(), name()]
    for (const channel of [old, stays, recent]) await process.bus.enter(channel, { id: 'a', info: 0 }, 5)
    await process.bus.leave(old, 'a')
    jest.advanceTimersByTime(PRESENCE_LEASE_MS)
    await process.bus.leave(recent, 'a')
    jest.advanceTimersByTime(RENEWAL_MS)
    renewed.length = 0
    await redis.start()
    await process.untilStatus('redis')
    expect(new Set(renewed)).toEqual(new Set([recent, stays]))
  })
})

/** Intervals that run when a test says so: all of one length, once. */
function holdIntervals() {
  const held = new Map<unknown, { ms: number; call: () => void }>()
  const setting = jest.spyOn(globalThis, 'setInterval').mockImplementation(((
    call: () => void,
    ms: number,
  ) => {
    const timer = { unref: () => timer }
    held.set(timer, { ms, call })
    return timer
  }) as unknown as typeof setInterval)
  const clearing = jest
    .spyOn(globalThis, 'clearInterval')
    .mockImplementation((timer) => void held.delete(timer))
  return {
    run(ms: number): void {
      const due = [...held.values()].filter((one) => one.ms === ms)
      expect(due.length).toBeGreaterThan(0)
      for (const { call } of due) call()
    },
    end(): void {
      setting.mockRestore()
      clearing.mockRestore()
    },
  }
}

function recordRenewals() {
  const renewed: string[] = []
  const busParts: BusParts = {
    createLocalChannel,
    createRedisBus(options) {
      const redis = createRedisBus(options)
      return {
        ...redis,
        renew(channel, report) {
          renewed.push(channel)
          return redis.renew(channel, report)
        },
      }
    },
  }
  return { renewed, busParts }
}
