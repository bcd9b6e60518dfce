// What the stores promise while their Redis is killed, frozen, slow or not there at all.
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { pause } from '../../src/lib/time.ts'
import { timed } from '../helpers/control-clock.ts'
import { eventually } from '../helpers/eventually.ts'
import { startRedis, type TestRedis } from '../helpers/redis-server.ts'
import { openProcess, type TestProcess } from '../helpers/stores.ts'

const BUDGET_MS = 200 // twice the app's own, so that a busy machine is no outage
const WORST_MS = 5 * BUDGET_MS
let redis: TestRedis
let app: TestProcess

beforeEach(async () => {
  redis = await startRedis('--appendonly', 'yes')
  app = await openProcess({ cacheUrl: redis.url, budgetMs: BUDGET_MS })
  await app.untilStatus('redis')
})
afterEach(async () => {
  redis.thaw()
  await app.close()
  await redis.stop()
})

const policy = { freshMs: 60_000, staleMs: 60_000, parse: String }
const read = (key: string, value = 'loaded') => app.cache.getOrLoad(key, policy, async () => value)
const messages = () => app.lines.map(({ message }) => message)

test('killed: answered from memory at once, and from Redis when it is back', async () => {
  await read('key')
  await redis.kill()
  const answers = await Promise.all(Array.from({ length: 50 }, () => read('key')))
  expect(answers.every(({ value }) => value === 'loaded')).toBe(true)
  await app.untilStatus('memory')
  await redis.start()
  await app.untilStatus('redis')
  expect((await read('key')).value).toBe('loaded')
})

test('frozen: all calls under way cost one budget, later ones none', async () => {
  redis.freeze()
  const get = (key: string) => app.cacheRole.store.get(key)
  const underWay = await timed(() => Promise.all(Array.from({ length: 50 }, () => get(randomUUID()))))
  expect(underWay.tookMs).toBeLessThan(WORST_MS)
  const later = await timed(async () => {
    for (let i = 0; i < 50; i += 1) await get(`later:${i}`)
  })
  expect(later.tookMs).toBeLessThan(WORST_MS)
  redis.thaw()
  await app.untilStatus('redis')
})

test('frozen while nobody asks anything of it: noticed all the same', async () => {
  await read('key')
  redis.freeze()
  // Within a heartbeat of 250 ms and a budget.
  await eventually(() => expect(app.cacheRole.status().status).toBe('memory'), 10 * BUDGET_MS)
  redis.thaw()
  await app.untilStatus('redis')
})

test('ten commands one after the other wait one budget, not ten', async () => {
  redis.freeze()
  const { tookMs } = await timed(async () => {
    for (let i = 0; i < 10; i += 1) await app.cacheRole.store.get(`one-of-ten:${i}`)
  })
  expect(tookMs).toBeLessThan(WORST_MS)
})

test('a deletion and a clear made while Redis is away hold when it is back with its data', async () => {
  await read('deleted', 'old')
  await read('cleared:1', 'old')
  await read('kept', 'old')
  redis.freeze()
  await app.cache.invalidate(['deleted'])
  await app.cache.clear({ prefix: 'cleared:' })
  await app.untilStatus('memory')
  redis.thaw()
  await app.untilStatus('redis')
  expect((await read('deleted', 'new')).value).toBe('new')
  expect((await read('cleared:1', 'new')).value).toBe('new')
  expect((await read('kept', 'new')).value).toBe('old')
})

test('a soft clear made while Redis is away holds when it is back, and has left the old values for want of new ones', async () => {
  await read('cleared:2', 'old')
  redis.freeze()
  await app.cache.clear({ prefix: 'cleared:' }, { isSoft: true })
  await app.untilStatus('memory')
  redis.thaw()
  await app.untilStatus('redis')
  const fails = () => Promise.reject(new Error('the source is down'))
  const kept = await app.cache.getOrLoad('cleared:2', policy, fails)
  expect([kept.outcome, kept.value]).toEqual(['stale', 'old'])
  await eventually(async () => expect((await read('cleared:2', 'new')).value).toBe('new'))
})

