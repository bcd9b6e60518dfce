// Limits over HTTP and over a real Redis, while it is there, away, and back with or without its data.
import { randomUUID } from 'node:crypto'
import { request } from 'node:http'
import { Router } from 'express'
import { createKeyKinds } from '../../src/core/keys.ts'
import { createLimiter, type Policy } from '../../src/core/limiter.ts'
import { connectRedis } from '../../src/core/redis/connection.ts'
import { type LoggedHit, slide } from '../../src/core/state/kinds/sliding-window-log.ts'
import { createRedisStateStore } from '../../src/core/state/redis-state-store.ts'
import type { Rule } from '../../src/feature.ts'
import { createLimits, type Identity } from '../../src/features/limits/limit-requests.ts'
import { createSharedAddresses, MANY_VISITORS } from '../../src/features/limits/shared-address.ts'
import { loginRules } from '../../src/features/sessions/feature.ts'
import { createHttpServer } from '../../src/http/server.ts'
import { MINUTE, SECOND } from '../../src/lib/time.ts'
import { PATIENCE, startApp, type TestApp } from '../helpers/app.ts'
import { createClock } from '../helpers/clock.ts'
import { type Everywhere, openEverywhere, openReady, places } from '../helpers/everywhere.ts'
import { recordLog } from '../helpers/log.ts'
import { createRandom } from '../helpers/random.ts'
import { startRedis } from '../helpers/redis-server.ts'
import { openProcess, type TestProcess, targetOf } from '../helpers/stores.ts'

let opened: Everywhere<TestProcess>
beforeAll(async () => {
  opened = await openEverywhere(openReady, { budgetMs: 5_000 })
})
afterAll(() => opened.close())

const newRule = (rule: Partial<Rule> = {}) =>
  ({
    name: `test-${randomUUID()}`,
    limit: 5,
    windowMs: MINUTE,
    per: 'client',
    sharedLimit: 50,
    ...rule,
  }) as Rule

describe.each(places)('the limiter, Redis %s', (where) => {
  const open = (startMs = Date.now()) => {
    const clock = createClock(startMs)
    return { clock, limiter: createLimiter({ state: opened.processes[where].state, now: clock.now }) }
  }
  const newPolicy = (limit: number, windowMs = MINUTE): Policy => ({ name: randomUUID(), limit, windowMs })

  test('200 at once pass exactly as many as the limit', async () => {
    const { limiter } = open()
    const policy = newPolicy(50)
    const answers = await Promise.all(Array.from({ length: 200 }, () => limiter.hit(policy, 'who')))
    expect(answers.filter(({ allowed }) => allowed)).toHaveLength(50)
  })

  test('bursts at 59 s and at 61 s are one window', async () => {
    const { clock, limiter } = open()
    const policy = newPolicy(10)
    const burst = async () => {
      const answers = await Promise.all(Array.from({ length: 20 }, () => limiter.hit(policy, 'who')))
      return answers.filter(({ allowed }) => allowed).length
    }
    clock.turn(59 * SECOND)
    expect(await burst()).toBe(10)
    clock.turn(2 * SECOND)
    expect(await burst()).toBe(0)
    clock.turn(57_999)
    expect(await burst()).toBe(0)
    clock.turn(1)
    expect(await burst()).toBe(10)
  })

  test('of several windows all must allow, and what one refuses does not count in those after it', async () => {
    const { clock, limiter } = open()
    const [short, minute] = [newPolicy(2, 20 * SECOND), newPolicy(3)]
    const hits = [
      { policy: short, who: 'who' },
      { policy: minute, who: 'who' },
    ] as const
    const ask = async () => {
      const { allowed, tightest, answers } = await limiter.hitAll(hits)
      return [allowed, tightest.policy === short ? 'short' : 'minute', answers.map((one) => one.remaining)]
    }
    expect(await ask()).toEqual([true, 'short', [1, 2]])
    expect(await ask()).toEqual([true, 'short', [0, 1]])
    expect(await ask()).toEqual([false, 'short', [0]])
    expect(await ask()).toEqual([false, 'short', [0]])
    clock.turn(20 * SECOND)
    expect(await ask()).toEqual([true, 'minute', [1, 0]])
    expect(await ask()).toEqual([false, 'minute', [0, 0]])
  })

  test('a cost counts in each window', async () => {
    const { limiter } = open()
    const [narrow, wide] = [newPolicy(4), newPolicy(10)]
    const hits = (cost: number) =>
      [
        { policy: narrow, who: 'who', cost },
        { policy: wide, who: 'who', cost },
      ] as const
    expect((await limiter.hitAll(hits(3))).answers.map((one) => one.remaining)).toEqual([1, 7])
    expect((await limiter.hitAll(hits(2))).allowed).toBe(false)
    expect((await limiter.hit(wide, 'who', 7)).remaining).toBe(0)
  })
})

