// The app as its callers meet it: real HTTP, a real Redis, real SQLite.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { type Ahead, beginAhead } from '../helpers/ahead.ts'
import { PATIENCE, startApp, type TestApp } from '../helpers/app.ts'
import { eventually } from '../helpers/eventually.ts'
import { sendRaw } from '../helpers/raw-request.ts'
import { startRedis, type TestRedis } from '../helpers/redis-server.ts'

let redis: TestRedis
let app: TestApp
beforeAll(async () => {
  redis = await startRedis()
  app = await startApp({ REDIS_URL: redis.url, ...PATIENCE })
  await app.untilStatus('redis')
})
afterAll(async () => {
  await app.close()
  await redis.stop()
})

const json = { 'content-type': 'application/json' }
const clear = (body?: string, headers: Record<string, string> = json, to = app) =>
  to.get('/api/cache/clear', { method: 'POST', headers, ...(body !== undefined && { body }) })

describe('countries', () => {
  test('two reads are one miss and one hit, the same bytes, with the headers that say so', async () => {
    const before = await app.stats()
    const [first, second] = [await app.get('/api/countries'), await app.get('/api/countries')]
    expect([first.status, second.status]).toEqual([200, 200])
    expect(first.headers.get('cache-status')).toBe('samovar; fwd=miss')
    expect(second.headers.get('cache-status')).toMatch(/^samovar; hit; ttl=\d+$/)
    expect(second.headers.get('age')).toMatch(/^\d+$/)
    expect(second.headers.get('cache-control')).toBe('public, no-cache')
    expect(second.headers.get('etag')).toBe(first.headers.get('etag'))
    const body = (await first.json()) as { total: number; countries: { code: string; name: string }[] }
    expect(await second.json()).toEqual(body)
    expect(body.total).toBe(252)
    expect(body.countries.find(({ code }) => code === 'DE')).toMatchObject({
      name: 'Germany',
      capital: 'Berlin',
    })
    const after = await app.stats()
    expect(Number(after.hits) - Number(before.hits)).toBe(1)
    expect(Number(after.misses) - Number(before.misses)).toBe(1)
  })

  test('in Russian, sorted as Russians sort', async () => {
    const { countries } = (await (await app.get('/api/countries?lang=ru')).json()) as {
      countries: { name: string }[]
    }
    expect(countries.slice(0, 2).map(({ name }) => name)).toEqual(['Австралия', 'Австрия'])
  })

  test('304 for what the caller already has', async () => {
    const etag = (await app.get('/api/countries')).headers.get('etag') ?? ''
    // Without its own Cache-Control, fetch adds no-cache to such a request, which asks for the whole.
    const headers = { 'if-none-match': etag, 'cache-control': 'max-age=0' }
    const again = await app.get('/api/countries', { headers })
    expect(again.status).toBe(304)
    expect(await again.text()).toBe('')
  })

  test('HEAD is GET without the body', async () => {
    const head = await app.get('/api/countries', { method: 'HEAD' })
    expect([head.status, await head.text()]).toEqual([200, ''])
    expect(Number(head.headers.get('content-length'))).toBeGreaterThan(10_000)
  })

  test.each([
    ['?q=герм', 'Germany'],
    ['?q=Côte', 'Ivory Coast'],
    ['?q=tokyo&lang=en', 'Japan'],
  ])('search %s finds %s', async (query, name) => {
    const { countries } = (await (await app.get(`/api/countries${query}`)).json()) as {
      countries: { name: string }[]
    }
    expect(countries.map((country) => country.name)).toContain(name)
  })

  test('one country by code, either case', async () => {
    const country = await (await app.get('/api/countries/ru?lang=ru')).json()
    expect(country).toMatchObject({ code: 'RU', name: 'Россия', capital: 'Moscow', currencies: ['RUB'] })
  })

  test('an unknown code is 404, also from the cache', async () => {
    for (const _ of [1, 2]) {
      const response = await app.get('/api/countries/ZZ')
      expect(response.status).toBe(404)
      expect(response.headers.get('content-type')).toBe('application/problem+json')
      expect(await response.json()).toMatchObject({
        type: 'about:blank',
        title: 'Not Found',
        code: 'not_found',
      })
    }
  })
})

