// The cache on a real Redis, as two processes of the app see it.
import { randomUUID } from 'node:crypto'
import type { CachePolicy } from '../../src/core/cache/cached.ts'
import { asAppError } from '../../src/http/problem.ts'
import { pause } from '../../src/lib/time.ts'
import { eventually } from '../helpers/eventually.ts'
import { startRedis, type TestRedis } from '../helpers/redis-server.ts'
import { openProcess, type TestProcess } from '../helpers/stores.ts'

let redis: TestRedis
let one: TestProcess
let two: TestProcess

beforeAll(async () => {
  redis = await startRedis()
  // A generous budget: this suite is about the cache, not about the failover.
  one = await openProcess({ cacheUrl: redis.url, budgetMs: 2_000 })
  two = await openProcess({ cacheUrl: redis.url, budgetMs: 2_000 })
  await Promise.all([one.untilStatus('redis'), two.untilStatus('redis')])
})
afterAll(async () => {
  await one.close()
  await two.close()
  await redis.stop()
})

const policy: CachePolicy<string> = {
  freshMs: 60_000,
  staleMs: 60_000,
  parse: (json) => {
    if (typeof json !== 'string') throw new TypeError('not a string')
    return json
  },
}
const LEASE_MS = 6_000 // of a load
const TRUSTED_MS = 1_000 // so long a server that does not tell of writes is not asked again
const newKey = () => `test:${randomUUID()}`

/** A source that counts how often it is asked. */
function createSource(delayMs = 0) {
  const source = {
    asked: 0,
    value: 'first' as string | undefined,
    fails: false,
    async load() {
      source.asked += 1
      const { value, fails } = source
      if (delayMs > 0) await pause(delayMs)
      if (fails) throw new Error('the source is down')
      return value
    },
  }
  return source
}

const REMEMBERED_MS = 1_000 // so long a failed load is not tried again
/** How often a failing source may have been asked since then, however long this machine took. */
function mostAsked(): () => number {
  const startedAt = performance.now()
  return () => 1 + Math.floor((performance.now() - startedAt) / REMEMBERED_MS)
}

test('a miss, then a hit, from both processes, as the same bytes', async () => {
  const [key, source] = [newKey(), createSource()]
  const before = one.cache.counts()
  const first = await one.cache.getOrLoad(key, policy, source.load)
  const again = await one.cache.getOrLoad(key, policy, source.load)
  const other = await two.cache.getOrLoad(key, policy, source.load)
  expect([first.outcome, again.outcome, other.outcome]).toEqual(['miss', 'hit', 'hit'])
  expect([first.value, again.value, other.value]).toEqual(['first', 'first', 'first'])
  expect(other.body.toString()).toBe('"first"')
  expect(other.etag).toBe(first.etag)
  expect(source.asked).toBe(1)
  const after = one.cache.counts()
  expect([after.hits - before.hits, after.misses - before.misses]).toEqual([1, 1])
})

test('200 callers in each of two processes make one load', async () => {
  const [key, source] = [newKey(), createSource(300)]
  const callers = Array.from({ length: 200 }, () => [
    one.cache.getOrLoad(key, policy, source.load),
    two.cache.getOrLoad(key, policy, source.load),
  ]).flat()
  const answers = await Promise.all(callers)
  expect(new Set(answers.map(({ value }) => value))).toEqual(new Set(['first']))
  expect(source.asked).toBe(1)
})

test('a failing source is asked once by all who wait, and not again for a moment', async () => {
  const [key, source, most] = [newKey(), createSource(100), mostAsked()]
  source.fails = true
  const callers = Array.from({ length: 50 }, () => [
    one.cache.getOrLoad(key, policy, source.load),
    two.cache.getOrLoad(key, policy, source.load),
  ]).flat()
  const answers = await Promise.allSettled(callers)
  expect(answers.every(({ status }) => status === 'rejected')).toBe(true)
  expect(await two.cache.getOrLoad(key, policy, source.load).catch(asAppError)).toMatchObject({
    code: 'source_failed',
    status: 503,
  })
  expect(source.asked).toBeLessThanOrEqual(most())
  source.fails = false
  const again = () => one.cache.getOrLoad(key, policy, source.load)
  const value = await eventually(again, 5 * REMEMBERED_MS, 100)
  expect(value.value).toBe('first')
})

