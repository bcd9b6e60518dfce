// The probes: their short way, before Express, says byte for byte what the long way says, and is taken by every flood.
import { createHttpServer, type HttpServerOptions } from '../../src/http/server.ts'
import { startApp, type TestApp } from '../helpers/app.ts'
import { recordLog } from '../helpers/log.ts'
import { type RawAnswer, sendRaw } from '../helpers/raw-request.ts'

interface Sent {
  readonly method?: string
  readonly version?: string
  readonly headers?: readonly string[]
}

async function send(port: number, target: string, { method = 'GET', version = '1.1', headers = [] }: Sent) {
  const lines = [`${method} ${target} HTTP/${version}`, 'Host: localhost', ...headers, 'Connection: close']
  return sendRaw(port, { bytes: Buffer.from(`${lines.join('\r\n')}\r\n\r\n`), isCut: false })
}

/** In the order in which it came, without what differs between two requests of one second. */
function comparable({ status, headers, body }: RawAnswer) {
  const said = [...headers].map(([name, value]) => {
    if (name === 'date') return [name, '']
    return [name, name === 'x-request-id' && value.length === 36 ? 'made' : value]
  })
  return { status, said, body: body.replace(/"requestId":"[^"]*"/, '') }
}

describe('both ways', () => {
  let app: TestApp
  let port: number
  beforeAll(async () => {
    app = await startApp({ REDIS_URL: 'off', HSTS_INCLUDE_SUBDOMAINS: 'true' })
    port = Number(new URL(app.url).port)
  })
  afterAll(() => app.close())

  const cases: [name: string, sent: Sent, status: number][] = [
    ['a plain GET', {}, 200],
    ['HEAD', { method: 'HEAD' }, 200],
    ['OPTIONS', { method: 'OPTIONS' }, 405],
    ['POST', { method: 'POST' }, 405],
    ['HTTP/1.0', { version: '1.0' }, 200],
    ['any tag', { headers: ['If-None-Match: *'] }, 304],
    ['a tag', { headers: ['If-None-Match: "x"'] }, 200],
    ['a date', { headers: ['If-Modified-Since: Sat, 28 Nov 2026 00:00:00 GMT'] }, 200],
    ['its own id', { headers: ['X-Request-Id: given-1'] }, 200],
    ['a bad id', { headers: ['X-Request-Id: no word'] }, 200],
    ['HTTPS', { headers: ['X-Forwarded-Proto: https'] }, 200],
    ['HTTPS behind two', { headers: ['X-Forwarded-Proto: https, http'] }, 200],
    ['what browsers accept', { headers: ['Accept-Encoding: gzip, deflate, br, zstd'] }, 200],
    ['a length', { headers: ['Content-Length: 0'] }, 200],
    ['two hosts', { headers: ['Host: other'] }, 400],
    ['a cookie', { headers: ['Cookie: sid=x'] }, 200],
  ]
  describe.each(['/livez', '/readyz'])('%s', (path) => {
    test.each(cases)('%s', async (_name, sent, status) => {
      const short = await send(port, path, sent)
      // A query that nobody reads takes the long way.
      const long = await send(port, `${path}?long`, sent)
      expect(comparable(short)).toEqual(comparable(long))
      expect(short.status).toBe(status)
    })

    test('one line in the log for each', async () => {
      const before = app.lines.length
      await app.get(path, { headers: { 'x-request-id': 'short-1' } })
      await app.get(`${path}?long`, { headers: { 'x-request-id': 'long-1' } })
      const lines = app.lines.slice(before).filter(({ message }) => message === 'request')
      expect(lines.map(({ level, fields }) => ({ level, ...fields, ms: 0 }))).toEqual(
        ['short-1', 'long-1'].map((requestId) => ({
          level: 'debug',
          requestId,
          method: 'GET',
          path,
          status: 200,
          ms: 0,
        })),
      )
    })
  })
})

describe('the short way', () => {
  let close = async () => {}
  afterEach(() => close())

  async function serve(options: Partial<HttpServerOptions>) {
    const { log } = recordLog()
    const server = createHttpServer({ rawRouters: [], routers: [], trustProxy: 0, log, ...options })
    close = server.close
    return server.listen(0)
  }

  test('is taken, and asks each time', async () => {
    let express = 0
    let asked = 0
    const answer = () => ({ status: asked % 2 ? 200 : 503, body: { asked: ++asked } })
    const port = await serve({
      probes: [{ path: '/livez', answer }],
      limiters: [
        (_req, _res, next) => {
          express += 1
          next()
        },
      ],
    })
    const answers = [await send(port, '/livez', {}), await send(port, '/livez', {})]
    expect(answers.map(({ status, body }) => [status, body])).toEqual([
      [503, '{"asked":1}'],
      [200, '{"asked":2}'],
    ])
    expect(express).toBe(0)
    await send(port, '/livez?long', {})
    expect([express, asked]).toEqual([1, 3])
  })
})