describe('bad input is answered 4xx, and nothing else happens', () => {
  test.each<[string, RequestInit, number, string]>([
    [`/api/countries?q=${'a'.repeat(10_000)}`, {}, 400, 'invalid_input'],
    ['/api/countries?q=a&q=b', {}, 400, 'invalid_input'],
    ['/api/countries?lang=de', {}, 400, 'invalid_input'],
    ['/api/countries/%00', {}, 400, 'invalid_input'],
    ['/api/countries/__proto__', {}, 400, 'invalid_input'],
    ['/api/countries/%E0%A4%A', {}, 400, 'invalid_input'],
    ['/api/nothing', {}, 404, 'not_found'],
    ['/api/countries', { method: 'DELETE' }, 405, 'method_not_allowed'],
    ['/api/cache/clear', {}, 405, 'method_not_allowed'],
    ['/api/cache/clear', { method: 'POST', headers: json, body: '{"prefix":' }, 400, 'malformed_json'],
    ['/api/cache/clear', { method: 'POST', headers: json, body: '{"prefix":""}' }, 400, 'invalid_input'],
    ['/api/cache/clear', { method: 'POST', headers: json, body: '{"all":true}' }, 400, 'invalid_input'],
    ['/api/cache/clear', { method: 'POST', headers: json, body: '[]' }, 400, 'invalid_input'],
    ['/api/cache/clear', { method: 'POST', body: 'prefix=a' }, 415, 'not_json'],
    [
      '/api/cache/clear',
      { method: 'POST', headers: json, body: `"${'a'.repeat(110_000)}"` },
      413,
      'body_too_large',
    ],
    ['/api/cache/clear', { method: 'POST', headers: { 'sec-fetch-site': 'cross-site' } }, 403, 'cross_site'],
    ['/api/cache/clear', { method: 'POST', headers: { origin: 'https://evil.example' } }, 403, 'cross_site'],
  ])('%.60s %.120j', async (path, init, status, code) => {
    await app.get('/api/countries')
    const response = await app.get(path, init)
    const problem = (await response.json()) as { requestId: string }
    expect([response.status, problem]).toEqual([status, expect.objectContaining({ status, code })])
    expect(problem.requestId).toBe(response.headers.get('x-request-id'))
    expect((await app.get('/api/countries')).headers.get('cache-status')).toContain('hit')
  })

  // As proxies may send it, and fetch does not.
  test.each([
    ['http://samovar.example/livez', 200],
    ['http://samovar.example:99999/livez', 400],
    ['http://256.256.256.256/api/auth/telegram?id=1', 400],
    ['http://[/api/countries', 400],
    ['http://[::1/api/countries', 400],
  ])('a whole URL as the target: %s', async (target, status) => {
    const bytes = Buffer.from(`GET ${target} HTTP/1.1\r\nHost: samovar.example\r\nConnection: close\r\n\r\n`)
    const answer = await sendRaw(Number(new URL(app.url).port), { bytes, isCut: false })
    expect([answer.status, answer.headers.get('content-type')]).toEqual([
      status,
      status === 200 ? 'application/json; charset=utf-8' : undefined,
    ])
  })

  test('405 says what is allowed', async () => {
    expect((await app.get('/api/cache/clear')).headers.get('allow')).toBe('POST')
    expect((await app.get('/api/countries', { method: 'PUT' })).headers.get('allow')).toBe('GET, HEAD')
  })

  test('a request id of the proxy is kept when it is a plain word', async () => {
    const named = await app.get('/livez', { headers: { 'x-request-id': 'abc-1.2' } })
    expect(named.headers.get('x-request-id')).toBe('abc-1.2')
    const odd = await app.get('/livez', { headers: { 'x-request-id': 'a b"c' } })
    expect(odd.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/)
  })
})

test.each(['h2c', 'TLS/1.2', 'websocket/14, h2c'])(
  'an upgrade to %s is declined by answering the request',
  async (upgrade) => {
    const lines = [
      'GET /livez HTTP/1.1',
      'Host: x',
      `Upgrade: ${upgrade}`,
      'Connection: Upgrade, close',
      '',
      '',
    ]
    const answer = await sendRaw(Number(new URL(app.url).port), {
      bytes: Buffer.from(lines.join('\r\n')),
      isCut: false,
    })
    expect([answer.status, answer.body]).toEqual([200, '{"status":"pass"}'])
  },
)

test('every answer carries the security headers', async () => {
  const { headers } = await app.get('/api/nothing')
  expect(headers.get('content-security-policy')).toContain("default-src 'self'")
  expect(headers.get('x-content-type-options')).toBe('nosniff')
  expect(headers.get('x-powered-by')).toBeNull()
})

