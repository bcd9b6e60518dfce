// The channel layer of two processes on one Redis that is killed, frozen, emptied or cut off under them.
import { randomUUID } from 'node:crypto'
import { createRedisPubSub } from '../../src/core/bus/redis-pubsub.ts'
import { connectRedis } from '../../src/core/redis/connection.ts'
import { pause } from '../../src/lib/time.ts'
import { timed } from '../helpers/control-clock.ts'
import { eventually } from '../helpers/eventually.ts'
import { type FaultProxy, openFaultProxy } from '../helpers/fault-proxy.ts'
import { type Listener, listen } from '../helpers/listener.ts'
import { recordLog } from '../helpers/log.ts'
import { startRedis, type TestRedis } from '../helpers/redis-server.ts'
import { openProcess, type TestProcess, targetOf } from '../helpers/stores.ts'

const AWAY_MS = 4_000
const BUDGET_MS = 200 // twice the app's own, so that a busy machine is no outage
const WORST_MS = 5 * BUDGET_MS

let redis: TestRedis
let proxy: FaultProxy
let one: TestProcess
let two: TestProcess // behind the proxy
let channel: string
let first: Listener
let second: Listener
let published: number

const both = () => [one, two]

beforeEach(async () => {
  redis = await startRedis('--appendonly', 'yes', '--appendfsync', 'always')
  proxy = await openFaultProxy(redis.port)
  one = await openProcess({ cacheUrl: redis.url, budgetMs: BUDGET_MS })
  two = await openProcess({ cacheUrl: proxy.url, budgetMs: BUDGET_MS })
  for (const process of both()) await process.untilStatus('redis')
  channel = `call:${randomUUID()}`
  published = 0
  first = await listen(one.bus, channel)
  second = await listen(two.bus, channel)
  for (const [i, { bus }] of both().entries())
    await bus.enter(channel, { id: `member ${i + 1}`, info: i }, 10)
  await chat(10)
  await eventually(() => expect([first, second].map(({ messages }) => messages.length)).toEqual([10, 10]))
})

afterEach(async () => {
  for (const process of both()) await process.close()
  proxy.close()
  await redis.stop()
})

/** Each process publishes in turn; its own subscriber has each message when that resolves. */
async function chat(count: number, processes: readonly TestProcess[] = both()): Promise<void> {
  for (let i = 0; i < count; i += 1) {
    const process = processes[i % processes.length] as TestProcess
    const listener = process === one ? first : second
    published += 1
    const { tookMs } = await timed(() => process.bus.publish(channel, published))
    expect(tookMs).toBeLessThan(WORST_MS) // it waits for one budget at most
    expect(listener.data().at(-1)).toBe(published)
  }
}

async function chatFor(ms: number, processes?: readonly TestProcess[]): Promise<void> {
  const untilMs = performance.now() + ms
  while (performance.now() < untilMs) {
    await chat(2, processes)
    await pause(150) // history holds 200 messages: more would rightly be a gap
  }
}

const memberIds = async ({ bus }: TestProcess) => (await bus.members(channel)).map(({ id }) => id).sort()

/** Both have everything, each once; what comes next comes to both; and both tell the same history. */
async function expectUnited(): Promise<void> {
  const all = Array.from({ length: published }, (_, i) => i + 1)
  const sorted = (listener: Listener) => (listener.data() as number[]).toSorted((a, b) => a - b)
  await eventually(() => expect([sorted(first), sorted(second)]).toEqual([all, all]))
  const [mine, other] = [await one.bus.history(channel), await two.bus.history(channel)]
  expect(other).toEqual(mine)
  expect((mine.map(({ data }) => data) as number[]).toSorted((a, b) => a - b)).toEqual(all)
  const gaps = [first.gaps.length, second.gaps.length]
  await chat(4)
  await eventually(() => expect(first.data().slice(-4)).toEqual(second.data().slice(-4)))
  expect([first.gaps.length, second.gaps.length]).toEqual(gaps)
  expect(second.position()).toEqual(first.position())
  expect([first.wrongs, second.wrongs]).toEqual([[], []])
  await eventually(async () => {
    for (const process of both()) expect(await memberIds(process)).toEqual(['member 1', 'member 2'])
  })
}

