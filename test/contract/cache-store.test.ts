// One suite for every implementation of the cache role's Store: what a caller may rely on, wherever the keys are.
import { randomUUID } from 'node:crypto'
import type { Store } from '../../src/core/cache/cache-store.ts'
import { createMemoryStore } from '../../src/core/cache/memory-cache-store.ts'
import { createRedisStore } from '../../src/core/cache/redis-cache-store.ts'
import { keys } from '../../src/core/keys.ts'
import { connectRedis } from '../../src/core/redis/connection.ts'
import { pause } from '../../src/lib/time.ts'
import { startRedis, type TestRedis } from '../helpers/redis-server.ts'
import { openProcess, type TestProcess, targetOf } from '../helpers/stores.ts'

let redis: TestRedis
let app: TestProcess
let away: TestProcess
const connection = () => connectRedis({ target: targetOf(redis.url), budgetMs: 2_000, trackPrefix: 'x:' })
let bare: ReturnType<typeof connection>

beforeAll(async () => {
  redis = await startRedis()
  bare = connection()
  await bare.open()
  app = await openProcess({ cacheUrl: redis.url, budgetMs: 2_000 })
  away = await openProcess({ cacheUrl: 'redis://127.0.0.1:1/0' })
  await app.untilStatus('redis')
})
afterAll(async () => {
  await app.close()
  await away.close()
  bare.close()
  await redis.stop()
})

const implementations: Record<string, () => Store> = {
  memory: () => createMemoryStore({ budgetBytes: 1_000_000 }),
  redis: () => createRedisStore({ connection: bare, prefix: 'x:', mayComeBackOlder: true }),
  'tiered, Redis up': () => app.cacheRole.store,
  'tiered, Redis away': () => away.cacheRole.store,
}

describe.each(Object.keys(implementations))('%s', (kind) => {
  const store = () => (implementations[kind] as () => Store)()
  const key = () => `test:${randomUUID()}`
  const bytes = (text: string) => Buffer.from(text)

  test('keeps bytes as they are, until they expire', async () => {
    const [opened, name] = [store(), key()]
    const value = Buffer.from([0, 255, 10, 13, 200])
    expect(await opened.get(name)).toBeUndefined()
    expect(await opened.set(name, value, 60_000)).toBe(true)
    expect(Buffer.compare((await opened.get(name)) ?? bytes(''), value)).toBe(0)
    await opened.set(name, bytes('brief'), 30)
    await pause(60)
    expect(await opened.get(name)).toBeUndefined()
  })

  test('a deleted key is gone', async () => {
    const [opened, name] = [store(), key()]
    await opened.set(name, bytes('1'), 60_000)
    await opened.delete([name])
    expect(await opened.get(name)).toBeUndefined()
  })

  test('a lease has one holder, who may prolong it and give it back', async () => {
    const [opened, lock] = [store(), keys.loadLock(key())]
    const [mine, other] = [
      { key: lock, holder: 'mine' },
      { key: lock, holder: 'other' },
    ]
    expect(await opened.lease(mine, 60_000)).toBe('taken')
    expect(await opened.lease(mine, 60_000)).toBe('taken')
    expect(await opened.lease(other, 60_000)).toBe('held')
    await opened.release(other, 'done', 0)
    expect(await opened.lease(other, 60_000)).toBe('held')
    await opened.release(mine, 'done', 0)
    expect(await opened.lease(other, 60_000)).toBe('taken')
  })

  test('a failed load is remembered for a while', async () => {
    const [opened, long, brief] = [store(), keys.loadLock(key()), keys.loadLock(key())]
    for (const [lock, rememberMs] of [
      [long, 60_000],
      [brief, 50],
    ] as const) {
      await opened.lease({ key: lock, holder: 'mine' }, 60_000)
      await opened.release({ key: lock, holder: 'mine' }, 'failed', rememberMs)
    }
    await pause(80)
    const other = (lock: string) => opened.lease({ key: lock, holder: 'other' }, 60_000)
    expect([await other(long), await other(brief)]).toEqual(['failed', 'taken'])
  })

  test('sweeps what is condemned under the prefix, and nothing else', async () => {
    const opened = store()
    const prefix = `sweep[*]?${randomUUID()}:`
    for (const name of ['a', 'b', 'c']) await opened.set(prefix + name, bytes(name), 60_000)
    await opened.set(`${prefix.slice(0, -1)};d`, bytes('a'), 60_000)
    await opened.sweep(prefix, (_key, head) => head.toString() !== 'b')
    const left = await Promise.all(['a', 'b', 'c'].map((name) => opened.get(prefix + name)))
    expect(left.map(String)).toEqual(['undefined', 'b', 'undefined'])
    expect(String(await opened.get(`${prefix.slice(0, -1)};d`))).toBe('a')
  })
})

