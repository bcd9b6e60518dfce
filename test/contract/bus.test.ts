// One suite for the channel layer, wherever its order comes from: Redis, or memory while it is away or switched off.
import { randomUUID } from 'node:crypto'
import { type Bus, HISTORY_BYTES, HISTORY_BYTES_IN_ALL, HISTORY_MESSAGES } from '../../src/core/bus/bus.ts'
import { eventually } from '../helpers/eventually.ts'
import { listen } from '../helpers/listener.ts'
import { startRedis, type TestRedis } from '../helpers/redis-server.ts'
import { openProcess, type TestProcess } from '../helpers/stores.ts'

let redis: TestRedis
let up: TestProcess
let other: TestProcess
let off: TestProcess
let away: TestProcess

beforeAll(async () => {
  redis = await startRedis()
  up = await openProcess({ cacheUrl: redis.url, budgetMs: 2_000 })
  other = await openProcess({ cacheUrl: redis.url, budgetMs: 2_000 })
  off = await openProcess({ cacheUrl: 'off' })
  away = await openProcess({ cacheUrl: 'redis://127.0.0.1:1/0' })
  await up.untilStatus('redis')
  await other.untilStatus('redis')
})
afterAll(async () => {
  for (const process of [up, other, off, away]) await process.close()
  await redis.stop()
})

const name = () => `call:${randomUUID()}`
const numbers = (count: number, from = 1) => Array.from({ length: count }, (_, i) => from + i)

const large = (number: number) => `${number} ${'x'.repeat(60_000)}`
const numbersOf = (messages: readonly { data: unknown }[]) =>
  messages.map(({ data }) => Number.parseInt(data as string, 10))

async function publishAll(bus: Bus, channel: string, data: readonly number[]): Promise<void> {
  for (const number of data) await bus.publish(channel, number)
}