test('a stale value is answered at once while one new load runs', async () => {
  const [key, source] = [newKey(), createSource(100)]
  const brief = { ...policy, freshMs: 20 }
  await one.cache.getOrLoad(key, brief, source.load)
  await pause(40)
  source.value = 'second'
  const stale = await Promise.all(
    Array.from({ length: 20 }, () => one.cache.getOrLoad(key, brief, source.load)),
  )
  expect(stale.every(({ outcome, value }) => outcome === 'stale' && value === 'first')).toBe(true)
  await eventually(async () => {
    expect((await one.cache.getOrLoad(key, { ...policy }, source.load)).value).toBe('second')
  })
  expect(source.asked).toBeLessThanOrEqual(3)
})

test('a stale value is answered while the source fails', async () => {
  const [key, source] = [newKey(), createSource()]
  const brief = { ...policy, freshMs: 20 }
  await one.cache.getOrLoad(key, brief, source.load)
  source.fails = true
  await pause(40)
  const most = mostAsked()
  for (let i = 0; i < 5; i += 1) {
    const { outcome, value } = await one.cache.getOrLoad(key, brief, source.load)
    expect([outcome, value]).toEqual(['stale', 'first'])
    await pause(10)
  }
  expect(source.asked - 1).toBeGreaterThan(0)
  expect(source.asked - 1).toBeLessThanOrEqual(most())
})

test('a value that is too old to be given unwaited is for failures only', async () => {
  const [key, source] = [newKey(), createSource(50)]
  const brief = { ...policy, freshMs: 20, unwaitedMs: 0 }
  await one.cache.getOrLoad(key, brief, source.load)
  await pause(40)
  source.value = 'second'
  const waited = await one.cache.getOrLoad(key, brief, source.load)
  expect([waited.outcome, waited.value]).toEqual(['miss', 'second'])
  await pause(40)
  source.fails = true
  const old = await one.cache.getOrLoad(key, brief, source.load)
  expect([old.outcome, old.value]).toEqual(['stale', 'second'])
})

test('how long a value is fresh may depend on it', async () => {
  const source = createSource()
  const byValue = { ...policy, freshMs: (value: string) => (value === 'first' ? 60_000 : 0) }
  const key = newKey()
  await one.cache.getOrLoad(key, byValue, source.load)
  expect((await one.cache.getOrLoad(key, byValue, source.load)).outcome).toBe('hit')
  const other = newKey()
  source.value = 'second'
  await one.cache.getOrLoad(other, byValue, source.load)
  expect((await one.cache.getOrLoad(other, byValue, source.load)).outcome).toBe('stale')
})

test('"there is none" is remembered, for its own time', async () => {
  const [long, brief, source] = [newKey(), newKey(), createSource()]
  source.value = undefined
  const given = { ...policy, absentMs: 60_000 }
  expect((await one.cache.getOrLoad(long, given, source.load)).value).toBeUndefined()
  const again = await two.cache.getOrLoad(long, given, source.load)
  expect([again.outcome, again.value, source.asked]).toEqual(['hit', undefined, 1])
  const briefly = { ...policy, absentMs: 20 }
  expect((await one.cache.getOrLoad(brief, briefly, source.load)).value).toBeUndefined()
  await pause(40)
  source.value = 'now there is'
  expect((await one.cache.getOrLoad(brief, briefly, source.load)).value).toBe('now there is')
})

test('what was loaded together does not expire together', async () => {
  const source = createSource()
  const answers = await Promise.all(
    Array.from({ length: 50 }, () => one.cache.getOrLoad(newKey(), policy, source.load)),
  )
  const lives = answers.map(({ freshUntilMs, storedAtMs }) => freshUntilMs - storedAtMs)
  expect(Math.max(...lives)).toBeLessThanOrEqual(60_000)
  expect(Math.min(...lives)).toBeGreaterThanOrEqual(54_000)
  expect(new Set(lives).size).toBeGreaterThan(10)
})