describe('with Redis up', () => {
  test.each(['redis', 'tiered, Redis up'])(
    '%s: a deletion breaks the lease, so the load is not stored',
    async (kind) => {
      const opened = (implementations[kind] as () => Store)()
      const name = `test:${randomUUID()}`
      const lease = { key: keys.loadLock(name), holder: 'loader' }
      await opened.lease(lease, 60_000)
      await opened.delete([name])
      expect(await opened.set(name, Buffer.from('old'), 60_000, lease)).toBe(false)
      expect(await opened.get(name)).toBeUndefined()
      await opened.lease(lease, 60_000)
      expect(await opened.set(name, Buffer.from('new'), 60_000, lease)).toBe(true)
      expect(String(await opened.get(name))).toBe('new')
    },
  )

  describe.each(['redis', 'tiered, Redis up'])('%s: a value of another type', (kind) => {
    const store = () => (implementations[kind] as () => Store)()
    const own = (key: string) => (kind === 'redis' ? `x:${key}` : key)
    const foreign = async (key: string) => {
      await redis.command('DEL', own(key))
      await redis.command('RPUSH', own(key), 'oops')
    }
    afterEach(() => expect(app.cacheRole.status()).toMatchObject({ status: 'redis', activations: 0 }))

    test('is a miss, in a batch of reads too, and the next write takes its place', async () => {
      const [opened, name, other] = [store(), `test:${randomUUID()}`, `test:${randomUUID()}`]
      await foreign(name)
      await redis.command('SET', own(other), 'other')
      const found = await Promise.all([opened.get(name), opened.get(other)])
      expect(found.map(String)).toEqual(['undefined', 'other'])
      expect(await opened.set(name, Buffer.from('mine'), 60_000)).toBe(true)
      expect(await redis.command('GET', own(name))).toBe('$4\r\nmine\r\n')
      await foreign(name)
      await opened.delete([name])
      expect(await redis.command('EXISTS', own(name))).toBe(':0\r\n')
    })

    test("in a lease's place is nobody's lease: the next one takes its place", async () => {
      const [opened, name] = [store(), `test:${randomUUID()}`]
      const lease = { key: keys.loadLock(name), holder: 'loader' }
      await foreign(lease.key)
      expect(await opened.set(name, Buffer.from('old'), 60_000, lease)).toBe(false)
      await opened.release(lease, 'done', 0)
      expect(await opened.lease(lease, 60_000)).toBe('taken')
      expect(await opened.set(name, Buffer.from('mine'), 60_000, lease)).toBe(true)
      await opened.release(lease, 'done', 0)
      expect(await redis.command('EXISTS', own(lease.key))).toBe(':0\r\n')
    })

    test('is left alone by a sweep', async () => {
      const [opened, prefix] = [store(), `sweep:${randomUUID()}:`]
      await opened.set(`${prefix}a`, Buffer.from('a'), 60_000)
      await foreign(`${prefix}b`)
      await opened.sweep(prefix, () => true)
      expect(await redis.command('EXISTS', own(`${prefix}a`), own(`${prefix}b`))).toBe(':1\r\n')
    })

    test.each([
      ['a list', ['RPUSH']],
      ['text', ['SET']],
    ])('in the place of the count of deletions (%s) is replaced by a count', async (_name, write) => {
      const [opened, name] = [store(), `test:${randomUUID()}`]
      await redis.command('DEL', own(keys.deletions))
      await redis.command(...write, own(keys.deletions), 'oops')
      await opened.set(name, Buffer.from('1'), 60_000)
      await opened.delete([name])
      expect(await opened.get(name)).toBeUndefined()
      expect(await redis.command('GET', own(keys.deletions))).toMatch(/^\$\d+\r\n\d+\r\n$/)
    })
  })

  test('bytes that are no count of deletions are taken for a lower one', async () => {
    const opened = createRedisStore({ connection: bare, prefix: 'x:', mayComeBackOlder: true })
    await redis.command('SET', `x:${keys.deletions}`, '5')
    await opened.delete(['test:any'])
    expect(await opened.isOlder()).toBe(false)
    await redis.command('SET', `x:${keys.deletions}`, 'oops')
    expect(await opened.isOlder()).toBe(true)
    await redis.command('SET', `x:${keys.deletions}`, '5')
    expect(await opened.isOlder()).toBe(true)
    await redis.command('SET', `x:${keys.deletions}`, '6')
    expect(await opened.isOlder()).toBe(false)
  })
})