describe.each(['redis', 'memory', 'failover'] as const)('%s', (where) => {
  const bus = () => ({ redis: up, memory: off, failover: away })[where].bus

  test('every subscriber has a message when its publish resolves, in order, and nobody else has', async () => {
    const channel = name()
    const [a, b] = [await listen(bus(), channel), await listen(bus(), channel)]
    const elsewhere = await listen(bus(), name())
    for (const number of numbers(5)) {
      await bus().publish(channel, { number })
      expect(a.data().at(-1)).toEqual({ number })
    }
    expect(b.messages).toEqual(a.messages)
    expect(a.messages.map(({ offset }) => offset)).toEqual(numbers(5, a.subscription.position.offset + 1))
    expect([a.wrongs, b.wrongs, a.gaps, b.gaps]).toEqual([[], [], [], []])
    expect(elsewhere.messages).toEqual([])
  })

  test('what is published concurrently comes in the order of the calls', async () => {
    const channel = name()
    const a = await listen(bus(), channel)
    const positions = await Promise.all(numbers(300).map((number) => bus().publish(channel, number)))
    expect(a.data()).toEqual(numbers(300))
    expect(positions.map(({ offset }) => offset)).toEqual(a.messages.map(({ offset }) => offset))
    expect([a.wrongs, a.gaps]).toEqual([[], []])
  })

  test('any JSON arrives as it was, with the time of its publishing', async () => {
    const channel = name()
    const a = await listen(bus(), channel)
    const all = [null, '', 'строка\nи ещё', 0, -1.5, true, [], {}, { a: [{ b: null }] }]
    const before = Date.now()
    for (const data of all) await bus().publish(channel, data)
    expect(a.data()).toEqual(all)
    for (const { atMs } of a.messages) {
      expect(atMs).toBeGreaterThanOrEqual(before)
      expect(atMs).toBeLessThanOrEqual(Date.now())
    }
  })

  test('who publishes while it is given a message does not come before it anywhere', async () => {
    const channel = name()
    let answer: Promise<unknown> | undefined
    await bus().subscribe(channel, {
      message({ data }) {
        if (data === 1) answer = bus().publish(channel, 2)
      },
      gap() {},
    })
    const a = await listen(bus(), channel)
    await bus().publish(channel, 1)
    await answer
    expect(a.data()).toEqual([1, 2])
    expect(a.wrongs).toEqual([])
  })

  test('who has closed its subscription hears no more, and others do', async () => {
    const channel = name()
    const [a, b] = [await listen(bus(), channel), await listen(bus(), channel)]
    await bus().publish(channel, 1)
    a.subscription.close()
    a.subscription.close()
    await bus().publish(channel, 2)
    expect(a.data()).toEqual([1])
    expect(b.data()).toEqual([1, 2])
    b.subscription.close()
    await bus().publish(channel, 3)
    const c = await listen(bus(), channel)
    await bus().publish(channel, 4)
    expect(b.data()).toEqual([1, 2])
    expect(c.data()).toEqual([4])
    expect(c.wrongs).toEqual([])
  })

  test('who comes back is given what it missed', async () => {
    const channel = name()
    const stays = await listen(bus(), channel)
    const a = await listen(bus(), channel)
    await publishAll(bus(), channel, [1, 2])
    a.subscription.close()
    await publishAll(bus(), channel, [3, 4])
    const back = await listen(bus(), channel, { since: a.position() })
    expect(back.subscription.recovered).toBe(true)
    expect(back.subscription.missed.map(({ data }) => data)).toEqual([3, 4])
    expect(back.subscription.position).toEqual(stays.position())
    await bus().publish(channel, 5)
    expect(back.data()).toEqual([3, 4, 5])
    expect(back.wrongs).toEqual([])
    const nothing = await listen(bus(), channel, { since: back.position() })
    expect([nothing.subscription.recovered, nothing.subscription.missed]).toEqual([true, []])
  })

  test('who was away for more than history holds is told that something is missing', async () => {
    const channel = name()
    const a = await listen(bus(), channel)
    const before = a.position()
    await publishAll(bus(), channel, numbers(HISTORY_MESSAGES + 20))
    const back = await listen(bus(), channel, { since: before })
    expect(back.subscription.recovered).toBe(false)
    expect(back.data()).toEqual(numbers(HISTORY_MESSAGES, 21))
    const stranger = await listen(bus(), channel, { since: { epoch: 'another', offset: 3 } })
    expect([stranger.subscription.recovered, stranger.subscription.missed]).toEqual([false, []])
    const ahead = await listen(bus(), channel, { since: { ...a.position(), offset: 9_999 } })
    expect(ahead.subscription.recovered).toBe(false)
  })

  test('history is the last messages, for who never listened too', async () => {
    const channel = name()
    expect(await bus().history(channel)).toEqual([])
    await publishAll(bus(), channel, numbers(HISTORY_MESSAGES + 5))
    const history = await bus().history(channel)
    expect(history.map(({ data }) => data)).toEqual(numbers(HISTORY_MESSAGES, 6))
    expect(history.map(({ offset }) => offset)).toEqual(
      numbers(HISTORY_MESSAGES, (history[0]?.offset ?? 0) as number),
    )
  })

  test('history is as many bytes as it holds, and who was away for more learns that something is missing', async () => {
    const channel = name()
    const a = await listen(bus(), channel)
    const before = a.position()
    for (const number of numbers(10)) await bus().publish(channel, large(number))
    expect(numbersOf(a.messages)).toEqual(numbers(10))
    expect([a.wrongs, a.gaps]).toEqual([[], []])
    expect(numbersOf(await bus().history(channel))).toEqual([7, 8, 9, 10])
    const back = await listen(bus(), channel, { since: before })
    expect([back.subscription.recovered, numbersOf(back.messages)]).toEqual([false, [7, 8, 9, 10]])
    await bus().publish(channel, large(11))
    expect(numbersOf(back.messages)).toEqual([7, 8, 9, 10, 11])
    expect(back.wrongs).toEqual([])
  })

  test('a subscriber that is too slow gets one gap for what it was not given, and what comes after', async () => {
    const channel = name()
    const releases: (() => void)[] = []
    const slow = await listen(bus(), channel, {
      capacity: 5,
      wait: () => new Promise((resolve) => releases.push(resolve)),
    })
    const quick = await listen(bus(), channel)
    await publishAll(bus(), channel, numbers(20))
    expect(quick.data()).toEqual(numbers(20))
    for (let i = 0; i < 6; i += 1)
      await eventually(() => expect(releases.length).toBeGreaterThan(i)).then(releases[i])
    await eventually(() => expect(slow.gaps).toHaveLength(1))
    expect(slow.gaps[0]).toMatchObject({ reason: 'behind', to: quick.position() })
    expect(slow.data()).toEqual(numbers(6))
    await bus().publish(channel, 21)
    expect(slow.data()).toEqual([...numbers(6), 21])
    expect(slow.wrongs).toEqual([])
  })

  test('a gap whose promise is pending holds up what comes after it', async () => {
    const channel = name()
    const told: unknown[] = []
    const releases: (() => void)[] = []
    const wait = () => new Promise<void>((resolve) => releases.push(resolve))
    await bus().subscribe(channel, {
      capacity: 1,
      message({ data }) {
        told.push(data)
        return data === 1 ? wait() : undefined
      },
      gap({ reason }) {
        told.push(reason)
        return wait()
      },
    })
    const quick = await listen(bus(), channel)
    await publishAll(bus(), channel, [1, 2, 3])
    releases[0]?.()
    await eventually(() => expect(told).toEqual([1, 2, 'behind']))
    await bus().publish(channel, 4)
    expect(quick.data()).toEqual([1, 2, 3, 4])
    expect(told).toEqual([1, 2, 'behind'])
    releases[1]?.()
    await eventually(() => expect(told).toEqual([1, 2, 'behind', 4]))
  })

  test('a subscriber that throws is not the others’ trouble', async () => {
    const channel = name()
    await bus().subscribe(channel, {
      message() {
        throw new Error('a bug')
      },
      gap() {},
    })
    const a = await listen(bus(), channel)
    await publishAll(bus(), channel, [1, 2])
    expect(a.data()).toEqual([1, 2])
  })

  test('who is in a channel, up to as many as it takes', async () => {
    const channel = name()
    expect(await bus().members(channel)).toEqual([])
    expect(await bus().enter(channel, { id: 'a', info: { name: 'А' } }, 2)).toEqual([
      { id: 'a', info: { name: 'А' } },
    ])
    expect(await bus().enter(channel, { id: 'b', info: null }, 2)).toHaveLength(2)
    expect(await bus().enter(channel, { id: 'c', info: null }, 2)).toBeUndefined()
    // Who is there may come again, with other news.
    expect(await bus().enter(channel, { id: 'a', info: 2 }, 2)).toContainEqual({ id: 'a', info: 2 })
    await bus().leave(channel, 'b')
    await bus().leave(channel, 'nobody')
    expect(await bus().members(channel)).toEqual([{ id: 'a', info: 2 }])
    expect(await bus().enter(channel, { id: 'c', info: null }, 2)).toHaveLength(2)
  })

  test('of many who enter concurrently no more get in than there is room', async () => {
    const channel = name()
    const entered = await Promise.all(
      numbers(10).map((i) => bus().enter(channel, { id: `m${i}`, info: i }, 4)),
    )
    expect(entered.filter(Boolean)).toHaveLength(4)
    expect(await bus().members(channel)).toHaveLength(4)
  })
})

