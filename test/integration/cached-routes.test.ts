// The short way to a cached value, before Express, says byte for byte what the long way says, and is taken.
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import { cachedRoute } from '../../src/http/cached-response.ts'
import { createHttpServer } from '../../src/http/server.ts'
import { startApp, type TestApp } from '../helpers/app.ts'
import { eventually } from '../helpers/eventually.ts'
import { freePort } from '../helpers/free-port.ts'
import { recordLog } from '../helpers/log.ts'
import { rawBody, sendRaw } from '../helpers/raw-request.ts'

const portOf = ({ url }: TestApp) => Number(new URL(url).port)

interface Sent {
  method?: string
  target: string
  version?: string
  headers?: readonly string[]
}

async function send(app: TestApp, { method = 'GET', target, version = '1.1', headers = [] }: Sent) {
  const lines = [`${method} ${target} HTTP/${version}`, 'Host: localhost', ...headers, 'Connection: close']
  const bytes = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`)
  return sendRaw(portOf(app), { bytes, isCut: false })
}

/** Without what differs between two requests of one second. */
function comparable({ status, headers, body }: Awaited<ReturnType<typeof send>>) {
  const said = [...headers].map(([name, value]) => {
    if (name === 'date' || name === 'age') return [name, '']
    if (name === 'cache-status') return [name, value.replace(/\d+$/, '')]
    return [name, name === 'x-request-id' && value.length === 36 ? 'made' : value]
  })
  return { status, said, body: body.replace(/"requestId":"[^"]*"/, '') }
}

describe('both ways', () => {
  let app: TestApp
  let etag: string
  beforeAll(async () => {
    app = await startApp({ REDIS_URL: 'off', HSTS_INCLUDE_SUBDOMAINS: 'true' })
    const first = await app.get('/api/countries?lang=ru', { headers: { 'accept-encoding': 'identity' } })
    etag = first.headers.get('etag') ?? ''
    // The short way sends it as it is until the compressed form has been made.
    for (const accepted of ['gzip', 'br'])
      await eventually(async () => {
        const { headers } = await rawBody(app, '/api/countries?lang=ru', accepted)
        expect(headers.get('content-encoding')).toBe(accepted)
      })
  })
  afterAll(() => app.close())

  const tag = (encoding = '') => (encoding ? `${etag.slice(0, -1)}-${encoding}"` : etag)
  const cases: [name: string, sent: () => Omit<Sent, 'target'>, status: number][] = [
    ['a plain GET', () => ({}), 200],
    ['HEAD', () => ({ method: 'HEAD' }), 200],
    ['OPTIONS', () => ({ method: 'OPTIONS' }), 405],
    ['HTTP/1.0', () => ({ version: '1.0' }), 200],
    ['its tag', () => ({ headers: [`If-None-Match: ${tag()}`] }), 304],
    ['its tag, HEAD', () => ({ method: 'HEAD', headers: [`If-None-Match: ${tag()}`] }), 304],
    ['a weak tag', () => ({ headers: [`If-None-Match: W/${tag()}`] }), 304],
    ['a list of tags', () => ({ headers: [`If-None-Match: "other", ${tag()}`] }), 304],
    ['any tag', () => ({ headers: ['If-None-Match: *'] }), 304],
    ['another tag', () => ({ headers: ['If-None-Match: "other"'] }), 200],
    ['the tag of another encoding', () => ({ headers: [`If-None-Match: ${tag('br')}`] }), 200],
    ['a reload', () => ({ headers: [`If-None-Match: ${tag()}`, 'Cache-Control: no-cache'] }), 200],
    ['a date', () => ({ headers: ['If-Modified-Since: Sat, 28 Nov 2026 00:00:00 GMT'] }), 200],
    ['a range', () => ({ headers: ['Range: bytes=0-9'] }), 200],
    ['gzip', () => ({ headers: ['Accept-Encoding: gzip'] }), 200],
    [
      'gzip and its tag',
      () => ({ headers: ['Accept-Encoding: gzip', `If-None-Match: ${tag('gzip')}`] }),
      304,
    ],
    ['what browsers send', () => ({ headers: ['Accept-Encoding: gzip, deflate, br, zstd'] }), 200],
    ['its own id', () => ({ headers: ['X-Request-Id: given-1'] }), 200],
    ['a bad id', () => ({ headers: ['X-Request-Id: no word'] }), 200],
    ['HTTPS', () => ({ headers: ['X-Forwarded-Proto: https'] }), 200],
    ['HTTPS behind two', () => ({ headers: ['X-Forwarded-Proto: https, http'] }), 200],
    ['a length', () => ({ headers: ['Content-Length: 0'] }), 200],
    ['two hosts', () => ({ headers: ['Host: other'] }), 400],
    ['a cookie', () => ({ headers: ['Cookie: sid=x'] }), 200],
  ]
  test.each(cases)('%s', async (_name, sent, status) => {
    const request = sent()
    const short = await send(app, { ...request, target: '/api/countries?lang=ru' })
    // A URL that nobody has asked for goes the long way; a query that no schema knows changes nothing.
    const long = await send(app, { ...request, target: `/api/countries?lang=ru&long=${Math.random()}` })
    expect(comparable(short)).toEqual(comparable(long))
    expect(short.status).toBe(status)
  })

  test('a whole URL as the target', async () => {
    const short = await send(app, { target: 'http://localhost/api/countries?lang=ru' })
    expect(comparable(short)).toEqual(comparable(await send(app, { target: '/api/countries?lang=ru&long' })))
  })

  test('one line in the log for each', async () => {
    const before = app.lines.length
    await app.get('/api/countries?lang=ru', { headers: { 'x-request-id': 'short-1' } })
    await app.get('/api/countries?lang=ru&longer', { headers: { 'x-request-id': 'long-1' } })
    const lines = app.lines.slice(before).filter(({ message }) => message === 'request')
    expect(lines.map(({ level, fields }) => ({ level, ...fields, ms: 0 }))).toEqual(
      ['short-1', 'long-1'].map((requestId) => ({
        level: 'debug',
        requestId,
        method: 'GET',
        path: '/api/countries',
        status: 200,
        ms: 0,
      })),
    )
  })
})

