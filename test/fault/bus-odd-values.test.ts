// Somebody else writes under the keys of the channel layer: that is the key's trouble. The layer stays in Redis, says
// so once a key, and no process ends (an unhandled rejection fails the test).
import { randomUUID } from 'node:crypto'
import { createRedisPubSub } from '../../src/core/bus/redis-pubsub.ts'
import type { RedisConnection } from '../../src/core/redis/connection.ts'
import { eventually } from '../helpers/eventually.ts'
import { type Listener, listen } from '../helpers/listener.ts'
import { recordLog } from '../helpers/log.ts'
import { startRedis, type TestRedis } from '../helpers/redis-server.ts'
import { openProcess, type TestProcess } from '../helpers/stores.ts'

let redis: TestRedis
let one: TestProcess
let two: TestProcess
let channel: string
let first: Listener
let second: Listener

const keyOf = (part: string) => `samovar:bus:{${channel}}:${part}`
const SIZES = 'samovar:bus:sizes'
const both = () => [one, two]
const said = (process: TestProcess, key: string) =>
  process.lines.filter(({ level, fields }) => level === 'error' && fields.key === key)

beforeAll(async () => {
  redis = await startRedis()
})
afterAll(async () => {
  await redis.stop()
})
beforeEach(async () => {
  one = await openProcess({ cacheUrl: redis.url, budgetMs: 2_000 })
  two = await openProcess({ cacheUrl: redis.url, budgetMs: 2_000 })
  for (const process of both()) await process.untilStatus('redis')
  channel = `call:${randomUUID()}`
  first = await listen(one.bus, channel)
  second = await listen(two.bus, channel)
  await one.bus.publish(channel, 'before')
  await eventually(() => expect(second.data()).toEqual(['before']))
})
afterEach(async () => {
  for (const process of both()) {
    expect(process.stateRole.status()).toMatchObject({ status: 'redis', activations: 0 })
    await process.close()
  }
})

/** What is published next comes to both, without a hole, and both tell the same history. */
async function expectWorking(): Promise<void> {
  for (const [i, process] of [...both(), ...both()].entries()) {
    const data = `after ${i} ${randomUUID()}`
    await process.bus.publish(channel, data)
    await eventually(() => expect([first.data().at(-1), second.data().at(-1)]).toEqual([data, data]))
  }
  expect([first.wrongs, second.wrongs]).toEqual([[], []])
  const history = await one.bus.history(channel)
  expect(history.length).toBeGreaterThanOrEqual(2)
  expect(await two.bus.history(channel)).toEqual(history)
  await one.bus.enter(channel, { id: 'a', info: 1 }, 5)
  expect(await two.bus.members(channel)).toEqual([{ id: 'a', info: 1 }])
}

test.each(['head log merged here', 'log', 'head', 'merged', 'here'])(
  'keys of another type (%s) count as absent, and the next write takes their place',
  async (names) => {
    const parts = names.split(' ')
    await one.bus.enter(channel, { id: 'a', info: 1 }, 5)
    for (const part of parts) await redis.command('SET', keyOf(part), 'x')
    await expectWorking()
    for (const part of parts) expect([...said(one, keyOf(part)), ...said(two, keyOf(part))]).toHaveLength(1)
    await redis.command('SET', keyOf('head'), 'x')
    await expectWorking()
    for (const process of both()) expect(said(process, keyOf('head')).length).toBeLessThanOrEqual(1)
  },
)

test('the sizes of all logs under another type, or with fields of somebody else, are counted again', async () => {
  await redis.command('SET', SIZES, 'x')
  await expectWorking()
  expect([...said(one, SIZES), ...said(two, SIZES)]).toHaveLength(1)
  const slot = String(Math.ceil((Date.now() + 120_000) / 10_000))
  for (const [field, value] of [
    ['x', '1'],
    [slot, 'x'],
    [String(Number(slot) + 1), '9'.repeat(30)],
  ] as const)
    await redis.command('HSET', SIZES, field, value)
  await expectWorking()
  expect(await redis.command('HVALS', SIZES)).not.toMatch(/x|999/)
})

