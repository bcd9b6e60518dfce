// Memory that is too small for what Redis holds: what does not fit is asked for and never answered by an older version
// of it, in an outage it is `state_full`, and once there is room again everything is taken in.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pause } from '../../src/lib/time.ts'
import { eventually } from '../helpers/eventually.ts'
import { startRedis, type TestRedis } from '../helpers/redis-server.ts'
import { openProcess, type TestProcess } from '../helpers/stores.ts'

const LONG_MS = 3_600_000
const FILLERS = Array.from({ length: 60 }, (_, i) => `session:filler-${i}`)

let redis: TestRedis
let dataDir: string
let app: TestProcess

const open = () =>
  openProcess({ cacheUrl: redis.url, budgetMs: 500, workers: 1, memoryBudgetBytes: 60_000, dataDir })
const filled = (by = app) => eventually(() => expect(by.stateRole.coverage()).toBe('full'))
const outcome = (call: Promise<unknown>) => call.catch((error: { code?: string }) => error.code)
const text = async (key: string, by = app) => (await by.state.read(key))?.bytes.toString()
const write = (key: string, value: string) => app.state.write(key, Buffer.from(value), LONG_MS)

/** Nothing fits any more, not even something small. */
async function fill(): Promise<void> {
  for (const key of FILLERS) await write(key, 'x'.repeat(300))
  for (let i = 0; i < 20; i += 1) await app.state.mark(`revoked:filler-${i}`, 1, LONG_MS)
  expect(app.stateRole.coverage()).toBe('partial')
}

beforeEach(async () => {
  redis = await startRedis('--appendonly', 'yes')
  dataDir = mkdtempSync(join(tmpdir(), 'samovar-data-'))
  app = await open()
  await app.untilStatus('redis')
  await filled()
})
afterEach(async () => {
  await app.close()
  await redis.stop()
  rmSync(dataDir, { recursive: true, force: true })
})

test('what has grown out of memory is read as it was written, and can be changed', async () => {
  await write('session:grown', 'small')
  await app.state.include('sessions:user', 'first', LONG_MS)
  await fill()
  await app.state.include('sessions:user', 'second', LONG_MS)
  const before = await app.state.read('session:grown')
  const grown = 'large '.repeat(120)
  expect(await app.state.update('session:grown', Buffer.from(grown), LONG_MS, before?.timestamp)).toBe(true)
  await pause(1_500) // it has been told of its own writes
  expect([...(await app.state.members('sessions:user'))].sort()).toEqual(['first', 'second'])
  const found = await app.state.read('session:grown')
  expect(found?.bytes.toString()).toBe(grown)
  expect(await app.state.update('session:grown', Buffer.from('small'), LONG_MS, found?.timestamp)).toBe(true)
})

test('in an outage the older version of what did not fit is not read or changed, nor after a restart', async () => {
  await write('session:grown', 'small')
  const before = await app.state.read('session:grown')
  await fill()
  const grown = Buffer.from('large '.repeat(120))
  expect(await app.state.update('session:grown', grown, LONG_MS, before?.timestamp)).toBe(true)
  await redis.kill()
  await app.untilStatus('memory')
  expect(await outcome(text('session:grown'))).toBe('state_full')
  const undone = app.state.update('session:grown', Buffer.from('undone'), LONG_MS, before?.timestamp)
  expect(await outcome(undone)).toBe('state_full')
  expect(await outcome(app.state.include('sessions:nobody', 'one', LONG_MS))).toBe('state_full')

  await app.close()
  app = await open()
  expect(await outcome(text('session:grown'))).toBe('state_full')
  await redis.start()
  await app.untilStatus('redis')
  expect(await text('session:grown')).toContain('large')
})

test('once there is room again, everything is taken in', async () => {
  await fill()
  await pause(1_500)
  await redis.command('DEL', ...FILLERS.slice(0, 50).map((key) => `samovar:state:${key}`))
  await filled()
  await redis.kill()
  await app.untilStatus('memory')
  for (const key of FILLERS.slice(50)) expect(await text(key)).toBe('x'.repeat(300))
  expect(await text('session:unheard-of')).toBeUndefined()
})

test('Redis holds an older version of one key: it is given the newer one, and changes go on', async () => {
  await write('session:one', 'old')
  const old = await redis.dump('samovar:state:session:one')
  const ttl = (await redis.command('PTTL', 'samovar:state:session:one')).slice(1).trim()
  await write('session:one', 'new')
  await redis.restore('samovar:state:session:one', old)
  await redis.command('PEXPIRE', 'samovar:state:session:one', ttl)
  await pause(1_500) // it has been told
  let tries = 0
  for (; tries < 3; tries += 1) {
    const found = await app.state.read('session:one')
    expect(found?.bytes.toString()).toBe('new')
    if (await app.state.update('session:one', Buffer.from('newest'), LONG_MS, found?.timestamp)) break
  }
  expect(tries).toBeLessThan(3)
  await eventually(async () =>
    expect(await redis.command('GET', 'samovar:state:session:one')).toContain('newest'),
  )
  expect(app.stateRole.status().activations).toBe(0)
})