describe('the short way', () => {
  /** A server with one route, whose parts are counted. */
  async function open() {
    const body = Buffer.from('{}')
    const times = { parsed: 0, peeked: 0, read: 0 }
    let value: Buffer | undefined = body
    const cached = () => ({
      outcome: 'hit' as const,
      body: value ?? body,
      etag: '"x"',
      storedAtMs: Date.now(),
      freshUntilMs: Date.now() + 60_000,
    })
    const route = cachedRoute({
      path: '/one/:name',
      parse(asked) {
        times.parsed += 1
        return asked
      },
      peek() {
        times.peeked += 1
        return value && cached()
      },
      async read() {
        times.read += 1
        return cached()
      },
    })
    const { log } = recordLog()
    const server = createHttpServer({ rawRouters: [], routers: [], cached: [route], trustProxy: 0, log })
    const port = await server.listen(await freePort())
    const ask = async (path: string) => (await fetch(`http://127.0.0.1:${port}${path}`)).status
    return { times, ask, close: server.close, forget: () => (value = undefined) }
  }

  test('parses a URL once, and asks for nothing while memory has the value', async () => {
    const { times, ask, close, forget } = await open()
    for (const _ of [1, 2, 3, 4]) expect(await ask('/one/a?b=c')).toBe(200)
    expect(times).toEqual({ parsed: 1, peeked: 4, read: 0 })
    forget()
    expect(await ask('/one/a?b=c')).toBe(200)
    expect(times).toMatchObject({ parsed: 2, read: 1 })
    await close()
  })

  test('knows so many URLs and no more; long ones not at all', async () => {
    const { times, ask, close } = await open()
    for (let i = 0; i < 1_001; i += 1) await ask(`/one/${i}`)
    await ask('/one/1000')
    expect(times.parsed).toBe(1_001)
    await ask('/one/0')
    expect(times.parsed).toBe(1_002)
    const long = `/one/${'x'.repeat(300)}`
    for (const _ of [1, 2]) await ask(long)
    expect(times.parsed).toBe(1_004)
    await close()
  })
})

describe('compressed', () => {
  let app: TestApp
  beforeAll(async () => {
    app = await startApp({ REDIS_URL: 'off' })
  })
  afterAll(() => app.close())

  const get = async (accepted: string) => {
    const { headers, body } = await rawBody(app, '/api/countries', accepted)
    return {
      encoding: headers.get('content-encoding'),
      etag: headers.get('etag'),
      vary: headers.get('vary'),
      body,
    }
  }

  test.each([
    ['br', 'br'],
    ['gzip', 'gzip'],
    ['gzip, deflate, br', 'br'],
    ['br;q=0.1, gzip;q=0.9', 'gzip'],
    ['GZIP', 'gzip'],
    ['*', 'br'],
    ['br;q=0, *', 'gzip'],
    ['gzip;q=0', null],
    ['identity', null],
    ['deflate, zstd', null],
    ['identity;q=0, deflate', null],
    ['', null],
    ['gzip;q=nonsense', null],
    [',,;;', null],
  ])('Accept-Encoding: %j → %s', async (accepted, expected) => {
    const { encoding, vary } = await get(accepted)
    expect({ accepted, encoding: encoding ?? null, vary }).toEqual({
      accepted,
      encoding: expected,
      vary: 'Accept-Encoding',
    })
  })

  test('the list takes a fifth of its bytes, is the same list, and has a tag for each form', async () => {
    const [plain, gzip, br] = await Promise.all(['identity', 'gzip', 'br'].map(get))
    expect(gunzipSync(gzip!.body).equals(plain!.body)).toBe(true)
    expect(brotliDecompressSync(br!.body).equals(plain!.body)).toBe(true)
    expect(gzip!.body.byteLength).toBeLessThanOrEqual(12_300)
    expect(br!.body.byteLength).toBeLessThanOrEqual(11_200)
    expect(new Set([plain!.etag, gzip!.etag, br!.etag]).size).toBe(3)
  })

  test('not what is small, a search, or a refusal', async () => {
    for (const path of ['/api/countries/DE', '/api/countries?q=a', '/api/countries/ZZ']) {
      const { headers } = await rawBody(app, path, 'gzip, br')
      expect([path, headers.get('content-encoding')]).toEqual([path, undefined])
    }
  })
})