test.each([
  ['nothing but numbers', 'head', 'offset', 'x'],
  ['numbers that are finite', 'head', 'offset', 'inf'],
  ['sizes', 'head', 'bytes', 'x'],
  ['slots', 'head', 'slot', '-'],
])('a head is believed %s', async (_what, part, field, value) => {
  await redis.command('HSET', keyOf(part), field, value)
  await expectWorking()
})

test.each<[string, (next: string) => string[]]>([
  ['no JSON', (next) => [`${next}-0`, 't', String(Date.now()), 'm', 'id\n1\n{not json']],
  ['no message', (next) => [`${next}-0`, 't', String(Date.now())]],
  ['other fields', (next) => [`${next}-0`, 'version', '9', 'payload', 'x']],
  ['no time', (next) => [`${next}-0`, 't', 'yesterday', 'm', 'id\n1\n1']],
  ['no time of its publishing', (next) => [`${next}-0`, 't', String(Date.now()), 'm', 'id\nx\n1']],
  ['an id of its own', () => ['*', 't', String(Date.now()), 'm', 'id\n1\n1']],
])('an entry of another version, with %s, is no message', async (_what, entry) => {
  const { offset } = first.position()
  await redis.command('XADD', keyOf('log'), ...entry(String(offset + 1)))
  await redis.command('HINCRBY', keyOf('head'), 'offset', '1')
  expect((await two.bus.history(channel)).map(({ data }) => data)).toEqual(['before'])
  await two.bus.history(channel)
  expect(said(two, keyOf('log'))).toHaveLength(1)
  await expectWorking()
  expect(first.gaps.length).toBeGreaterThan(0)
})

test.each([
  'garbage',
  '',
  'epoch\n7',
  'epoch\n7\nid\n1\n{not json',
  'epoch\nx\nid\n1\n1',
  '\n',
  '\nin\n1\nnode\n{not json\nid',
  '\nunheard-of\n1\nnode\n1\nid',
  '\nin\nx\nnode\n1\nid',
])('what somebody else publishes is no message: %j', async (text) => {
  const onWire = `samovar:bus:0:{${channel}}`
  await redis.command('PUBLISH', onWire, text)
  await redis.command('PUBLISH', onWire, text)
  await eventually(() => expect([said(one, onWire).length, said(two, onWire).length]).toEqual([1, 1]))
  await expectWorking()
  expect([first.gaps, second.gaps]).toEqual([[], []])
})

test('a member that cannot be read is nobody, and takes no place', async () => {
  await redis.command('HSET', keyOf('here'), 'x', 'garbage')
  await redis.command('HSET', keyOf('here'), 'y', `${'9'.repeat(30)}\nnode\n1`)
  expect(await one.bus.enter(channel, { id: 'a', info: 1 }, 1)).toEqual([{ id: 'a', info: 1 }])
  expect(said(one, keyOf('here'))).toHaveLength(1)
  await redis.command('HSET', keyOf('here'), 'z', `${Date.now() + 60_000}\nnode\n{not json`)
  expect(await two.bus.members(channel)).toEqual([{ id: 'a', info: 1 }])
  await one.bus.members(channel)
  expect([said(one, keyOf('here')).length, said(two, keyOf('here')).length]).toEqual([1, 1])
})

test('an unexpected error on the connection for messages is said, and it is opened again', async () => {
  const { log, lines } = recordLog()
  let opened = 0
  const connection = {
    async open() {
      opened += 1
      if (opened <= 2) throw new TypeError('a bug')
    },
    call: async () => undefined,
    drop() {},
    close() {},
    onLost() {},
  } as unknown as RedisConnection
  const pubSub = createRedisPubSub({
    connection,
    wireName: (name) => name,
    heartbeatMs: 10_000,
    trouble() {},
    log,
  })
  const readied: string[] = []
  pubSub.on({
    ready([name = '']) {
      readied.push(name)
      if (name === 'b') throw new TypeError('another bug')
    },
  })
  pubSub.open()
  pubSub.add('a')
  await eventually(() => expect(readied).toEqual(['a']))
  expect(lines.map(({ level }) => level)).toEqual(['error', 'info'])
  pubSub.add('b')
  await eventually(() => expect(lines.map(({ level }) => level)).toEqual(['error', 'info', 'error']))
  pubSub.close()
})
