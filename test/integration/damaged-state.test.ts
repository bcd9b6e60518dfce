// Bytes that are none of ours, on disk and in Redis: each counts as absent on its side, is reported once, and stops
// nothing.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { lwwRegisterOf } from '../../src/core/state/kinds/lww-register.ts'
import { encodeTimestamped } from '../../src/core/state/kinds/timestamped.ts'
import { eventually } from '../helpers/eventually.ts'
import { startRedis, type TestRedis } from '../helpers/redis-server.ts'
import { openProcess, type TestProcess } from '../helpers/stores.ts'

const AWAY = 'redis://127.0.0.1:1/0'
const LONG_MS = 3_600_000
const dataDir = mkdtempSync(join(tmpdir(), 'samovar-damaged-'))
let app: TestProcess | undefined
afterEach(async () => {
  await app?.close()
  app = undefined
})
afterAll(() => rmSync(dataDir, { recursive: true }))

const inLog = (text: string) => (app?.lines ?? []).filter(({ message }) => message.includes(text))

describe('one bad row in samovar.db, in each of its tables', () => {
  const row = (key: string, kind: string, bytes: string) =>
    `VALUES ('${key}', '${kind}', CAST('${bytes}' AS BLOB), 9999999999999)`
  const rows = {
    journal: `INSERT INTO journal ${row('limit:p:x', 'log', '{')}`,
    copy: `INSERT INTO copy ${row('sessions:1', 'members', '[{"id":1}]')}`,
    'copy of an unknown kind': `INSERT INTO copy ${row('session:new', 'of-the-future', 'x')}`,
    'copy of a register': `INSERT INTO copy ${row('session:bad', 'record', 'no version')}`,
    counters: `REPLACE INTO facts VALUES ('clears', '[["all",')`,
    sequence: `REPLACE INTO facts VALUES ('offset', 'x')`,
    outages: `INSERT INTO outages VALUES ('1', 1, '{"id":"1"')`,
    'outage of another shape': `INSERT INTO outages VALUES ('2', 2, '{"id":"2","startedAt":"x"}')`,
  }
  test.each(Object.entries(rows))('%s: the process starts with all the others', async (table, insert) => {
    const folder = join(dataDir, table)
    app = await openProcess({ cacheUrl: AWAY, dataDir: folder })
    await app.state.write('session:good', Buffer.from('good'), LONG_MS)
    await app.cache.clear('all')
    await app.close()
    const database = new DatabaseSync(join(folder, 'samovar.db'))
    database.exec(insert)
    database.close()

    app = await openProcess({ cacheUrl: AWAY, dataDir: folder })
    expect((await app.state.read('session:good'))?.bytes.toString()).toBe('good')
    expect(await app.state.read('session:bad')).toBeUndefined()
    expect(await app.state.members('sessions:1')).toEqual([])
    expect(app.outages.all().every(({ startedAt }) => Date.parse(startedAt) > 2)).toBe(true)
    if (table !== 'sequence') expect(inLog('a row of samovar.db is corrupt')).toHaveLength(1)
    await app.cache.clear('all')
    await app.state.write('session:good', Buffer.from('newer'), LONG_MS)
    await app.close()

    app = await openProcess({ cacheUrl: AWAY, dataDir: folder })
    expect((await app.state.read('session:good'))?.bytes.toString()).toBe('newer')
  })
})