describe('health', () => {
  test('livez and readyz', async () => {
    expect(await (await app.get('/livez')).json()).toEqual({ status: 'pass' })
    const { version } = JSON.parse(readFileSync('package.json', 'utf8'))
    expect(await (await app.get('/version')).json()).toEqual({ version })
    const ready = await app.get('/readyz')
    expect([ready.status, await ready.json()]).toEqual([
      200,
      { status: 'pass', redis: 'redis', since: expect.stringMatching(/^\d{4}-.*Z$/) },
    ])
  })
})

describe('the contract of stats', () => {
  test('has just these fields', async () => {
    expect(await app.stats()).toEqual({
      backend: 'redis',
      enabled: true,
      mode: 'embedded',
      status: 'redis',
      since: expect.any(String),
      hits: expect.any(Number),
      misses: expect.any(Number),
      hitRate: expect.any(Number),
      keys: null, // this Redis holds the state role as well
      memoryBytes: null,
      uptimeSeconds: expect.any(Number),
      redis: {
        connected: true,
        version: expect.stringMatching(/^\d+\.\d+/),
        usedMemoryBytes: expect.any(Number),
        maxMemoryBytes: expect.any(Number),
        evictedKeys: 0,
        lastError: null,
      },
      fallback: {
        active: false,
        since: null,
        activations: 0,
        blips: expect.any(Number),
        reconnects: 0,
        servedCalls: expect.any(Number),
        pendingWrites: 0,
        standby: 'full',
        corrupt: 0,
      },
      fileAlerts: [],
    })
  })
})

describe('clear', () => {
  test('a changed row is answered only after it, and nine a minute are enough for anybody', async () => {
    const alone = await startApp({ REDIS_URL: redis.url, ...PATIENCE })
    try {
      await alone.untilStatus('redis')
      const nameOf = async () =>
        ((await (await alone.get('/api/countries/DE')).json()) as { name: string }).name
      expect(await nameOf()).toBe('Germany')
      const database = new DatabaseSync(join(alone.dataDir, 'reference.db'))
      database.exec(`UPDATE countries SET name_en = 'Changed' WHERE code = 'DE'`)
      database.close()
      expect(await nameOf()).toBe('Germany')
      const answer = await clear('{"tag":"countries"}', json, alone)
      expect(await answer.json()).toEqual({ cleared: expect.any(Number), backend: 'redis' })
      expect(await nameOf()).toBe('Changed')
      expect((await clear('{"prefix":"nothing-there"}', json, alone)).status).toBe(200)
      expect((await clear(undefined, {}, alone)).status).toBe(200)
      const more = await Promise.all(Array.from({ length: 9 }, () => clear('{}', json, alone)))
      const statuses = more.map(({ status }) => status)
      expect(statuses.filter((status) => status === 200)).toHaveLength(6)
      const refused = more.find(({ status }) => status === 429)
      expect(Number(refused?.headers.get('retry-after'))).toBeGreaterThan(0)
    } finally {
      await alone.close()
    }
  })
})

describe('with ADMIN_TOKEN', () => {
  let locked: TestApp
  beforeAll(async () => {
    locked = await startApp({ REDIS_URL: 'off', ADMIN_TOKEN: 'a-long-token' })
  })
  afterAll(() => locked.close())
  const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } })

  test('stats and clear ask for it, without a limit', async () => {
    for (const init of [{}, bearer('a-long-tokem'), bearer('a-long-token2'), bearer('')]) {
      expect((await locked.get('/api/cache/stats', init)).status).toBe(401)
      expect((await locked.get('/api/cache/clear', { ...init, method: 'POST' })).status).toBe(401)
    }
    expect((await locked.get('/api/cache/stats', {})).headers.get('www-authenticate')).toContain('Bearer')
    expect((await locked.get('/api/cache/stats', bearer('a-long-token'))).status).toBe(200)
    for (let i = 0; i < 10; i += 1) {
      const response = await locked.get('/api/cache/clear', { ...bearer('a-long-token'), method: 'POST' })
      expect(response.status).toBe(200)
    }
  })

  test('health and the page do not', async () => {
    for (const path of ['/livez', '/readyz', '/', '/status'])
      expect((await locked.get(path)).status).toBe(200)
  })
})

