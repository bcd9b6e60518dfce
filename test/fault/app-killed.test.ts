// The app is killed (-9) just after it has acknowledged something, with Redis up or killed beside it: whoever starts on
// its data answers right from the first moment, and nothing that was acknowledged is undone.
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pause } from '../../src/lib/time.ts'
import { openSamovarApart } from '../helpers/apart.ts'
import { removeProcesses, spawnApp } from '../helpers/app-process.ts'
import { eventually, HUNG_MS } from '../helpers/eventually.ts'
import { BOT_TOKEN } from '../helpers/fake-telegram.ts'
import { startRedis, type TestRedis } from '../helpers/redis-server.ts'
import { openProcess } from '../helpers/stores.ts'
import { LIMIT } from '../helpers/subject.ts'
import { signWidget, widgetFields } from '../helpers/telegram-signer.ts'

const LONG_MS = 3_600_000
const OLD_MS = 1_500 // longer than the copy on disk follows what nobody waits for

let redis: TestRedis
let dataDir: string
beforeEach(async () => {
  redis = await startRedis('--appendonly', 'yes')
  dataDir = mkdtempSync(join(tmpdir(), 'samovar-data-'))
})
afterEach(async () => {
  await removeProcesses()
  await redis.stop()
  rmSync(dataDir, { recursive: true, force: true })
})

/** Older versions that are on disk for sure, then newer ones, and dead as soon as they are acknowledged. */
async function liveAndDie(): Promise<void> {
  const app = await openSamovarApart({ cacheUrl: redis.url, stateUrl: redis.url, dataDir })
  await eventually(() => expect(app.isSettled()).toBe(true))
  await app.writeSession('changed', 'old')
  await app.writeSession('ended', 'old')
  await app.mark('user', 1)
  await app.hit('client', randomUUID())
  await pause(OLD_MS)
  await Promise.all([
    app.writeSession('changed', 'new'),
    app.writeSession('made', 'new'),
    app.destroySession('ended'),
    app.claim('delivery', 'first'),
    app.mark('user', 2),
    ...Array.from({ length: LIMIT - 1 }, () => app.hit('client', randomUUID())),
  ])
  await app.kill?.()
}

test.each(['stays up', 'is killed as well', 'is killed as well, and comes back empty'])(
  'what was acknowledged just before is there for the next one; Redis %s',
  async (how) => {
    await liveAndDie()
    if (how !== 'stays up') await redis.kill()
    const app = await openProcess({ cacheUrl: redis.url, dataDir, workers: 1 })
    const { state } = app
    try {
      const found = await state.read('session:changed')
      expect(found?.bytes.toString()).toBe('new')
      expect((await state.read('session:made'))?.bytes.toString()).toBe('new')
      expect(await state.read('session:ended')).toBeUndefined()
      expect((await state.claim('webhook:delivery', Buffer.from('second'), LONG_MS)).taken).toBe(false)
      expect(await state.marked('revoked:user')).toBe(2)
      const hit = { id: randomUUID(), nowMs: Date.now(), limit: LIMIT, windowMs: LONG_MS }
      expect((await state.hit('limit:client', hit)).allowed).toBe(false)
      const newest = Buffer.from('newest')
      expect(await state.update('session:changed', newest, LONG_MS, found?.timestamp)).toBe(true)

      if (how === 'is killed as well') return
      if (how !== 'stays up') await redis.start('--appendonly', 'no')
      await app.untilStatus('redis')
      await eventually(async () =>
        expect(await redis.command('GET', 'samovar:state:session:changed')).toContain('newest'),
      )
      expect(await redis.command('GET', 'samovar:state:session:made')).toContain('new')
      expect(await redis.command('ZCARD', 'samovar:state:limit:client')).toBe(`:${LIMIT}\r\n`)
    } finally {
      await app.close()
    }
  },
)

test('with Redis switched off, too', async () => {
  const first = await openSamovarApart({ cacheUrl: 'off', stateUrl: 'off', dataDir })
  await first.writeSession('changed', 'old')
  await pause(OLD_MS)
  await first.writeSession('changed', 'new')
  await first.kill?.()
  const next = await openProcess({ cacheUrl: 'off', dataDir, workers: 1 })
  expect((await next.state.read('session:changed'))?.bytes.toString()).toBe('new')
  await next.close()
})

test('what an outage brought is there when it has just been merged, and Redis dies with the app', async () => {
  const first = await openSamovarApart({ cacheUrl: redis.url, stateUrl: redis.url, dataDir })
  await eventually(() => expect(first.isSettled()).toBe(true))
  await first.writeSession('changed', 'old')
  await pause(OLD_MS)
  redis.freeze()
  await first.writeSession('changed', 'new')
  redis.thaw()
  await eventually(() => expect(first.isSettled()).toBe(true), HUNG_MS, 2)
  await first.kill?.()
  await redis.kill()
  const next = await openProcess({ cacheUrl: redis.url, dataDir, workers: 1 })
  expect((await next.state.read('session:changed'))?.bytes.toString()).toBe('new')
  await next.close()
})

test.each(['stays up', 'is killed as well'])(
  'who has logged out everywhere is out at the next one from its first answer on; Redis %s',
  async (how) => {
    const env = { REDIS_URL: redis.url, DATA_DIR: dataDir, TELEGRAM_BOT_TOKEN: BOT_TOKEN }
    const first = await spawnApp(env)
    const proof = await signWidget(widgetFields({ id: '777' }), BOT_TOKEN)
    const login = await fetch(`${first.url}/api/auth/telegram`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(proof),
    })
    const headers = { cookie: String(login.headers.getSetCookie()[0]).split(';')[0] ?? '' }
    const me = async (url: string) => (await fetch(`${url}/api/me`, { headers })).status
    await pause(OLD_MS)
    expect(await me(first.url)).toBe(200)
    expect((await fetch(`${first.url}/api/sessions`, { method: 'DELETE', headers })).status).toBe(204)
    first.child.kill('SIGKILL')
    if (how !== 'stays up') await redis.kill()
    await once(first.child, 'exit')

    const next = await spawnApp(env)
    for (let asked = 0; asked < 50; asked += 1) expect(await me(next.url)).toBe(401)
  },
)