describe('in Redis', () => {
  let redis: TestRedis
  beforeAll(async () => {
    redis = await startRedis()
  })
  afterAll(() => redis.stop())
  const own = (key: string) => `samovar:state:${key}`
  const get = async (key: string) =>
    (await redis.command('GET', own(key))).replace(/^\$\d+\r\n/, '').slice(0, -2)

  test.each([1, 2])('%s workers: what memory has takes the place of what is corrupt', async (workers) => {
    app = await openProcess({ cacheUrl: redis.url, workers })
    await app.untilStatus('redis')
    await eventually(() => expect(app?.stateRole.coverage()).toBe('full'))
    const { state, stateRole } = app
    await state.write('session:x', Buffer.from('mine'), LONG_MS)
    await state.mark('revoked:1', 7, LONG_MS)
    for (const key of ['session:x', 'revoked:1']) await redis.command('SET', own(key), 'zzz', 'KEEPTTL')
    await eventually(async () => {
      expect((await state.read('session:x'))?.bytes.toString()).toBe('mine')
      expect(await state.marked('revoked:1')).toBe(7)
      expect(await get('session:x')).toMatch(/^\d{16}\.\w+\nmine$/)
      expect(await get('revoked:1')).toMatch(/^7\.0{16}\d{10}$/)
    })
    const told = inLog('a value in Redis is corrupt').map(({ fields }) => fields.key)
    expect(told.sort()).toEqual(['revoked:1', 'session:x'])
    expect(stateRole.status()).toMatchObject({ status: 'redis', activations: 0 })
    await redis.command('FLUSHALL')
  })

  test.each([1, 2])('%s workers: a damaged head that would win loses to what memory has', async (workers) => {
    app = await openProcess({ cacheUrl: redis.url, workers })
    await app.untilStatus('redis')
    await eventually(() => expect(app?.stateRole.coverage()).toBe('full'))
    const { state } = app
    const names = [
      'session:later',
      'session:tomb',
      'session:seen',
      'webhook:s:earlier',
      'revoked:more',
    ] as const
    for (const key of names) {
      if (key.startsWith('webhook:')) await state.claim(key, Buffer.from('mine'), LONG_MS)
      else if (key.startsWith('revoked:')) await state.mark(key, 1_732_798_000_000, LONG_MS)
      else await state.write(key, Buffer.from('mine'), LONG_MS)
    }
    const { timestamp } = (await state.read('session:seen')) ?? {}
    // As a file in which a byte has changed is loaded: nobody is told.
    const flip = async (key: string, change: (stored: string) => string) => {
      const stored = await get(key)
      await redis.command('SET', own(key), change(stored), 'KEEPTTL')
    }
    await flip('session:later', (stored) => stored.replace(/^0/, '9'))
    await flip('session:tomb', (stored) => stored.replace(/.\n/, '!\n'))
    await flip('session:seen', (stored) => stored.replace('mine', 'nine'))
    await flip('webhook:s:earlier', (stored) => stored.replace(/^(\d{5})\d/, '$10'))
    await flip('revoked:more', (stored) => stored.replace(/^1/, '9'))

    expect(await state.write('session:later', Buffer.from('newer'), LONG_MS)).toBe(true)
    expect(await state.write('session:tomb', Buffer.from('newer'), LONG_MS)).toBe(true)
    expect(await state.update('session:seen', Buffer.from('newer'), LONG_MS, timestamp)).toBe(true)
    expect(await state.claim('webhook:s:earlier', Buffer.from('other'), LONG_MS)).toMatchObject({
      taken: false,
      bytes: Buffer.from('mine'),
    })
    expect(await state.mark('revoked:more', 7, LONG_MS)).toBe(1_732_798_000_000)
    await eventually(async () => {
      for (const key of names.slice(0, 3)) expect(await get(key)).toMatch(/^\d{16}\.p\w+\nnewer$/)
      expect(await get('webhook:s:earlier')).toMatch(/^0\d{15}\.p\w+\nmine$/)
      expect(await get('revoked:more')).toMatch(/^1732798000000\.0{16}\d{10}$/)
    })
    expect(app.stateRole.damage.count()).toBeGreaterThan(0)
    expect(app.stateRole.status()).toMatchObject({ status: 'redis', activations: 0 })
    await redis.command('FLUSHALL')
  })

  test('two sound values of one time: the same one is chosen whoever asks, and the report says so', async () => {
    app = await openProcess({ cacheUrl: redis.url })
    await app.untilStatus('redis')
    const { state, outages } = app
    for (const key of ['session:one', 'session:two', 'session:six']) {
      await state.write(key, Buffer.from('mine'), LONG_MS)
      const mine = await get(key)
      const timestamp = mine.slice(0, mine.indexOf('_')).replace('.p', '.')
      const other = encodeTimestamped(lwwRegisterOf(key, { timestamp, bytes: Buffer.from('other') }))
      const winner = other.toString() > mine ? 'other' : 'mine'
      await redis.command('SET', own(key), other, 'KEEPTTL')
      await eventually(async () => {
        expect((await state.read(key))?.bytes.toString()).toBe(winner)
        expect((await get(key)).split('\n')[1]).toBe(winner)
      })
    }
    expect(inLog('two values of one time differ')).toHaveLength(3)
    await redis.kill()
    await app.untilStatus('memory')
    await redis.start()
    await app.untilStatus('redis')
    const reports = () => outages.all().filter(({ role }) => role === 'state')
    await eventually(() =>
      expect(reports()[0]?.conflicts).toContainEqual(
        expect.stringContaining('session:one had two values of one time'),
      ),
    )
    await redis.command('FLUSHALL')
  })

  test('what nobody has is absent: it can be claimed, written and updated', async () => {
    for (const key of ['webhook:s:1', 'session:a', 'session:b']) await redis.command('SET', own(key), 'zzz')
    await redis.command('HSET', own('generations'), 'all', 'no number', 'top', 'none')
    app = await openProcess({ cacheUrl: redis.url })
    await app.untilStatus('redis')
    const { state, cache, stateRole } = app
    expect(await state.claim('webhook:s:1', Buffer.from('one'), LONG_MS)).toMatchObject({ taken: true })
    expect(await state.claim('webhook:s:1', Buffer.from('two'), LONG_MS)).toMatchObject({ taken: false })
    expect(await state.write('session:a', Buffer.from('a'), LONG_MS)).toBe(true)
    expect(await state.update('session:b', Buffer.from('b'), LONG_MS, undefined)).toBe(true)
    expect((await state.read('session:b'))?.bytes.toString()).toBe('b')
    await cache.clear('all')
    expect(stateRole.counters.known().get('all')).toBeGreaterThan(0)
    expect(stateRole.status()).toMatchObject({ status: 'redis', activations: 0 })
  })
})
