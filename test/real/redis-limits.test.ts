// What a Redis may refuse: commands, rights, connections, writes. Each has one line that says what is missing and what
// to do, and what needs it is done without.
import dns from 'node:dns'
import { jest } from '@jest/globals'
import { pause } from '../../src/lib/time.ts'
import { eventually } from '../helpers/eventually.ts'
import { openPair, told, tryCache, tryChannels, tryJobs, tryState } from '../helpers/everything-on-redis.ts'
import { freePort } from '../helpers/free-port.ts'
import { listen } from '../helpers/listener.ts'
import { startRedis, startServer, type TestRedis } from '../helpers/redis-server.ts'
import { openProcess, type TestProcess } from '../helpers/stores.ts'

const LONG_MS = 3_600_000
const PASSWORD = 'sentinel-password'

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

async function redisWith(...settings: string[]): Promise<TestRedis> {
  const redis = await startRedis(...settings)
  ends.push(redis.stop)
  return redis
}

async function open(url: string): Promise<TestProcess> {
  const app = await openProcess({ cacheUrl: url, budgetMs: 2_000, mode: 'external' })
  ends.push(app.close)
  return app
}

/** A job is done all the same. */
async function worksHere({ queue }: TestProcess): Promise<void> {
  const ran: string[] = []
  queue.work('known', async ({ id }) => void ran.push(id))
  await queue.add('known', null, { id: 'x' })
  await eventually(() => expect(ran).toEqual(['x']))
}

const DOCUMENTED =
  '~samovar:* &* -@all +@read +@write +@connection +@scripting +@pubsub +time -@dangerous +info'.split(' ')

async function withUser(redis: TestRedis, ...rights: string[]): Promise<string> {
  expect(await redis.command('ACL', 'SETUSER', 'app', 'on', `>${PASSWORD}`, ...rights)).toContain('OK')
  return redis.url.replace('redis://', `redis://app:${PASSWORD}@`)
}

test('the user of the documentation can do everything', async () => {
  const redis = await redisWith()
  const pair = await openPair(await withUser(redis, ...DOCUMENTED))
  ends.push(pair.close)
  await tryState(pair)
  await tryCache(pair)
  await tryChannels(pair)
  await tryJobs(pair)
  for (const app of [pair.one, pair.other]) {
    expect(app.status()).toMatchObject({ status: 'redis', activations: 0 })
    expect(told(app)).toEqual([])
  }
})

describe.each([
  ['the commands of sets', [...DOCUMENTED, '-zadd', '-zscore'], /ZADD, ZSCORE.*\. To do: /],
  ['scripts', [...DOCUMENTED, '-@scripting'], /'eval'.*\. To do: /],
  ['every key', [...DOCUMENTED, 'resetkeys', '~other:*'], /NOPERM.*key.*\. To do: /],
  ['writing', ['~samovar:*', '&*', '+@read', '+@connection', '+@scripting'], /'set'.*\. To do: /],
])('a user without %s', (_, rights, line) => {
  test('is told so once, and memory serves', async () => {
    const redis = await redisWith()
    const app = await open(await withUser(redis, ...rights))
    const policy = { freshMs: LONG_MS, staleMs: 0, parse: String }
    expect((await app.cache.getOrLoad('item:x', policy, async () => 'loaded')).value).toBe('loaded')
    await eventually(() => expect(told(app)).toContainEqual(expect.stringMatching(line)))
    await pause(3_000)
    for (const role of ['state', 'cache'])
      expect(
        app.lines.filter(({ level, fields }) => level === 'error' && fields.role === role).length,
      ).toBeLessThanOrEqual(1)
    expect(app.stateRole.status()).toMatchObject({ status: 'memory', activations: 1 })
    expect(JSON.stringify(app.lines)).not.toContain(PASSWORD)
  })
})

test('no EVALSHA: everything but jobs, which say so once', async () => {
  const redis = await redisWith('--rename-command', 'EVALSHA', '')
  const pair = await openPair(redis.url)
  ends.push(pair.close)
  await tryState(pair)
  await tryCache(pair)
  await tryChannels(pair)
  await worksHere(pair.one)
  await pause(3_000)
  for (const app of [pair.one, pair.other]) {
    expect(app.status()).toMatchObject({ status: 'redis', activations: 0 })
    expect(told(app)).toEqual([expect.stringMatching(/^jobs cannot be put into Redis: .*\. To do: /)])
  }
})

