// The app is started where samovar.db is missing or damaged, and its Redis, whose files are sound, is there but cannot
// be read yet: whoever is logged in is never told to log in, nothing that was used once works again.
import { randomBytes, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Webhook } from 'standardwebhooks'
import { removeProcesses, spawnApp } from '../helpers/app-process.ts'
import { eventually } from '../helpers/eventually.ts'
import { BOT_TOKEN } from '../helpers/fake-telegram.ts'
import { startRedis, type TestRedis } from '../helpers/redis-server.ts'
import { openProcess } from '../helpers/stores.ts'
import { seconds, signWidget, widgetFields } from '../helpers/telegram-signer.ts'

const SECRET = `whsec_${Buffer.alloc(24, 7).toString('base64')}`
const NOWHERE = 'redis://192.0.2.1:6379' // TEST-NET-1: nobody is there, and nobody says so
const MINUTE_MS = 60_000

let redis: TestRedis
let dataDir: string
beforeEach(async () => {
  redis = await startRedis('--appendonly', 'yes')
  dataDir = mkdtempSync(join(tmpdir(), 'samovar-data-'))
})
afterEach(async () => {
  redis.thaw()
  await removeProcesses()
  await redis.stop()
  rmSync(dataDir, { recursive: true, force: true })
})

const env = (redisUrl = redis.url) => ({
  REDIS_URL: redisUrl,
  DATA_DIR: dataDir,
  TELEGRAM_BOT_TOKEN: BOT_TOKEN,
  WEBHOOK_SECRETS: `shop=${SECRET}`,
})
const login = (url: string, proof: object) =>
  fetch(`${url}/api/auth/telegram`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(proof),
  })
const cookieOf = (answer: Response) => String(answer.headers.getSetCookie()[0]).split(';')[0] ?? ''
const get = (url: string, cookie: string) => fetch(url, { headers: { cookie }, redirect: 'manual' })
const proofOf = (agoMs = 0) => signWidget(widgetFields({ auth_date: seconds(Date.now() - agoMs) }), BOT_TOKEN)
function deliver(url: string, id: string, agoMs = 0): Promise<Response> {
  const at = new Date(Date.now() - agoMs)
  const headers = {
    'content-type': 'application/json',
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(at.getTime() / 1_000)),
    'webhook-signature': new Webhook(SECRET).sign(id, at, '{}'),
  }
  return fetch(`${url}/api/webhooks/shop`, { method: 'POST', headers, body: '{}' })
}
async function codeOf(answer: Response): Promise<string | number> {
  return answer.ok ? answer.status : ((await answer.json()) as { code: string }).code
}

/** What somebody has used: a session, a login, a delivery, on a volume whose samovar.db is gone. */
async function liveAndLoseDisk(how: 'missing' | 'damaged') {
  const app = await spawnApp(env())
  await eventually(async () => expect((await fetch(`${app.url}/readyz`)).status).toBe(200))
  const proof = await proofOf()
  const cookie = cookieOf(await login(app.url, proof))
  const id = `msg_${randomUUID()}`
  expect((await get(`${app.url}/api/me`, cookie)).status).toBe(200)
  expect((await deliver(app.url, id)).status).toBe(204)
  // What Redis was too slow for was in samovar.db alone, and would be lost with it.
  await eventually(async () => {
    const stats = await (await fetch(`${app.url}/api/cache/stats`)).json()
    expect(stats).toMatchObject({ status: 'redis', fallback: { pendingWrites: 0 } })
  })
  expect(await redis.command('EXISTS', `samovar:state:webhook:shop:${id}`)).toBe(':1\r\n')
  app.child.kill('SIGKILL')
  await once(app.child, 'exit')
  for (const suffix of ['', '-wal', '-shm']) {
    rmSync(join(dataDir, `samovar.db${suffix}`), { force: true })
    rmSync(join(dataDir, `records.db${suffix}`), { force: true }) // which deliveries are done, it knows as well
  }
  if (how === 'damaged') writeFileSync(join(dataDir, 'samovar.db'), randomUUID().repeat(300))
  return { proof, cookie, id }
}