describe('variants', () => {
  test('REDIS_URL=off: everything works from memory, and says so', async () => {
    const off = await startApp({ REDIS_URL: 'off' })
    try {
      await off.get('/api/countries')
      expect((await off.get('/api/countries')).headers.get('cache-status')).toContain('hit')
      expect(await off.stats()).toMatchObject({
        backend: 'memory',
        mode: 'memory',
        status: 'memory',
        keys: 1,
        fallback: { active: false, activations: 0, servedCalls: 0 },
      })
      expect(await (await off.get('/readyz')).json()).toMatchObject({ status: 'warn', redis: 'memory' })
      expect(await (await clear('{}', json, off)).json()).toEqual({ cleared: 1, backend: 'memory' })
      expect((await off.get('/api/countries')).headers.get('cache-status')).toContain('miss')
    } finally {
      await off.close()
    }
  })

  test('CACHE_ENABLED=false: every read goes to its source', async () => {
    const plain = await startApp({ REDIS_URL: redis.url, ...PATIENCE, CACHE_ENABLED: 'false' })
    try {
      for (const _ of [1, 2]) {
        const response = await plain.get('/api/countries')
        expect([response.status, response.headers.get('cache-status')]).toEqual([200, 'samovar; fwd=bypass'])
      }
      expect(await plain.stats()).toMatchObject({ enabled: false, hits: 0, misses: 0 })
      const database = new DatabaseSync(join(plain.dataDir, 'reference.db'))
      database.exec(`UPDATE countries SET name_en = 'Changed' WHERE code = 'FR'`)
      database.close()
      expect(await (await plain.get('/api/countries/FR')).json()).toMatchObject({ name: 'Changed' })
    } finally {
      await plain.close()
    }
  })

  describe('times of life, by a clock that the test turns', () => {
    let time: Ahead
    beforeEach(() => {
      time = beginAhead()
      time.freeze()
    })
    afterEach(() => time.end())

    test('CACHE_TTL_HOURS: a value older than that is renewed', async () => {
      const brief = await startApp({ REDIS_URL: 'off', CACHE_TTL_HOURS: '0.00005' }) // 180 ms
      try {
        const read = async () => (await brief.get('/api/countries/NL')).headers.get('cache-status')
        expect(await read()).toContain('miss')
        time.pass(250)
        expect(await read()).toMatch(/hit; ttl=-1$/) // the old one, while a new one is loaded
        await eventually(async () => expect(await read()).toMatch(/hit; ttl=0$/))
      } finally {
        await brief.close()
      }
    })

    test('REDIS_TTL: how long it is believed that there is no such country', async () => {
      const brief = await startApp({ REDIS_URL: 'off', REDIS_TTL: '0.3' })
      try {
        const outcomes = async () => {
          expect((await brief.get('/api/countries/ZZ')).status).toBe(404)
          const { hits, misses } = await brief.stats()
          return [hits, misses]
        }
        expect([await outcomes(), await outcomes()]).toEqual([
          [0, 1],
          [1, 1],
        ])
        time.pass(400)
        expect(await outcomes()).toEqual([1, 2])
      } finally {
        await brief.close()
      }
    })
  })

  test('a password, a port and a database in REDIS_URL', async () => {
    const guarded = await startRedis('--requirepass', 'p@ss:w%rd')
    const url = `redis://:${encodeURIComponent('p@ss:w%rd')}@localhost:${guarded.port}/3`
    const inside = await startApp({ REDIS_URL: url, ...PATIENCE })
    const outside = await startApp({ REDIS_URL: `redis://:wrong@localhost:${guarded.port}/3` })
    try {
      await inside.untilStatus('redis')
      await inside.get('/api/countries')
      expect((await outside.get('/api/countries')).status).toBe(200)
      expect(await outside.stats()).toMatchObject({
        status: 'memory',
        redis: { connected: false, lastError: expect.stringContaining('WRONGPASS') },
      })
    } finally {
      await inside.close()
      await outside.close()
      await guarded.stop()
    }
  })

  test('the database is made once and kept; without the data lock nothing is written', async () => {
    const runDir = mkdtempSync(join(tmpdir(), 'samovar-run-'))
    const waiting = await startApp({ REDIS_URL: 'off', SAMOVAR_RUN_DIR: runDir })
    try {
      expect((await waiting.get('/api/countries')).status).toBe(200)
      expect(existsSync(join(waiting.dataDir, 'reference.db'))).toBe(false)
    } finally {
      await waiting.close()
      rmSync(runDir, { recursive: true })
    }
    await app.get('/api/countries/IS')
    expect(existsSync(join(app.dataDir, 'reference.db'))).toBe(true)
  })
})