describe('clearing in one process is seen in the other', () => {
  test.each<[string, (key: string) => Promise<unknown>]>([
    ['a key', (key) => one.cache.invalidate([key])],
    ['a prefix', (key) => one.cache.clear({ prefix: key.slice(0, 20) })],
    ['a tag', () => one.cache.clear({ tag: 'colours' })],
    ['everything', () => one.cache.clear('all')],
  ])('%s', async (_name, clear) => {
    const [key, source] = [newKey(), createSource()]
    const tagged = { ...policy, tags: ['colours'] }
    await one.cache.getOrLoad(key, tagged, source.load)
    await two.cache.getOrLoad(key, tagged, source.load)
    source.value = 'second'
    await clear(key)
    expect((await one.cache.getOrLoad(key, tagged, source.load)).value).toBe('second')
    await eventually(async () => {
      expect((await two.cache.getOrLoad(key, tagged, source.load)).value).toBe('second')
    })
    expect(source.asked).toBe(2)
  })

  test('and leaves what is out of its scope', async () => {
    const [near, far, source] = [newKey(), newKey(), createSource()]
    await one.cache.getOrLoad(near, { ...policy, tags: ['a'] }, source.load)
    await one.cache.getOrLoad(far, { ...policy, tags: ['b'] }, source.load)
    await one.cache.clear({ tag: 'a' })
    await one.cache.clear({ prefix: near })
    expect((await one.cache.getOrLoad(far, policy, source.load)).outcome).toBe('hit')
  })
})

describe('a soft clear', () => {
  test.each<[string, (key: string) => Promise<unknown>]>([
    ['of a prefix', (key) => one.cache.clear({ prefix: key.slice(0, 20) }, { isSoft: true })],
    ['of a tag', () => one.cache.clear({ tag: 'colours' }, { isSoft: true })],
    ['of everything', () => one.cache.clear('all', { isSoft: true })],
  ])(
    '%s: the next read loads, in both processes, and has the old value while the source fails',
    async (_name, clear) => {
      const [key, source] = [newKey(), createSource()]
      const tagged = { ...policy, tags: ['colours'] }
      const ask = (process: TestProcess) => process.cache.getOrLoad(key, tagged, source.load)
      for (const process of [one, two]) await ask(process)
      source.fails = true
      await clear(key)
      expect(await ask(one)).toMatchObject({ outcome: 'stale', value: 'first' })
      await eventually(async () => {
        expect(await ask(two)).toMatchObject({ outcome: 'stale', value: 'first' })
      })
      expect(source.asked).toBeGreaterThan(1)
      Object.assign(source, { fails: false, value: 'second' })
      const { misses } = one.cache.counts()
      await eventually(async () => expect((await ask(one)).value).toBe('second'))
      expect(one.cache.counts().misses).toBeGreaterThan(misses)
      await eventually(async () => expect((await ask(two)).value).toBe('second'))
      expect((await ask(one)).outcome).toBe('hit')
    },
  )

  test('leaves no copy to a hard one', async () => {
    const [key, source] = [newKey(), createSource()]
    await one.cache.getOrLoad(key, policy, source.load)
    await one.cache.clear('all', { isSoft: true })
    await one.cache.clear('all')
    source.fails = true
    await expect(one.cache.getOrLoad(key, policy, source.load)).rejects.toMatchObject({
      code: 'source_failed',
    })
  })

  test('is not undone by a load that began before it, and nobody waits for that', async () => {
    const [key, source] = [newKey(), createSource(400)]
    const running = one.cache.getOrLoad(key, policy, source.load)
    await eventually(() => expect(source.asked).toBe(1))
    source.value = 'second'
    await one.cache.clear('all', { isSoft: true })
    expect((await one.cache.getOrLoad(key, policy, source.load)).value).toBe('second')
    expect((await running).value).toBe('first')
    expect(source.asked).toBe(2)
    expect(await one.cache.getOrLoad(key, policy, source.load)).toMatchObject({
      outcome: 'hit',
      value: 'second',
    })
  })

  test('many of them with made-up prefixes make no hard one of the oldest', async () => {
    const [key, source] = [newKey(), createSource()]
    await one.cache.getOrLoad(key, policy, source.load)
    for (let i = 0; i < 1_200; i += 1) await one.cache.clear({ prefix: `made-up-${i}` }, { isSoft: true })
    source.fails = true
    expect(await one.cache.getOrLoad(key, policy, source.load)).toMatchObject({ value: 'first' })
  })
})

