// What earlier releases have written is taken over, on disk and in Redis, and what is written now they can read: each
// checksum is a spelling that they take for the plain value.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { startRedis, type TestRedis } from '../helpers/redis-server.ts'
import { openProcess, type TestProcess } from '../helpers/stores.ts'

const LONG_MS = 3_600_000
const VERSION = '1700000000000000.0123456789'
const END_MS = 2_000_000_000_000
/** What the release before takes a value for, in Redis and on disk: its own patterns. */
const HEAD_BEFORE = /^(\d{16}\.\w+)(!?)\n/
const bytesBefore = (stored: string) => stored.replace(HEAD_BEFORE, '')
const dataDir = mkdtempSync(join(tmpdir(), 'samovar-formats-'))
let redis: TestRedis
let app: TestProcess | undefined
beforeAll(async () => {
  redis = await startRedis()
})
afterEach(async () => {
  await app?.close()
  app = undefined
})
afterAll(async () => {
  await redis.stop()
  rmSync(dataDir, { recursive: true })
})

async function writeAll({ state, cache }: TestProcess): Promise<void> {
  await state.write('session:new', Buffer.from('new'), LONG_MS)
  await state.destroy('session:gone', LONG_MS)
  await state.claim('webhook:s:new', Buffer.from('new'), LONG_MS)
  await state.mark('revoked:new', 8, LONG_MS)
  await state.include('sessions:new', 'hash', LONG_MS)
  await state.hit('limit:p:new', { id: 'h', nowMs: Date.now(), limit: 5, windowMs: LONG_MS })
  await cache.clear({ tag: 'new' })
}

async function expectOld({ state, stateRole }: TestProcess): Promise<void> {
  expect((await state.read('session:old'))?.bytes.toString()).toBe('old')
  expect(await state.update('session:dead', Buffer.from('x'), LONG_MS, undefined)).toBe(false)
  expect((await state.claimed('webhook:s:old'))?.toString()).toBe('old')
  expect(await state.marked('revoked:old')).toBe(7)
  expect(await state.members('sessions:old')).toEqual(['hash'])
  const hit = { id: 'one more', nowMs: Date.now(), limit: 2, windowMs: 60_000 }
  expect((await state.hit('limit:p:old', hit)).remaining).toBe(0)
  const known = stateRole.counters.known()
  expect(['all', 'top', 'tag:old'].map((field) => known.get(field))).toEqual([5, 9, 9])
}

test('samovar.db', async () => {
  const folder = join(dataDir, 'db')
  app = await openProcess({ cacheUrl: 'off', dataDir: folder })
  await app.close()
  const database = new DatabaseSync(join(folder, 'samovar.db'))
  const row = database.prepare('REPLACE INTO copy VALUES (?, ?, ?, ?)')
  const put = (key: string, kind: string, text: string) => row.run(key, kind, Buffer.from(text), END_MS)
  put('session:old', 'record', `${VERSION}\nold`)
  put('session:dead', 'record', `${VERSION}!\n`)
  put('webhook:s:old', 'claim', `${VERSION}\nold`)
  put('revoked:old', 'mark', '7')
  put('sessions:old', 'members', JSON.stringify([{ id: 'hash', untilMs: END_MS }]))
  put('limit:p:old', 'log', JSON.stringify([{ id: 'h', atMs: Date.now() }]))
  const counters = JSON.stringify([
    ['all', 5],
    ['top', 9],
    ['tag:old', 9],
  ])
  database.prepare(`REPLACE INTO facts VALUES ('clears', ?)`).run(counters)

  app = await openProcess({ cacheUrl: 'off', dataDir: folder })
  await expectOld(app)
  await writeAll(app)
  await app.close()
  app = undefined
  const stored = Object.fromEntries(
    database
      .prepare('SELECT key, kind, value FROM copy')
      .all()
      .map(({ key, kind, value }) => [key, [kind, Buffer.from(value as Uint8Array).toString()]]),
  )
  // Values of the release before have checksums, too, now.
  for (const age of ['new', 'old']) {
    const version = expect.stringMatching(new RegExp(`^\\d{16}\\.p\\w+_\\w{8}x\\w{17}\\n${age}$`))
    expect(stored).toMatchObject({
      [`session:${age}`]: ['record', version],
      [`session:${age === 'new' ? 'gone' : 'dead'}`]: [
        'record',
        expect.stringMatching(/^\d{16}\.p\w+_\w{8}x\w{17}!\n$/),
      ],
      [`webhook:s:${age}`]: ['claim', version],
      [`revoked:${age}`]: ['mark', expect.stringMatching(/^[78]\s{16}$/)],
      [`sessions:${age}`]: [
        'members',
        expect.stringMatching(/^\[\{"id":"hash","untilMs":\d+\.\d+\}\]\s{16}$/),
      ],
      [`limit:p:${age}`]: ['log', expect.stringMatching(/^\[\{"id":"h","atMs":\d+\.\d+\}.*\]\s{16}$/)],
    })
  }
  const before = (key: string) => (stored[key] as [string, string])[1]
  expect(bytesBefore(before('session:new'))).toBe('new')
  expect(HEAD_BEFORE.exec(before('session:gone'))?.[2]).toBe('!')
  expect(Number(before('revoked:new').trim())).toBe(8)
  expect(JSON.parse(before('sessions:new'))).toMatchObject([{ id: 'hash' }])
  expect(stored).not.toHaveProperty('generations')
  const [{ value } = {}] = database.prepare(`SELECT value FROM facts WHERE name = 'clears'`).all()
  database.close()
  expect(value).toMatch(/\]\s{16}$/)
  const fields = new Map(JSON.parse(String(value)) as [string, number][])
  expect(fields.get('tag:old')).toBe(9)
  expect(fields.get('tag:new')).toBeGreaterThan(9)
})

