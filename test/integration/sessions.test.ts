// Sessions in the whole app: where they are mounted, what is kept on disk, what is said at the start.
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startApp } from '../helpers/app.ts'
import { startRedis } from '../helpers/redis-server.ts'

let dataDir: string
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'samovar-data-'))
})
afterEach(() => {
  rmSync(dataDir, { recursive: true, force: true })
})

const secretPath = () => join(dataDir, 'session-secret')

test('nobody is logged in, which is said in words, and no page or data costs a session', async () => {
  const app = await startApp({ REDIS_URL: 'off', DATA_DIR: dataDir })
  try {
    const me = await app.get('/api/me')
    expect([me.status, me.headers.get('cache-control')]).toEqual([401, 'no-store'])
    expect(await me.json()).toMatchObject({ code: 'not_logged_in', detail: 'Log in first.' })
    expect((await app.get('/api/sessions')).status).toBe(401)
    expect((await app.get('/api/logout', { method: 'POST' })).status).toBe(204)
    expect((await app.get('/api/logout')).headers.get('allow')).toBe('POST')
    for (const path of ['/', '/api/countries', '/api/me', '/livez'])
      expect((await app.get(path)).headers.getSetCookie()).toEqual([])
  } finally {
    await app.close()
  }
})

test('the secret is made at the first start and kept; with SESSION_SECRET none is made', async () => {
  const given = await startApp({ REDIS_URL: 'off', DATA_DIR: dataDir, SESSION_SECRET: 'x'.repeat(16) })
  await given.close()
  expect(statSync(secretPath(), { throwIfNoEntry: false })).toBeUndefined()
  const first = await startApp({ REDIS_URL: 'off', DATA_DIR: dataDir })
  await first.close()
  const secret = readFileSync(secretPath(), 'utf8')
  expect(statSync(secretPath()).mode & 0o777).toBe(0o600)
  const second = await startApp({ REDIS_URL: 'off', DATA_DIR: dataDir })
  await second.close()
  expect(readFileSync(secretPath(), 'utf8')).toBe(secret)
  expect(JSON.stringify(second.lines)).not.toContain(secret.trim())
})

test('at the start it says once what the session store uses', async () => {
  const redis = await startRedis()
  const [inRedis, inMemory] = await Promise.all([
    startApp({ REDIS_URL: redis.url }),
    startApp({ REDIS_URL: 'off' }),
  ])
  const said = (app: typeof inRedis) =>
    app.lines.filter(({ message }) => message.startsWith('the session store')).map(({ message }) => message)
  await Promise.all([inRedis.close(), inMemory.close()])
  await redis.stop()
  expect(said(inRedis)).toEqual([expect.stringContaining('keeps sessions in Redis')])
  expect(said(inMemory)).toEqual([expect.stringContaining('keeps sessions in memory')])
})