describe('two processes', () => {
  test('have the same messages in the same places', async () => {
    const channel = name()
    const [a, b] = [await listen(up.bus, channel), await listen(other.bus, channel)]
    await Promise.all([
      ...numbers(50).map((number) => up.bus.publish(channel, number)),
      ...numbers(50, 51).map((number) => other.bus.publish(channel, number)),
    ])
    await eventually(() => expect([a.messages.length, b.messages.length]).toEqual([100, 100]))
    expect(b.messages).toEqual(a.messages)
    expect([a.wrongs, b.wrongs, a.gaps, b.gaps]).toEqual([[], [], [], []])
    expect(await other.bus.history(channel)).toEqual(await up.bus.history(channel))
  })

  test('a client may continue in the other one', async () => {
    const channel = name()
    const a = await listen(up.bus, channel)
    await publishAll(up.bus, channel, [1, 2])
    a.subscription.close()
    await publishAll(up.bus, channel, [3])
    const back = await listen(other.bus, channel, { since: a.position() })
    expect([back.subscription.recovered, back.data()]).toEqual([true, [3]])
    await up.bus.publish(channel, 4)
    await eventually(() => expect(back.data()).toEqual([3, 4]))
    expect(back.wrongs).toEqual([])
  })

  test('see each other’s members, and together let no more in than there is place', async () => {
    const channel = name()
    await up.bus.enter(channel, { id: 'a', info: 1 }, 2)
    expect(await other.bus.enter(channel, { id: 'b', info: 2 }, 2)).toHaveLength(2)
    expect(await up.bus.enter(channel, { id: 'c', info: 3 }, 2)).toBeUndefined()
    // Who has entered elsewhere since is not taken out by where it was before.
    await other.bus.enter(channel, { id: 'a', info: 4 }, 2)
    await up.bus.leave(channel, 'a')
    expect(await up.bus.members(channel)).toContainEqual({ id: 'a', info: 4 })
    await other.bus.leave(channel, 'a')
    expect(await up.bus.members(channel)).toEqual([{ id: 'b', info: 2 }])
  })
})