test('Redis', async () => {
  const own = (key: string) => `samovar:state:${key}`
  const run = (command: string, key: string, ...words: (string | number)[]) =>
    redis.command(command, own(key), ...words.map(String))
  await run('SET', 'session:old', `${VERSION}\nold`, 'PX', LONG_MS)
  await run('SET', 'session:dead', `${VERSION}!\n`, 'PX', LONG_MS)
  await run('SET', 'webhook:s:old', `${VERSION}\nold`, 'PX', LONG_MS)
  await run('SET', 'revoked:old', 7, 'PX', LONG_MS)
  await run('ZADD', 'sessions:old', END_MS, 'hash')
  await run('ZADD', 'limit:p:old', Date.now(), 'h')
  for (const key of ['sessions:old', 'limit:p:old']) await run('PEXPIRE', key, LONG_MS)
  await run('HSET', 'generations', 'all', 5, 'top', 9, 'tag:old', 9)

  app = await openProcess({ cacheUrl: redis.url })
  await app.untilStatus('redis')
  await expectOld(app)
  await writeAll(app)
  const get = async (key: string) => (await run('GET', key)).replace(/^\$\d+\r\n/, '').slice(0, -2)
  for (const age of ['new', 'old']) {
    expect(await get(`session:${age}`)).toMatch(new RegExp(`^\\d{16}\\.p\\w+_\\w{8}\\n${age}$`))
    expect(await get(`webhook:s:${age}`)).toMatch(new RegExp(`^\\d{16}\\.p\\w+_\\w{8}\\n${age}$`))
    expect(await get(`revoked:${age}`)).toMatch(/^[78]\.0{16}\d{10}$/)
    expect(await run('ZRANGE', `sessions:${age}`, 0, -1, 'WITHSCORES')).toMatch(
      /hash\r\n\$\d+\r\n\d{13}\.\d+/,
    )
    expect(await run('ZRANGE', `limit:p:${age}`, 0, -1, 'WITHSCORES')).toMatch(/h\r\n\$\d+\r\n\d{13}\.\d+/)
  }
  expect(bytesBefore(await get('session:new'))).toBe('new')
  expect(await get('session:gone')).toMatch(HEAD_BEFORE)
  expect(await get('session:dead')).toMatch(/^\d{16}\.p\w+_\w{8}!\n$/)
  expect(Number(await get('revoked:new'))).toBe(8)
  const lua = (text: string) => redis.command('EVAL', `return tostring(tonumber('${text}') == 8)`, '0')
  expect(await lua(await get('revoked:new'))).toContain('true')
  expect(await run('HGET', 'generations', 'tag:old')).toContain('9')
  expect(await run('HGET', 'generations', 'tag:new')).toMatch(/\r\n\d{13}\r\n/)
})
