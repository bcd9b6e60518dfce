// One suite for every implementation of Store: what a caller may rely on, wherever the keys are.
import { randomUUID } from 'node:crypto'
import { keys } from '../../src/infra/keys.ts'
import { connectRedis } from '../../src/infra/redis.ts'
import { createMemoryStore } from '../../src/infra/store/memory-store.ts'
import { createRedisStore } from '../../src/infra/store/redis-store.ts'
import type { Hit, Store } from '../../src/infra/store/store.ts'
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
  memory: () => createMemoryStore({ budgetBytes: 1_000_000, whenFull: 'evict' }),
  redis: () => createRedisStore({ connection: bare, prefix: 'x:' }),
  'failover, Redis up': () => app.stores.state.store,
  'failover, Redis away': () => away.stores.state.store,
  'tiered, Redis up': () => app.stores.cache.store,
  'tiered, Redis away': () => away.stores.cache.store,
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
    const [opened, lock] = [store(), keys.loadLock(key())]
    await opened.lease({ key: lock, holder: 'mine' }, 60_000)
    await opened.release({ key: lock, holder: 'mine' }, 'failed', 50)
    expect(await opened.lease({ key: lock, holder: 'other' }, 60_000)).toBe('failed')
    await pause(80)
    expect(await opened.lease({ key: lock, holder: 'other' }, 60_000)).toBe('taken')
  })

  test('every number raised is above all before it, in any field, and above the floor', async () => {
    const [opened, set] = [store(), key()]
    const first = await opened.raise(set, ['all'], 0)
    const second = await opened.raise(set, ['tag:a', 'tag:b'], 0)
    const third = await opened.raise(set, ['all'], second + 1_000)
    expect(second).toBeGreaterThan(first)
    expect(third).toBeGreaterThan(second + 1_000)
    const numbers = await opened.generations(set)
    expect(Object.fromEntries(numbers)).toEqual({ all: third, 'tag:a': second, 'tag:b': second, top: third })
  })

  test('past 1,000 fields the oldest is folded into all: nothing is cleared less', async () => {
    const [opened, set] = [store(), key()]
    const oldest = await opened.raise(set, ['tag:oldest'], 0)
    for (let i = 0; i < 10; i += 1) {
      await opened.raise(
        set,
        Array.from({ length: 100 }, (_, j) => `tag:${i}-${j}`),
        0,
      )
    }
    const numbers = await opened.generations(set)
    expect(numbers.size).toBeLessThanOrEqual(1_000)
    expect(numbers.get('tag:oldest')).toBeUndefined()
    expect(numbers.get('all')).toBeGreaterThanOrEqual(oldest)
  })

  test('never more than the limit in any window', async () => {
    const [opened, log] = [store(), key()]
    const startMs = Date.now()
    const hit = (atMs: number): Hit => ({
      id: randomUUID(),
      nowMs: startMs + atMs,
      limit: 3,
      windowMs: 1_000,
    })
    const answers = []
    for (const atMs of [0, 100, 200, 300, 999, 1_000, 1_050, 1_100])
      answers.push(await opened.hit(log, hit(atMs)))
    expect(answers.map(({ allowed }) => allowed)).toEqual([true, true, true, false, false, true, false, true])
    expect(answers.map(({ remaining }) => remaining)).toEqual([2, 1, 0, 0, 0, 0, 0, 0])
    expect(answers.map(({ retryAfterMs }) => retryAfterMs)).toEqual([0, 0, 800, 700, 1, 100, 50, 100])
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

  test('scripts come back after SCRIPT FLUSH', async () => {
    const opened = createRedisStore({ connection: bare, prefix: 'x:' })
    await opened.raise('flushed', ['all'], 0)
    await redis.command('SCRIPT', 'FLUSH')
    expect(await opened.raise('flushed', ['all'], 0)).toBeGreaterThan(0)
  })
})
