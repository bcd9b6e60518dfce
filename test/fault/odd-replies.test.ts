// Whatever Redis replies: no call fails for it, no process ends of it, and tracking is not given up for a passing
// reason.
import { randomUUID } from 'node:crypto'
import { pause } from '../../src/lib/time.ts'
import { removeProcesses, spawnApp } from '../helpers/app-process.ts'
import { eventually } from '../helpers/eventually.ts'
import { startRedis, type TestRedis } from '../helpers/redis-server.ts'
import { type RefusingProxy, startRefusingProxy } from '../helpers/refusing-proxy.ts'
import { openProcess, type TestProcess } from '../helpers/stores.ts'

const LONG_MS = 3_600_000
const QUOTA = 'ERR max requests limit exceeded. Limit: 500000, Usage: 500001.'

let redis: TestRedis
let proxy: RefusingProxy
const ends: (() => unknown)[] = []
beforeEach(async () => {
  redis = await startRedis('--busy-reply-threshold', '100')
  proxy = await startRefusingProxy(redis.port)
})
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
  await removeProcesses()
  proxy.close()
  await redis.stop()
})

const proxied = () => `redis://127.0.0.1:${proxy.port}/0`

async function open(url = redis.url): Promise<TestProcess> {
  const app = await openProcess({ cacheUrl: url, budgetMs: 300 }) // so that a busy machine is no outage
  ends.push(app.close)
  await app.untilStatus('redis')
  await eventually(() => expect(app.stateRole.coverage()).toBe('full'))
  return app
}

const hit = async ({ state }: TestProcess, key: string, limit = 5) =>
  (await state.hit(key, { id: randomUUID(), nowMs: Date.now(), limit, windowMs: LONG_MS })).allowed

test.each([
  QUOTA,
  'BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.',
  "ERR wrong number of arguments for 'evalsha' command",
  'ERR syntax error',
  'NEVERHEARD of it',
])('%s: memory answers, with these words as the cause, until Redis does again', async (reply) => {
  const app = await open(proxied())
  const { state, cache } = app
  const policy = { freshMs: LONG_MS, staleMs: 0, parse: String }
  const calls: Record<string, () => Promise<unknown>> = {
    write: () => state.write('session:x', Buffer.from('x'), LONG_MS),
    read: () => state.read('session:other'),
    claim: () => state.claim('webhook:s:1', Buffer.from('x'), LONG_MS),
    mark: () => state.mark('revoked:1', 1, LONG_MS),
    include: () => state.include('sessions:1', 'x', LONG_MS),
    members: () => state.members('sessions:1'),
    hit: () => hit(app, 'limit:p:x'),
    clear: () => cache.clear('all'),
    cached: () => cache.getOrLoad('item:1', policy, async () => 'loaded'),
  }
  for (const [name, call] of Object.entries(calls)) {
    proxy.refuse(reply)
    expect([name, await call().then(() => 'answered', String)]).toEqual([name, 'answered'])
    proxy.refuse(undefined)
    await app.untilStatus('redis')
  }
  proxy.refuse(reply)
  await app.untilStatus('memory')
  const [words = ''] = reply.split(/\.\s|\.$/)
  await eventually(() => expect(app.stateRole.status().lastError).toBe(words))
  expect(app.lines.filter(({ level, message }) => level === 'error' && message.includes(words))).not.toEqual(
    [],
  )
})

test('a rented Redis whose quota is used up: no route fails, and the process goes on', async () => {
  const app = await spawnApp({ REDIS_URL: proxied(), LOG_FORMAT: 'json' })
  await eventually(() => expect(app.said.out).toContain('it holds the state'))
  proxy.refuse(QUOTA)
  const clear = () => fetch(`${app.url}/api/cache/clear`, { method: 'POST' })
  expect((await clear()).status).toBeLessThan(300)
  await eventually(() => expect(app.said.out).toContain('max requests limit exceeded'))
  await pause(1_500) // it probes, and merges once a second
  expect(app.child.exitCode).toBeNull()
  expect((await clear()).status).toBeLessThan(300)
})

test('a key of another type that is there at the start: the app starts, and counts there all the same', async () => {
  const key = 'samovar:state:limit:api:address:127.0.0.1'
  await redis.command('SET', key, 'oops')
  const app = await spawnApp({ REDIS_URL: redis.url, LOG_FORMAT: 'json' })
  await eventually(() => expect(app.said.out).toContain('it holds the state'))
  expect((await fetch(`${app.url}/api/me`)).status).toBeLessThan(500)
  await eventually(() => expect(app.said.out).toContain('another type'))
  await pause(1_500) // it merges once a second
  expect(app.child.exitCode).toBeNull()
})