test('a load that ended while Redis was away leaves no lease behind that the next one would wait for', async () => {
  let finish = (): void => {}
  const load = () =>
    new Promise<string>((resolve) => {
      finish = () => resolve('first')
    })
  const slow = app.cache.getOrLoad('key', policy, load)
  await eventually(async () => expect(await redis.command('EXISTS', 'lock:key')).toBe(':1\r\n'))
  redis.freeze()
  await app.untilStatus('memory')
  finish()
  await slow
  redis.thaw()
  await app.untilStatus('redis')
  const { answer, tookMs } = await timed(() => read('key', 'second'))
  expect(answer.value).toBe('second')
  expect(tookMs).toBeLessThan(2_000) // the lease would have lasted six seconds
})

test('a value that is being written when Redis freezes does not come after its deletion', async () => {
  let finish = (): void => {}
  const load = () =>
    new Promise<string>((resolve) => {
      finish = () => resolve('old')
    })
  const slow = app.cache.getOrLoad('key', policy, load)
  await eventually(async () => expect(await redis.command('EXISTS', 'lock:key')).toBe(':1\r\n'))
  redis.freeze()
  finish()
  await pause(20) // the write is under way, and will end in memory when its budget is used up
  await app.cache.invalidate(['key'])
  await slow
  expect((await read('key', 'new')).value).toBe('new')
  redis.thaw()
  await app.untilStatus('redis')
  expect((await read('key', 'newer')).value).not.toBe('old')
})

test('another process learns of a clear that was made while Redis was away', async () => {
  await read('key', 'old')
  redis.freeze()
  await app.cache.clear('all')
  redis.thaw()
  await app.untilStatus('redis')
  const other = await openProcess({ cacheUrl: redis.url })
  await other.untilStatus('redis')
  try {
    expect((await other.cache.getOrLoad('key', policy, async () => 'new')).value).toBe('new')
  } finally {
    await other.close()
  }
})

test('Redis that lost its state is taught the clears again: an old snapshot brings nothing back', async () => {
  await read('key', 'old')
  const stored = await redis.command('DUMP', 'key')
  await app.cache.clear('all')
  await redis.command('FLUSHALL')
  expect(stored).toContain('old')
  redis.freeze()
  await app.cacheRole.store.get('notice')
  await app.state.read('session:notice')
  redis.thaw()
  await app.untilStatus('redis')
  expect(await redis.command('HEXISTS', 'samovar:state:generations', 'all')).toBe(':1\r\n')
})

test('an older state of the cache, from before a deletion: what was deleted does not come back', async () => {
  await read('deleted', 'old')
  const value = await redis.dump('deleted')
  await app.cache.invalidate(['deleted'])
  // As it was before the deletion.
  await redis.restore('deleted', value)
  await redis.command('DEL', 'deletions:count')
  await redis.kill()
  await app.untilStatus('memory')
  await redis.start()
  await app.untilStatus('redis')
  expect((await read('deleted', 'new')).value).toBe('new')
})

test('Redis that comes back empty: nothing stale is left in memory, everything is loaded anew', async () => {
  await read('key', 'old')
  await redis.kill()
  await app.untilStatus('memory')
  await redis.start('--appendonly', 'no')
  await app.untilStatus('redis')
  expect((await read('key', 'new')).value).toBe('new')
})

test('the only process writes back what Redis lost or never had, but for what was deleted or cleared', async () => {
  const alone = await openProcess({ cacheUrl: redis.url, workers: 1 })
  const load = (key: string, value: string) => alone.cache.getOrLoad(key, policy, async () => value)
  try {
    await alone.untilStatus('redis')
    for (const key of ['before', 'deleted', 'cleared:1']) await load(key, 'old')
    await redis.kill()
    await alone.untilStatus('memory')
    await load('during', 'old')
    await alone.cache.invalidate(['deleted'])
    await alone.cache.clear({ prefix: 'cleared:' })
    await redis.start('--appendonly', 'no')
    await alone.untilStatus('redis')
    await app.untilStatus('redis') // a process that had nothing to write back reads it from Redis
    const found = await Promise.all(
      ['before', 'during', 'deleted', 'cleared:1'].map((key) => read(key, 'new')),
    )
    expect(found.map(({ value }) => value)).toEqual(['old', 'old', 'new', 'new'])
  } finally {
    await alone.close()
  }
})