test('the script HIT answers as slide() does, whatever is asked', async () => {
  const connection = connectRedis({
    target: targetOf(opened.redis.url),
    ca: undefined,
    budgetMs: 5_000,
    trackPrefix: undefined,
  })
  await connection.open()
  try {
    const store = createRedisStateStore({
      connection,
      prefix: '',
      kindOf: createKeyKinds([]),
      isShared: true,
    })
    for (let seed = 1; seed <= 20; seed += 1) {
      const random = createRandom(seed)
      const key = `limit:property:${randomUUID()}`
      // Redis forgets a window by its own clock: all hits come well within the shortest.
      const [limit, windowMs] = [1 + random.below(8), 60_000 + random.below(60_000)]
      let nowMs = Date.now()
      let log: readonly LoggedHit[] = []
      for (let i = 0; i < 60; i += 1) {
        nowMs += random.below(windowMs / 3) - (random.chance(0.1) ? windowMs / 2 : 0) // at times the clock is set back
        nowMs = Math.round(nowMs)
        const hit = { id: `${i}`, nowMs, limit, windowMs, cost: 1 + random.below(limit) }
        const { log: after, result } = slide(key, log, hit)
        log = after
        expect([seed, i, await store.hit(key, hit)]).toEqual([seed, i, result])
      }
      const [kept] = await store.read([key])
      const byId = (a: LoggedHit, b: LoggedHit) => (a.id < b.id ? -1 : 1)
      const hits = kept?.value.kind === 'sliding-window-log' ? kept.value.hits : []
      expect([...hits].sort(byId)).toEqual([...log].sort(byId))
    }
  } finally {
    connection.close()
  }
})

describe.each(['data kept', 'data lost'] as const)('five a minute, four used, an outage, %s', (data) => {
  test('the fifth passes, the sixth does not, wherever it is asked', async () => {
    const server = await startRedis(...(data === 'data kept' ? ['--appendonly', 'yes'] : []))
    const process = await openProcess({ cacheUrl: server.url, budgetMs: 5_000 })
    const site = await serve(process, newRule({ windowMs: 10 * MINUTE }))
    const ask = async () => {
      const { status, headers } = await site.post()
      return [status, /r=(\d)/.exec(headers.ratelimit ?? '')?.[1]]
    }
    try {
      await process.untilStatus('redis')
      for (const left of ['4', '3', '2', '1']) expect(await ask()).toEqual([200, left])
      await server.kill()
      await process.untilStatus('memory')
      expect(await ask()).toEqual([200, '0'])
      expect(await ask()).toEqual([429, '0'])
      await server.start()
      await process.untilStatus('redis')
      expect(await ask()).toEqual([429, '0'])
      await server.kill() // and once more, with what was merged
      await process.untilStatus('memory')
      expect(await ask()).toEqual([429, '0'])
    } finally {
      await site.close()
      await process.close()
      await server.stop()
    }
  })

  test('the fifth passes in Redis again, the sixth does not', async () => {
    const server = await startRedis(...(data === 'data kept' ? ['--appendonly', 'yes'] : []))
    const process = await openProcess({ cacheUrl: server.url, budgetMs: 5_000 })
    const limiter = createLimiter({ state: process.state })
    const policy = { name: 'p', limit: 5, windowMs: 10 * MINUTE }
    const hit = async () => (await limiter.hit(policy, 'who')).allowed
    try {
      await process.untilStatus('redis')
      for (let i = 0; i < 4; i += 1) expect(await hit()).toBe(true)
      await server.kill()
      await process.untilStatus('memory')
      await server.start()
      await process.untilStatus('redis')
      expect([await hit(), await hit()]).toEqual([true, false])
    } finally {
      await process.close()
      await server.stop()
    }
  })
})