test.each([
  ['no PUBLISH', ['--rename-command', 'PUBLISH', ''], []],
  ['a user without pub/sub', [], DOCUMENTED.filter((right) => right !== '+@pubsub')],
])('%s: channels are in memory, which is said once, and nothing else is', async (_, settings, rights) => {
  const redis = await redisWith(...settings)
  const pair = await openPair(rights.length > 0 ? await withUser(redis, ...rights) : redis.url)
  ends.push(pair.close)
  await tryState(pair)
  const heard = await listen(pair.one.bus, 'call:x')
  for (const number of [1, 2, 3]) await pair.one.bus.publish('call:x', number)
  await eventually(() => expect(heard.data()).toEqual([1, 2, 3]))
  expect(pair.one.status()).toMatchObject({ status: 'redis', activations: 0 })
  const said = told(pair.one).filter((line) => line.startsWith('channel layer: in memory'))
  expect(said).toHaveLength(1)
})

test('rights that are taken away later: one outage, not one each second', async () => {
  const redis = await redisWith()
  const app = await open(await withUser(redis, ...DOCUMENTED))
  await app.untilStatus('redis')
  await redis.command('ACL', 'SETUSER', 'app', '-zadd')
  await app.state.include('sessions:1', 'x', LONG_MS)
  await eventually(() => expect(app.stateRole.status().lastError).toContain('ZADD'))
  await pause(3_000)
  expect(app.stateRole.status()).toMatchObject({ status: 'memory', activations: 1 })
  await redis.command('ACL', 'SETUSER', 'app', '+zadd')
  await app.untilStatus('redis')
  expect(await app.state.members('sessions:1')).toEqual(['x'])
})

const rejected = async (redis: TestRedis) =>
  Number(/rejected_connections:(\d+)/.exec(await redis.command('INFO', 'stats'))?.[1] ?? 'NaN')

test('maxclients 2: both roles are in Redis, jobs are here and say what is needed, few connections are tried', async () => {
  const redis = await redisWith('--maxclients', '2')
  const app = await open(redis.url)
  await app.untilStatus('redis')
  await worksHere(app)
  const lines = () => app.lines.filter(({ message }) => message.startsWith('jobs cannot be put into Redis'))
  await eventually(() => expect(lines()).toHaveLength(1))
  await pause(6_000)
  expect(lines().map(({ message, fields }) => `${message} ${fields.err}`)).toEqual([
    expect.stringMatching(/raise maxclients.*max number of clients reached/),
  ])
  expect(app.status()).toMatchObject({ status: 'redis', activations: 0 })
  await app.close()
  // 1 s later, 2 s, 4 s …; each second it would be seven and more.
  await eventually(async () => expect(await rejected(redis)).toBeLessThan(6))
})

describe('a name that moves', () => {
  const HOST = 'moving.redis.test'
  let address: string
  beforeEach(() => {
    const real = dns.lookup
    const moved = jest
      .spyOn(dns, 'lookup')
      .mockImplementation(((host: string, ...rest: never[]) =>
        (real as (...words: unknown[]) => void)(host === HOST ? address : host, ...rest)) as typeof real)
    ends.push(() => moved.mockRestore())
  })

  test('at failover is asked for again: the old primary, now a replica, is left for the new one', async () => {
    const port = await freePort()
    const on = async (where: string) => {
      const server = await startServer({ address: where, port })
      ends.push(server.stop)
      return server
    }
    const [first, second] = [await on('127.0.0.1'), await on('127.0.0.2')]
    address = '127.0.0.1'
    const app = await open(`redis://${HOST}:${port}/0`)
    await app.untilStatus('redis')
    await eventually(() => expect(app.queue.bull()).toBeDefined())
    const ran: string[] = []
    app.queue.work('known', async ({ id }) => void ran.push(id))
    await app.state.write('session:before', Buffer.from('x'), LONG_MS)

    address = '127.0.0.2'
    await first.command('REPLICAOF', '127.0.0.2', String(port))
    // It is noticed with the first write, which is not lost.
    expect(await app.state.write('session:after', Buffer.from('x'), LONG_MS)).toBe(true)
    await eventually(async () =>
      expect(await second.command('EXISTS', 'samovar:state:session:after')).toBe(':1\r\n'),
    )
    await app.untilStatus('redis')
    await eventually(() => expect(app.queue.bull()).toBeDefined())
    await app.queue.add('known', null, { id: 'x' })
    await eventually(() => expect(ran).toEqual(['x']))
    expect(await second.command('EXISTS', 'samovar:state:session:before')).toBe(':1\r\n')
    const lines = app.lines.filter(
      ({ message }) => message.includes('READONLY') && message.includes('Redis unavailable'),
    )
    expect(lines.map(({ message }) => message)).toEqual([expect.stringMatching(/To do: .*primary/)])
  })
})