test('killed for a while: messages flow in each process, members stay, and both have one history after', async () => {
  await redis.kill()
  await chatFor(AWAY_MS)
  for (const process of both()) expect(await memberIds(process)).toEqual(['member 1', 'member 2'])
  expect(first.gaps.map(({ reason }) => reason)).toEqual(['epoch'])
  // In an outage who comes back is given what it missed here.
  const back = await listen(one.bus, channel, { since: first.position() })
  expect(back.subscription.recovered).toBe(true)
  back.subscription.close()
  await redis.start()
  for (const process of both()) await process.untilStatus('redis')
  await expectUnited()
  const stranger = await one.bus.subscribe(
    channel,
    { message() {}, gap() {} },
    { epoch: 'of the outage', offset: 1 },
  )
  expect(stranger.recovered).toBe(false)
})

test('frozen for a while', async () => {
  redis.freeze()
  await chatFor(AWAY_MS)
  redis.thaw()
  for (const process of both()) await process.untilStatus('redis')
  await expectUnited()
})

test('killed and back without its data: what is remembered here is history again', async () => {
  await redis.kill()
  await chatFor(500)
  await redis.start('--appendonly', 'no')
  for (const process of both()) await process.untilStatus('redis')
  await expectUnited()
})

test('killed and back without its data while a process is cut off: the others put its members back', async () => {
  proxy.set('refuse')
  await eventually(() => expect(two.stateRole.status().status).toBe('memory'))
  await redis.kill()
  await redis.start('--appendonly', 'no')
  await one.untilStatus('redis')
  expect(await redis.command('HKEYS', `samovar:bus:{${channel}}:here`)).toContain('member 2')
  expect(await memberIds(one)).toEqual(['member 1', 'member 2'])
  proxy.set('none')
  await two.untilStatus('redis')
  await expectUnited()
})

test('emptied while it runs', async () => {
  await redis.command('FLUSHALL')
  await chat(1)
  for (const process of both())
    await process.bus.enter(channel, { id: `member ${both().indexOf(process) + 1}`, info: 0 }, 10)
  await eventually(() => expect(first.gaps.length).toBeGreaterThan(0))
  await chat(3)
  await eventually(() => expect(second.data().at(-1)).toBe(published))
  expect(await two.bus.history(channel)).toEqual(await one.bus.history(channel))
  expect([first.wrongs, second.wrongs]).toEqual([[], []])
})

test('one process alone is cut off: the other notices nothing but a new epoch', async () => {
  proxy.set('refuse')
  await eventually(() => expect(two.stateRole.status().status).toBe('memory'))
  await chatFor(500)
  expect(first.gaps).toEqual([])
  await two.bus.leave(channel, 'member 2')
  await two.bus.enter(channel, { id: 'member 2', info: 'again' }, 10)
  proxy.set('none')
  await two.untilStatus('redis')
  await expectUnited()
  expect(first.gaps.every(({ reason }) => reason === 'epoch')).toBe(true)
  expect(await one.bus.members(channel)).toContainEqual({ id: 'member 2', info: 'again' })
})

test('who left while its process was cut off is gone after', async () => {
  proxy.set('refuse')
  await eventually(() => expect(two.stateRole.status().status).toBe('memory'))
  await two.bus.leave(channel, 'member 2')
  expect(await memberIds(one)).toEqual(['member 1', 'member 2'])
  proxy.set('none')
  await two.untilStatus('redis')
  expect(await memberIds(one)).toEqual(['member 1'])
})

test('a steady stream of messages does not hold up the return to Redis', async () => {
  await redis.kill()
  await eventually(() => expect(one.stateRole.status().status).toBe('memory'))
  await redis.start()
  let isStreaming = true
  const stream = (async () => {
    while (isStreaming) {
      await Promise.all(Array.from({ length: 10 }, () => one.bus.publish(channel, 'more')))
      await new Promise(setImmediate)
    }
  })()
  try {
    await one.untilStatus('redis')
  } finally {
    isStreaming = false
    await stream
  }
  await two.untilStatus('redis')
  await eventually(async () => expect(await two.bus.history(channel)).toEqual(await one.bus.history(channel)))
  expect([first.wrongs, second.wrongs]).toEqual([[], []])
})

test('a message whose answer was lost is there once', async () => {
  proxy.set('late') // Redis gets what is sent, and its answers do not arrive
  await chat(3, [two])
  await eventually(() => expect(first.data()).toContain(11))
  proxy.set('none')
  await two.untilStatus('redis')
  await expectUnited()
})

test('only the connection for messages is lost: what was missed is read, without a gap', async () => {
  for (let i = 0; i < 10; i += 1) {
    await redis.command('CLIENT', 'KILL', 'TYPE', 'pubsub')
    await chat(4)
  }
  await expectUnited()
  expect([first.gaps, second.gaps]).toEqual([[], []])
  for (const process of both()) expect(process.stateRole.status().status).toBe('redis')
})