describe('over HTTP', () => {
  test('the headers say what is left, and 429 is a problem document with Retry-After', async () => {
    const rule = newRule({ limit: 2 })
    const wide = newRule({ limit: 9, windowMs: 60 * MINUTE })
    const site = await serve(opened.processes.shared, rule, { more: [wide] })
    try {
      const first = await site.post()
      expect(first.status).toBe(200)
      expect(first.headers['ratelimit-policy']).toBe(`"${rule.name}";q=2;w=60, "${wide.name}";q=9;w=3600`)
      expect(first.headers.ratelimit).toBe(`"${rule.name}";r=1;t=60, "${wide.name}";r=8;t=3600`)
      await site.post()
      const refused = await site.post()
      expect(refused.status).toBe(429)
      expect(refused.headers.ratelimit).toMatch(new RegExp(`^"${rule.name}";r=0;t=(59|60)$`))
      expect(refused.headers['content-type']).toBe('application/problem+json')
      expect(refused.headers['cache-control']).toBe('no-store')
      expect(Number(refused.headers['retry-after'])).toBeGreaterThanOrEqual(59)
      expect(JSON.parse(refused.body)).toMatchObject({
        type: 'about:blank',
        status: 429,
        code: 'too_many_requests',
        requestId: refused.headers['x-request-id'],
      })
    } finally {
      await site.close()
    }
  })

  test('200 at once pass exactly as many as the limit', async () => {
    const site = await serve(opened.processes.shared, newRule({ limit: 20 }))
    try {
      const answers = await Promise.all(Array.from({ length: 200 }, () => site.post()))
      expect(answers.filter(({ status }) => status === 200)).toHaveLength(20)
      expect(answers.filter(({ status }) => status === 429)).toHaveLength(180)
    } finally {
      await site.close()
    }
  })

  test('each user and each session has a limit, wherever they are', async () => {
    const site = await serve(opened.processes.shared, newRule({ limit: 1 }))
    const from = (identity: Identity, address: string) =>
      site.post({ 'x-identity': JSON.stringify(identity), 'x-forwarded-for': address })
    try {
      const answers = [
        await from({ user: 'a', session: 's1' }, '203.0.113.1'),
        await from({ user: 'a', session: 's2' }, '203.0.113.2'),
        await from({ user: 'b', session: 's3' }, '203.0.113.1'),
        await from({ session: 's4' }, '203.0.113.1'),
        await from({ session: 's4' }, '203.0.113.3'),
        await from({ session: 's5' }, '203.0.113.1'),
        await from({}, '203.0.113.1'),
        await from({}, '203.0.113.1'),
      ]
      expect(answers.map(({ status }) => status)).toEqual([200, 429, 200, 200, 429, 200, 200, 429])
    } finally {
      await site.close()
    }
  })

  test('an IPv6 network is one client', async () => {
    const site = await serve(opened.processes.shared, newRule({ limit: 1 }))
    const from = async (address: string) => (await site.post({ 'x-forwarded-for': address })).status
    try {
      expect(await from('2001:db8:0:1::1')).toBe(200)
      expect(await from('2001:db8:0:1:ffff::2')).toBe(429)
      expect(await from('2001:db8:0:2::1')).toBe(200)
      expect(await from('::ffff:203.0.113.77')).toBe(200)
      expect(await from('203.0.113.77')).toBe(429)
    } finally {
      await site.close()
    }
  })

  // What a client puts there stands left of what the proxies add.
  test.each([
    [0, (forged: string) => forged],
    [1, (forged: string) => `${forged}, 203.0.113.5`],
    [2, (forged: string) => `${forged}, 203.0.113.5, 10.0.0.7`],
  ])('TRUST_PROXY=%i: a forged X-Forwarded-For buys nothing', async (trustProxy, arriving) => {
    const site = await serve(opened.processes.shared, newRule({ limit: 3 }), { trustProxy })
    try {
      const statuses = []
      for (let i = 0; i < 6; i += 1)
        statuses.push((await site.post({ 'x-forwarded-for': arriving(`198.51.100.${i}`) })).status)
      expect(statuses).toEqual([200, 200, 200, 429, 429, 429])
    } finally {
      await site.close()
    }
  })

  test('addresses that are none come under that of the connection, and nothing fails', async () => {
    const site = await serve(opened.processes.shared, newRule({ limit: 3 }), { trustProxy: 1 })
    const odd = ['', ',', ' , ', 'unknown', '999.1.1.1', '::::', '[', '%00', '1.2.3.4.5', '\u00ff', 'a, b, c']
    try {
      const statuses = []
      for (const value of [...odd, 'x'.repeat(4_000), '1,'.repeat(2_000)])
        statuses.push((await site.post({ 'x-forwarded-for': value })).status)
      expect(statuses).toEqual(statuses.map((_, i) => (i < 3 ? 200 : 429)))
    } finally {
      await site.close()
    }
  })
})