describe('three processes', () => {
  let third: TestProcess
  let channel: string
  let told: string[]

  beforeAll(() => {
    for (const [name, { bus }] of Object.entries({ up, other }))
      bus.onMember((where, news, { id, info }) => {
        if (where === channel) told.push(`${name}: ${news} ${id} ${info}`)
      })
  })
  beforeEach(async () => {
    third = await openProcess({ cacheUrl: redis.url, budgetMs: 2_000 })
    await third.untilStatus('redis')
    channel = name()
    told = []
    for (const [i, { bus }] of [up, other].entries()) {
      await listen(bus, channel)
      await bus.enter(channel, { id: `member ${i}`, info: i }, 5)
    }
  })
  afterEach(() => third.close())

  const endLease = (id: string) =>
    redis.command(
      'EVAL',
      `local value = redis.call('HGET', KEYS[1], ARGV[1])
      return redis.call('HSET', KEYS[1], ARGV[1], (string.gsub(value, '^%d+', '1')))`,
      '1',
      `samovar:bus:{${channel}}:here`,
      id,
    )

  test('a member whose process has ended is lost for every subscriber, once', async () => {
    await third.bus.enter(channel, { id: 'crashed', info: 'x' }, 5)
    await third.close() // it says nothing of its members, as when it is killed
    await endLease('crashed')
    expect(await other.bus.members(channel)).toHaveLength(2)
    const everywhere = ['other: lost crashed x', 'up: lost crashed x']
    await eventually(() => expect(told.toSorted()).toEqual(everywhere))
    expect(await up.bus.members(channel)).toHaveLength(2)
    expect(await up.bus.enter(channel, { id: 'new', info: 0 }, 5)).toHaveLength(3)
    expect(told.toSorted()).toEqual(everywhere)
  })

  test('who was taken for lost and is not is put back, once', async () => {
    const listener = await listen(third.bus, channel)
    await up.bus.publish(channel, 'listens')
    await eventually(() => expect(listener.data()).toEqual(['listens']))
    await third.bus.enter(channel, { id: 'stuck', info: 'x' }, 5)
    await endLease('stuck')
    await up.bus.members(channel)
    await eventually(() => expect(told).toHaveLength(4))
    for (const process of ['up', 'other']) {
      const news = told.filter((line) => line.startsWith(`${process}:`))
      expect(news).toEqual([`${process}: lost stuck x`, `${process}: back stuck x`])
    }
    expect(await other.bus.members(channel)).toContainEqual({ id: 'stuck', info: 'x' })
  })

  test('who enters and leaves says so itself', async () => {
    await third.bus.enter(channel, { id: 'guest', info: 1 }, 5)
    await third.bus.enter(channel, { id: 'guest', info: 2 }, 5)
    expect(await up.bus.members(channel)).toContainEqual({ id: 'guest', info: 2 })
    await third.bus.leave(channel, 'guest')
    expect(await up.bus.members(channel)).toHaveLength(2)
    expect(told).toEqual([])
  })
})