describe('a key of another type', () => {
  const own = (key: string) => `samovar:state:${key}`
  const foreignKeys = ['session:x', 'webhook:s:1', 'revoked:1', 'sessions:1', 'limit:p:x']
  const typesOf = async () => {
    const replies: string[] = []
    for (const key of foreignKeys) replies.push((await redis.command('TYPE', own(key))).trim())
    return replies
  }
  const OURS = ['+string', '+string', '+string', '+zset', '+zset']
  async function putForeign(): Promise<void> {
    for (const key of foreignKeys) {
      await redis.command('DEL', own(key))
      await redis.command('HSET', own(key), 'field', 'oops')
    }
  }
  async function expectAbsent({ state }: TestProcess): Promise<void> {
    expect(await state.read('session:x')).toBeUndefined()
    expect(await state.claimed('webhook:s:1')).toBeUndefined()
    expect(await state.marked('revoked:1')).toBeUndefined()
    expect(await state.members('sessions:1')).toEqual([])
  }
  async function writeAll(app: TestProcess): Promise<void> {
    const { state } = app
    expect(await state.write('session:x', Buffer.from('mine'), LONG_MS)).toBe(true)
    expect((await state.claim('webhook:s:1', Buffer.from('mine'), LONG_MS)).taken).toBe(true)
    expect(await state.mark('revoked:1', 7, LONG_MS)).toBe(7)
    await state.include('sessions:1', 'x', LONG_MS)
    expect([await hit(app, 'limit:p:x', 1), await hit(app, 'limit:p:x', 1)]).toEqual([true, false])
  }

  test('is absent, and makes room for what is written; the role stays in Redis', async () => {
    await putForeign()
    const app = await open()
    await expectAbsent(app)
    await writeAll(app)
    expect(await typesOf()).toEqual(OURS)
    expect(app.stateRole.status()).toMatchObject({ status: 'redis', activations: 0 })
    const told = app.lines.filter(({ message }) => message.includes('another type'))
    expect(told.map(({ level, fields }) => [level, fields.key]).sort()).toEqual(
      foreignKeys.map((key) => ['error', key]).sort(),
    )
  })

  test('makes room in a merge, which says so and ends', async () => {
    const app = await open(proxied())
    proxy.refuse(QUOTA)
    await app.untilStatus('memory')
    await writeAll(app)
    await putForeign()
    proxy.refuse(undefined)
    await app.untilStatus('redis')
    expect(await typesOf()).toEqual(OURS)
    const conflicts = app.stateRole.outages.all().find(({ role }) => role === 'state')?.conflicts
    expect([...(conflicts ?? [])].sort()).toEqual(
      foreignKeys.map((key) => `${key} was of another type in Redis, and was replaced`).sort(),
    )
  })

  test('in the place of what tells lives and clears is replaced as well', async () => {
    const app = await open(proxied())
    await app.state.write('session:x', Buffer.from('mine'), LONG_MS)
    await redis.kill()
    proxy.refuse(QUOTA)
    await app.untilStatus('memory')
    await redis.start()
    for (const key of ['epoch', 'offsets', 'generations']) await redis.command('LPUSH', own(key), 'oops')
    proxy.refuse(undefined)
    await app.untilStatus('redis')
    expect((await app.state.read('session:x'))?.bytes.toString()).toBe('mine')
    await app.cache.clear('all')
    await redis.command('SET', own('offsets'), 'no hash')
    await app.state.write('session:x', Buffer.from('newer'), LONG_MS)
    await eventually(async () =>
      expect((await redis.command('HVALS', own('offsets'))).split('\r\n')[2]).toMatch(/^\d+$/),
    )
    await app.untilStatus('redis')
  })
})

test("a handshake refused while another client's script runs: tracked again afterwards", async () => {
  const [app, other] = [await open(), await open()]
  expect(app.roles.state.counters.isTracked()).toBe(true)
  void redis.command('EVAL', 'while true do end', '0').catch(() => {}) // its socket ends with the server
  await app.untilStatus('memory')
  await pause(1_000) // some handshakes are refused
  await redis.command('SCRIPT', 'KILL')
  await Promise.all([app.untilStatus('redis'), other.untilStatus('redis')])
  expect([app, other].map(({ roles }) => roles.state.counters.isTracked())).toEqual([true, true])
  await eventually(() => expect(app.stateRole.coverage()).toBe('full'))
  // So it is told of a claim of the other's.
  await other.state.claim('webhook:s:1', Buffer.from('other'), LONG_MS)
  await eventually(async () => expect(await app.state.list('webhook')).toEqual(['webhook:s:1']))
  await redis.kill()
  await app.untilStatus('memory')
  expect((await app.state.claim('webhook:s:1', Buffer.from('app'), LONG_MS)).taken).toBe(false)
})

test('a user who may not use tracking: untracked, without a second try each time', async () => {
  await redis.command('ACL', 'SETUSER', 'default', '-client|tracking')
  const app = await open()
  expect(app.roles.state.counters.isTracked()).toBe(false)
})