describe('a load that began before does not bring the old value back', () => {
  test.each<[string, (key: string) => Promise<unknown>]>([
    ['a deletion here', (key) => one.cache.invalidate([key])],
    ['a deletion in the other process', (key) => two.cache.invalidate([key])],
    ['a clear here', () => one.cache.clear('all')],
    ['a clear in the other process', () => two.cache.clear('all')],
    ['a clear of its tag in the other process', () => two.cache.clear({ tag: 'slow' })],
  ])('%s', async (_name, clear) => {
    const [key, source] = [newKey(), createSource(400)]
    const tagged = { ...policy, tags: ['slow'] }
    const running = one.cache.getOrLoad(key, tagged, source.load)
    await eventually(() => expect(source.asked).toBe(1))
    source.value = 'second'
    await clear(key)
    expect((await running).value).toBe('first') // who asked before gets what was true before
    await eventually(async () => {
      const [here, there] = [
        await one.cache.getOrLoad(key, tagged, source.load),
        await two.cache.getOrLoad(key, tagged, source.load),
      ]
      expect([here.value, there.value]).toEqual(['second', 'second'])
    }, LEASE_MS / 2) // nobody waits for the lease of the load that counts no more
  })
})

test('a value that cannot be read is a miss, and is replaced', async () => {
  const source = createSource()
  for (const corrupt of ['garbage', '{"samovar":1}\n"x"', '\u0000\n']) {
    const key = newKey()
    await redis.command('SET', key, corrupt)
    expect((await one.cache.getOrLoad(key, policy, source.load)).value).toBe('first')
    expect((await two.cache.getOrLoad(key, policy, source.load)).outcome).toBe('hit')
  }
})

test('a value of the wrong shape is a miss: what is stored is checked when it is read', async () => {
  const [key, source] = [newKey(), createSource()]
  const numbers: CachePolicy<number> = { ...policy, freshMs: 60_000, parse: Number }
  await one.cache.getOrLoad(key, numbers, async () => 7)
  expect((await two.cache.getOrLoad(key, policy, source.load)).value).toBe('first')
})

test('keys carry literal names, and a sweep leaves what is not ours', async () => {
  const [key, source] = [newKey(), createSource()]
  await one.cache.getOrLoad(key, policy, source.load)
  expect(await redis.command('EXISTS', key)).toBe(':1\r\n')
  await redis.command('SET', 'of-another-program', 'precious')
  await one.cache.clear('all')
  await eventually(async () => expect(await redis.command('EXISTS', key)).toBe(':0\r\n'))
  expect(await redis.command('GET', 'of-another-program')).toContain('precious')
})

test('a server that does not tell of writes: what is in memory is asked for again after a second', async () => {
  await redis.command('ACL', 'SETUSER', 'limited', 'on', '>secret', '~*', '&*', '+@all', '-client|tracking')
  const deaf = await openProcess({
    cacheUrl: `redis://limited:secret@127.0.0.1:${redis.port}`,
    budgetMs: 2_000,
  })
  try {
    await deaf.untilStatus('redis')
    const [key, source] = [newKey(), createSource()]
    await deaf.cache.getOrLoad(key, policy, source.load)
    source.value = 'second'
    await one.cache.invalidate([key])
    await eventually(async () => {
      expect((await deaf.cache.getOrLoad(key, policy, source.load)).value).toBe('second')
    }, 3 * TRUSTED_MS)
    source.value = 'third'
    await one.cache.clear({ prefix: key })
    await eventually(async () => {
      expect((await deaf.cache.getOrLoad(key, policy, source.load)).value).toBe('third')
    }, 3 * TRUSTED_MS)
  } finally {
    await deaf.close()
  }
})

test('what was just loaded is in memory, although Redis tells us of our own write', async () => {
  const [key, source] = [newKey(), createSource()]
  await one.cache.getOrLoad(key, policy, source.load)
  await eventually(() => expect(one.cacheRole.store.peek(key)).toBeDefined())
  await pause(50)
  expect(one.cacheRole.store.peek(key)).toBeDefined()
  expect(await one.cache.clear({ prefix: key })).toBe(1)
})