test('notices of members that were published while it was lost are made up for', async () => {
  const told: string[] = []
  one.bus.onMember((_channel, news, { id }) => told.push(`${news} ${id}`))
  await redis.command(
    'HSET',
    `samovar:bus:{${channel}}:here`,
    'untold',
    `${Date.now() + 60_000}\nanother\nnull`,
  )
  await redis.command('CLIENT', 'KILL', 'TYPE', 'pubsub')
  await eventually(() => expect(told).toEqual(['back untold']))
})

test('who stops listening while it is given what was missed leaves no trace of Redis’ order', async () => {
  const alone = `call:${randomUUID()}`
  const given: unknown[] = []
  const subscription = await two.bus.subscribe(alone, {
    message({ data }) {
      given.push(data)
      subscription.close()
    },
    gap() {},
  })
  await redis.command('CLIENT', 'KILL', 'TYPE', 'pubsub')
  await Promise.all([1, 2, 3].map((data) => one.bus.publish(alone, data)))
  await eventually(() => expect(given).toEqual([1]))
  const { epoch } = await one.bus.publish(alone, 4)
  proxy.set('refuse')
  await eventually(() => expect(two.stateRole.status().status).toBe('memory'))
  expect((await listen(two.bus, alone)).subscription.position.epoch).not.toBe(epoch)
})

test('what was missed and is not in history any more is a gap', async () => {
  await redis.command('HINCRBY', `samovar:bus:{${channel}}:head`, 'offset', '7')
  await chat(1, [one])
  await eventually(() => expect(second.data().at(-1)).toBe(published))
  const to = { epoch: first.position().epoch, offset: first.position().offset - 1 }
  expect([first.gaps, second.gaps]).toEqual([
    [{ channel, reason: 'trimmed', to }],
    [{ channel, reason: 'trimmed', to }],
  ])
  expect([first.wrongs, second.wrongs]).toEqual([[], []])
})

test('a slow subscriber is behind, also of what comes from elsewhere', async () => {
  let release = () => {}
  const blocked = new Promise<void>((resolve) => {
    release = resolve
  })
  const slow = await listen(two.bus, channel, { capacity: 3, wait: () => blocked })
  await chat(10, [one])
  await eventually(() => expect(second.data().at(-1)).toBe(published))
  release()
  await eventually(() => expect(slow.gaps.map(({ reason }) => reason)).toEqual(['behind']))
  expect(slow.messages).toHaveLength(4)
  expect(slow.position()).toEqual(second.position())
  expect(slow.wrongs).toEqual([])
})

test('a user who may not use pub/sub: the channel layer alone is in memory', async () => {
  const rights = ['~*', '&*', '-@all', '+@read', '+@write', '+@connection', '+@scripting', '+info', '+dbsize']
  await redis.command('ACL', 'SETUSER', 'app', 'on', '>secret', ...rights)
  const poor = await openProcess({
    cacheUrl: `redis://app:secret@127.0.0.1:${redis.port}/0`,
    budgetMs: BUDGET_MS,
  })
  try {
    await poor.untilStatus('redis')
    const listener = await listen(poor.bus, channel)
    await poor.bus.publish(channel, 'here')
    await poor.bus.enter(channel, { id: 'poor', info: null }, 5)
    expect(listener.data()).toEqual(['here'])
    expect(await memberIds(poor)).toEqual(['poor'])
    await pause(1_200) // the role merges what is pending once a second
    expect(poor.stateRole.status().status).toBe('redis')
    expect(
      poor.lines.filter(({ message }) => /^channel layer: in memory, because/.test(message)),
    ).toHaveLength(1)
  } finally {
    await poor.close()
  }
})

test('a connection for messages that is half open is noticed', async () => {
  const { log, lines } = recordLog()
  const readied: string[] = []
  const pubSub = createRedisPubSub({
    connection: connectRedis({
      target: targetOf(proxy.url),
      ca: undefined,
      budgetMs: 100,
      trackPrefix: undefined,
    }),
    wireName: (name) => name,
    heartbeatMs: 200,
    trouble() {},
    log,
  })
  pubSub.on({ ready: (channels) => readied.push(...channels) })
  pubSub.open()
  pubSub.add('a')
  await eventually(() => expect(readied).toEqual(['a']))
  proxy.set('hang')
  await eventually(() => expect(lines.map(({ level }) => level)).toEqual(['warn']))
  proxy.set('none')
  await eventually(() => expect(readied).toEqual(['a', 'a']))
  expect(lines.map(({ level }) => level)).toEqual(['warn', 'info'])
  pubSub.close()
})