describe('Redis', () => {
  const bytesOf = async (key: string) => Number((await redis.command('MEMORY', 'USAGE', key)).slice(1))

  test('holds no more of one channel than history', async () => {
    const channel = name()
    for (const number of numbers(20)) await up.bus.publish(channel, large(number))
    expect(await bytesOf(`samovar:bus:{${channel}}:log`)).toBeLessThan(1.3 * HISTORY_BYTES)
  })

  test('holds no more of all channels than it may: there is no history then, and nobody misses a message', async () => {
    const slot = Math.ceil((Date.now() + 60_000) / 10_000)
    const sizes = (await redis.command('HVALS', 'samovar:bus:sizes')).match(/^\d+/gm) ?? []
    const free = HISTORY_BYTES_IN_ALL - sizes.reduce((sum, size) => sum + Number(size), 0)
    await redis.command('HINCRBY', 'samovar:bus:sizes', String(slot), String(free - 100_000))
    const channel = name()
    const [a, b] = [await listen(up.bus, channel), await listen(other.bus, channel)]
    const before = a.position()
    for (const number of numbers(5)) {
      await up.bus.publish(channel, large(number))
      await eventually(() => expect(numbersOf(b.messages)).toContain(number))
    }
    expect(numbersOf(await up.bus.history(channel))).toEqual([5])
    await redis.command('HINCRBY', 'samovar:bus:sizes', String(slot), '100000')
    await up.bus.publish(channel, large(6))
    await eventually(() => expect(numbersOf(b.messages)).toEqual(numbers(6)))
    expect(numbersOf(a.messages)).toEqual(numbers(6))
    expect([a.wrongs, a.gaps, b.wrongs, b.gaps]).toEqual([[], [], [], []])
    expect(await up.bus.history(channel)).toEqual([])
    const back = await listen(other.bus, channel, { since: before })
    expect(back.subscription.recovered).toBe(false)
    await redis.command('HINCRBY', 'samovar:bus:sizes', String(slot), String(-free))
    await up.bus.publish(channel, large(7))
    expect(numbersOf(await up.bus.history(channel))).toEqual([7])
  })

  test('that is full is still the channels’ order, and nobody leaves it for them', async () => {
    const full = await startRedis('--maxmemory', '8mb', '--maxmemory-policy', 'noeviction')
    const process = await openProcess({ cacheUrl: full.url, budgetMs: 2_000 })
    await process.untilStatus('redis')
    const channel = name()
    const a = await listen(process.bus, channel)
    let fillers = 0
    for (const bytes of [100_000, 1_000, 100]) {
      while (/^\+OK/.test(await full.command('SET', `filler${fillers}`, 'x'.repeat(bytes)))) fillers += 1
    }
    for (const number of numbers(6)) await process.bus.publish(channel, large(number))
    const b = await listen(process.bus, name())
    expect(await process.bus.enter(channel, { id: 'a', info: null }, 2)).toHaveLength(1)
    expect([numbersOf(a.messages), a.wrongs, a.gaps, b.wrongs]).toEqual([numbers(6), [], [], []])
    expect(numbersOf(await process.bus.history(channel))).toEqual([3, 4, 5, 6])
    expect(process.stateRole.status()).toMatchObject({ status: 'redis', activations: 0 })
    await process.close()
    await full.stop()
  })
})