const UNREADABLE = {
  'is frozen': { begin: async () => redis.freeze(), end: async () => redis.thaw() },
  'loads its files': {
    async begin() {
      // Between two of these it answers, with LOADING; only of a snapshot it does.
      for (let i = 0; i < 300; i += 1)
        await redis.command('SET', `filler:${i}`, randomBytes(2_000).toString('hex'))
      await redis.command('BGREWRITEAOF')
      const persistence = () => redis.command('INFO', 'persistence')
      await eventually(async () => expect(await persistence()).toContain('aof_rewrite_in_progress:0'))
      await redis.kill()
      await redis.start('--key-load-delay', '200000', '--loading-process-events-interval-bytes', '1024')
    },
    end: async () => void (await redis.command('CONFIG', 'SET', 'key-load-delay', '0')),
  },
} as const

test.each([
  ['missing', 'is frozen'],
  ['damaged', 'loads its files'],
] as const)('samovar.db is %s, and Redis %s', async (how, redisIs) => {
  const { proof, cookie, id } = await liveAndLoseDisk(how)
  const { begin, end } = UNREADABLE[redisIs]
  await begin()
  const { url } = await spawnApp(env())

  const unknown = [
    await get(`${url}/api/me`, cookie),
    await get(`${url}/account`, cookie),
    await get(`${url}/api/alerts`, cookie),
    await fetch(`${url}/api/logout`, { method: 'POST', headers: { cookie } }),
    await login(url, proof),
    await deliver(url, id),
  ]
  for (const answer of unknown) {
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '1'])
    expect(answer.headers.getSetCookie()).toEqual([])
    expect(await codeOf(answer)).toBe('state_unknown')
  }
  for (const path of ['/', '/login', '/call']) {
    const page = await get(url + path, cookie)
    expect([path, page.status, page.headers.getSetCookie()]).toEqual([path, 200, []])
  }
  expect(await codeOf(await get(`${url}/api/me`, ''))).toBe('not_logged_in') // without a cookie nobody is asked

  await end()
  const met = { me: new Set<number>(), login: new Set<string | number>(), delivery: new Set<string | null>() }
  await eventually(async () => {
    const me = await get(`${url}/api/me`, cookie)
    met.me.add(me.status)
    met.login.add(await codeOf(await login(url, proof)))
    const again = await deliver(url, id)
    if (again.ok) met.delivery.add(again.headers.get('idempotent-replayed'))
    expect([me.status, again.status]).toEqual([200, 204])
  })
  expect([...met.me].filter((status) => status !== 200 && status !== 503)).toEqual([])
  expect([...met.login].filter((code) => code !== 'login_refused' && code !== 'state_unknown')).toEqual([])
  expect([...met.delivery]).toEqual(['true'])
  expect(await codeOf(await login(url, proof))).toBe('login_refused')
})

test.each([
  ['switched off', 'off'],
  ['not there at all, on this machine', 'redis://127.0.0.1:1/0'],
])('Redis is %s: nobody else could know, and nothing is unknown', async (_name, redisUrl) => {
  const { url } = await spawnApp(env(redisUrl))
  await eventually(async () => expect(await codeOf(await login(url, await proofOf(MINUTE_MS)))).toBe(200))
  expect(await codeOf(await deliver(url, 'msg_one', MINUTE_MS))).toBe(204)
  const cookie = cookieOf(await login(url, await signWidget(widgetFields({ id: '7' }), BOT_TOKEN)))
  expect((await get(`${url}/api/me`, cookie)).status).toBe(200)
  expect((await get(`${url}/api/sessions`, cookie)).status).toBe(200)
})

test('an external Redis that was never reached: what was made since the start is taken, what is older is not', async () => {
  const { url } = await spawnApp(env(NOWHERE))
  const soon = -2_000 // signed by a clock that is ahead, so that it is after the start for sure
  const proof = await proofOf(soon) // one proof for both: another one a second later would be another login
  const answer = await login(url, proof)
  expect(await codeOf(answer)).toBe(200)
  expect((await get(`${url}/api/me`, cookieOf(answer))).status).toBe(200)
  expect(await codeOf(await login(url, proof))).toBe('login_refused')
  expect(await codeOf(await deliver(url, 'msg_new', soon))).toBe(204)
  expect((await deliver(url, 'msg_new', soon)).headers.get('idempotent-replayed')).toBe('true')

  expect(await codeOf(await login(url, await proofOf(MINUTE_MS)))).toBe('state_unknown')
  expect(await codeOf(await deliver(url, 'msg_old', MINUTE_MS))).toBe('state_unknown')
  expect(await codeOf(await get(`${url}/api/sessions`, cookieOf(answer)))).toBe('state_unknown')
})