describe('one private address for everybody', () => {
  const hidden = { 'x-forwarded-for': '10.0.0.1' }

  test('those without a session are not locked out together, nor are those with one', async () => {
    const rule = newRule({ limit: 10, sharedLimit: 40 })
    const site = await serve(opened.processes.shared, rule)
    const visitor = (i: number) => site.post({ ...hidden, 'user-agent': `browser ${i}` })
    const session = (name: string) =>
      site.post({ ...hidden, 'x-identity': JSON.stringify({ session: name }) })
    try {
      const visits = []
      for (let i = 0; i < 30; i += 1) visits.push(await visitor(i))
      expect(visits.filter(({ status }) => status !== 200)).toEqual([])
      expect(visits.at(-1)?.headers['ratelimit-policy']).toBe(`"${rule.name}";q=40;w=60`)
      const said = site.lines.filter(({ message }) => message.includes('stands for many'))
      expect(said).toEqual([expect.objectContaining({ level: 'warn', fields: { address: '10.0.0.1' } })])
      const more = await Promise.all(Array.from({ length: 40 }, (_, i) => visitor(i)))
      expect(more.some(({ status }) => status === 429)).toBe(true) // the limit of all together
      for (let i = 0; i < 10; i += 1) expect((await session('a')).status).toBe(200)
      expect((await session('a')).status).toBe(429)
      expect((await session('b')).status).toBe(200)
    } finally {
      await site.close()
    }
  })

  test('a login is not locked before it is noticed: those who are refused are seen, too', async () => {
    const login = loginRules[0]
    const site = await serve(opened.processes.shared, { ...login, name: randomUUID() })
    try {
      for (let i = 0; i < login.limit; i += 1) expect((await site.post(hidden)).status).toBe(200)
      expect((await site.post(hidden)).status).toBe(429)
      for (let i = 1; i < MANY_VISITORS; i += 1) await site.post({ ...hidden, 'user-agent': `browser ${i}` })
      expect((await site.post(hidden)).status).toBe(200)
    } finally {
      await site.close()
    }
  })

  test('a public address stays one client, however many visitors it has', async () => {
    const site = await serve(opened.processes.shared, newRule({ limit: 10 }))
    try {
      const statuses = []
      for (let i = 0; i < 20; i += 1)
        statuses.push((await site.post({ 'x-forwarded-for': '203.0.113.8', 'user-agent': `${i}` })).status)
      expect(statuses.filter((status) => status === 200)).toHaveLength(10)
    } finally {
      await site.close()
    }
  })
})