test('restarted twenty times: the next read works each time', async () => {
  for (let i = 0; i < 20; i += 1) {
    await redis.kill()
    await redis.start()
    expect((await read(`key:${i}`)).value).toBe('loaded')
  }
  await app.untilStatus('redis')
})

test('an outage has one line when it begins and one when it ends', async () => {
  await redis.kill()
  await read('key')
  await app.untilStatus('memory')
  await pause(1_000) // some probes find it away
  await redis.start()
  await app.untilStatus('redis')
  const about = messages().filter((message) => message.startsWith('Redis'))
  const perRole = (start: string) => about.filter((message) => message.startsWith(start)).length
  expect([perRole('Redis connected'), perRole('Redis unavailable'), perRole('Redis recovered')]).toEqual([
    2, 2, 2,
  ])
  expect(about).toHaveLength(6)
})

test('the breaker holds for a Redis that takes connections and closes them, and ends with it', async () => {
  await redis.kill()
  const closing = createServer((socket) => socket.destroy()).listen(redis.port, '127.0.0.1')
  await once(closing, 'listening')
  for (let i = 0; i < 20; i += 1) {
    expect((await read(`key:${i}`)).value).toBe('loaded')
    await pause(50)
  }
  closing.close()
  await once(closing, 'close')
  await redis.start()
  await app.untilStatus('redis')
})

test.each([
  ['a replica', ['REPLICAOF', '127.0.0.1', '1'], ['REPLICAOF', 'NO', 'ONE']],
  [
    'one without its replicas',
    ['CONFIG', 'SET', 'min-replicas-to-write', '1'],
    ['CONFIG', 'SET', 'min-replicas-to-write', '0'],
  ],
  ['a full one', ['CONFIG', 'SET', 'maxmemory', '1'], ['CONFIG', 'SET', 'maxmemory', '0']],
])('a server that refuses writes is not taken for a healthy one: %s', async (_name, refuse, accept) => {
  await redis.command(...refuse)
  expect((await read('key')).value).toBe('loaded')
  expect(app.cacheRole.status().status).toBe('memory')
  await pause(1_000)
  expect(app.cacheRole.status().status).toBe('memory')
  await redis.command(...accept)
  await app.untilStatus('redis')
})

test('nowhere: it serves from memory and says why in one line', async () => {
  const lost = await openProcess({ cacheUrl: 'redis://127.0.0.1:1/0' })
  try {
    const { value } = await lost.cache.getOrLoad('key', policy, async () => 'loaded')
    expect(value).toBe('loaded')
    const told = () => lost.lines.filter(({ level }) => level === 'warn')
    await eventually(() => expect(told().length).toBeGreaterThanOrEqual(2))
    await pause(1_000) // some probes more
    const lines = told()
    expect(lines).toHaveLength(2) // one for each role
    expect(lines[0]?.message).toContain('ECONNREFUSED')
  } finally {
    await lost.close()
  }
})

test('a lease that somebody else holds is left alone by who asked for it and found Redis gone', async () => {
  const { store } = app.cacheRole
  const key = 'lock:leased'
  expect(await store.lease({ key, holder: 'first' }, 60_000)).toBe('taken')
  expect(await store.lease({ key, holder: 'second' }, 60_000)).toBe('held')
  await redis.kill()
  await app.untilStatus('memory')
  await store.release({ key, holder: 'second' }, 'done', 0)
  await redis.start()
  await app.untilStatus('redis')
  expect(await redis.command('EXISTS', key)).toBe(':1\r\n')
})

test('more deletions than can be remembered, while Redis is away: nothing that it still has is served', async () => {
  await read('by-itself', 'old')
  await redis.kill()
  await app.untilStatus('memory')
  await app.cache.invalidate(Array.from({ length: 100_001 }, (_, i) => `deleted-${i}`))
  await app.cache.invalidate(['by-itself'])
  await redis.start()
  await app.untilStatus('redis')
  expect((await read('by-itself', 'new')).value).toBe('new')
  expect((await read('by-itself', 'newer')).value).toBe('new')
})