const text = (bytes: string) => Buffer.from(bytes)
const outcome = (call: Promise<unknown>) => call.catch((error: { code?: string }) => error.code)

test('what clashes with what Redis knew is reported when it has been read', async () => {
  const before = await openProcess({ cacheUrl: redis.url, mode: 'external' })
  await before.untilStatus('redis')
  await before.state.claim('webhook:one', text('before'), MINUTE_MS)
  await before.close()
  redis.freeze()
  const app = await openProcess({ cacheUrl: redis.url, mode: 'external' })
  expect(await outcome(app.state.claim('webhook:one', text('again'), MINUTE_MS))).toBe('state_unknown')
  const asked = { madeAtMs: Date.now() }
  expect((await app.state.claim('webhook:one', text('again'), MINUTE_MS, asked)).taken).toBe(true)
  redis.thaw()
  await app.untilStatus('redis')
  expect(app.outages.all().flatMap(({ conflicts }) => conflicts)).toEqual(['webhook:one was processed twice'])
  expect((await app.state.claimed('webhook:one'))?.toString()).toBe('before')
  await app.close()
})

test('a call waits within its budget until Redis is asked', async () => {
  const before = await openProcess({ cacheUrl: redis.url })
  await before.untilStatus('redis')
  await before.state.write('session:one', text('one'), MINUTE_MS)
  await before.close()
  redis.freeze()
  const app = await openProcess({ cacheUrl: redis.url, budgetMs: 30_000 })
  const reading = app.state.read('session:one')
  redis.thaw()
  expect((await reading)?.bytes.toString()).toBe('one')
  expect(await app.state.read('session:none')).toBeUndefined()
  await app.close()
})

test('a start after a kill, on a copy that was whole: Redis need not be asked', async () => {
  const before = await openProcess({ cacheUrl: redis.url, dataDir })
  await before.untilStatus('redis')
  await before.state.write('session:one', text('one'), MINUTE_MS)
  await before.close()
  redis.freeze()
  const app = await openProcess({ cacheUrl: redis.url, dataDir })
  expect(await app.state.read('session:none')).toBeUndefined()
  await app.close()
})

test('one that died before it had read Redis leaves no whole copy', async () => {
  const before = await openProcess({ cacheUrl: redis.url })
  await before.untilStatus('redis')
  await before.state.write('session:one', text('one'), MINUTE_MS)
  await before.close()
  redis.freeze()
  const first = await openProcess({ cacheUrl: redis.url, dataDir })
  expect(await outcome(first.state.read('session:one'))).toBe('state_unknown')
  await first.close()
  const second = await openProcess({ cacheUrl: redis.url, dataDir })
  expect(await outcome(second.state.read('session:one'))).toBe('state_unknown')
  redis.thaw()
  await second.untilStatus('redis')
  expect((await second.state.read('session:one'))?.bytes.toString()).toBe('one')
  await second.close()
})

test('in the image: a first life is whole by itself, a later one without its file is not', async () => {
  const runDir = mkdtempSync(join(tmpdir(), 'samovar-run-'))
  writeFileSync(join(runDir, 'data'), 'held')
  mkdirSync(join(runDir, 'app'))
  writeFileSync(join(runDir, 'app', 'first'), '')
  const open = () => openProcess({ cacheUrl: `unix://${runDir}/redis.sock`, dataDir, runDir })
  const first = await open()
  expect((await first.state.claim('login:one', text('one'), MINUTE_MS)).taken).toBe(true)
  await first.close()
  const second = await open()
  expect((await second.state.claim('login:two', text('two'), MINUTE_MS)).taken).toBe(true)
  await second.close()

  for (const suffix of ['', '-wal', '-shm']) rmSync(join(dataDir, `samovar.db${suffix}`), { force: true })
  rmSync(join(runDir, 'app', 'first')) // which a new container would not write
  const third = await open()
  expect(await outcome(third.state.claim('login:one', text('again'), MINUTE_MS))).toBe('state_unknown')
  await third.close()
  rmSync(runDir, { recursive: true, force: true })
})