describe('the app', () => {
  let app: TestApp
  let locked: TestApp
  beforeAll(async () => {
    app = await startApp({ REDIS_URL: opened.redis.url, ...PATIENCE, REDIS_PREFIX: `${randomUUID()}:` })
    locked = await startApp({ REDIS_URL: 'off', ADMIN_TOKEN: 'a-long-token' })
    await app.untilStatus('redis')
  })
  afterAll(async () => {
    await app.close()
    await locked.close()
  })
  const policyOf = async (path: string, init: RequestInit, to = app) =>
    (await to.get(path, init)).headers.get('ratelimit-policy')
  const post = { method: 'POST' }
  const api = '"api";q=120;w=60, "api-hour";q=1000;w=3600'

  test('limits changes under /api, and nothing that is only read', async () => {
    expect(await policyOf('/api/nothing', post)).toBe(api)
    expect(await policyOf('/API/nothing', { method: 'DELETE' })).toBe(api)
    expect(await policyOf('/api/cache/clearly', post)).toBe(api)
    for (const path of ['/api/countries', '/livez', '/readyz', '/', '/api/cache/stats'])
      expect([path, await policyOf(path, {})]).toEqual([path, null])
    expect(await policyOf('/', post)).toBeNull()
  })

  test('a clear comes under its own policies', async () => {
    for (const left of [8, 7]) {
      const { headers } = await app.get('/api/cache/clear', post)
      expect(headers.get('ratelimit-policy')).toBe('"cache-clear-client";q=9;w=60, "cache-clear";q=18;w=60')
      expect(headers.get('ratelimit')).toMatch(new RegExp(`^"cache-clear-client";r=${left};t=\\d+`))
    }
  })

  test('does not limit the admin, and whoever guesses at the token like anybody', async () => {
    const bearer = (token: string) => ({ ...post, headers: { authorization: `Bearer ${token}` } })
    expect(await policyOf('/api/nothing', bearer('a-long-token'), locked)).toBeNull()
    expect(await policyOf('/api/nothing', bearer('a-long-tokem'), locked)).toBe(api)
  })

  test('the 121st change of a minute is refused', async () => {
    const from = { ...post, headers: { 'x-forwarded-for': '203.0.113.200' } }
    const answers = await Promise.all(Array.from({ length: 130 }, () => app.get('/api/nothing', from)))
    expect(answers.filter(({ status }) => status === 404)).toHaveLength(120)
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(10)
  })
})

/** A server with POST /thing under these rules; X-Identity says who asks. */
async function serve(
  { state }: TestProcess,
  rule: Rule,
  { trustProxy = 1, more = [] }: { trustProxy?: number; more?: Rule[] } = {},
) {
  const { log, lines } = recordLog()
  const { limitBy } = createLimits({
    limiter: createLimiter({ state }),
    sharedAddresses: createSharedAddresses({ log }),
    identify: (req) => JSON.parse(req.get('x-identity') ?? '{}') as Identity,
    isAdmin: () => false,
  })
  const router = Router()
  router.post('/thing', limitBy([rule, ...more]), (_req, res) => void res.json({}))
  const server = createHttpServer({ rawRouters: [], routers: [router], trustProxy, log })
  const port = await server.listen(0)
  return {
    lines,
    close: server.close,
    /** Not by fetch, which refuses to send headers as odd as these. */
    post: (headers: Record<string, string> = {}) =>
      new Promise<{ status: number; headers: Record<string, string | undefined>; body: string }>(
        (resolve, reject) => {
          const req = request({ port, host: '127.0.0.1', path: '/thing', method: 'POST', headers }, (res) => {
            let body = ''
            res.on('data', (chunk) => {
              body += chunk
            })
            res.on('end', () =>
              resolve({
                status: res.statusCode ?? 0,
                headers: res.headers as Record<string, string | undefined>,
                body,
              }),
            )
          })
          req.on('error', reject)
          req.end()
        },
      ),
  }
}
