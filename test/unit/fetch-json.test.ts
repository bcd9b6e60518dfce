// Other people's servers at their worst, each as a real server of the test's own.
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import { z } from 'zod'
import { createJsonFetcher, FetchFailed, type JsonRequest } from '../../src/http/fetch-json.ts'
import { eventually, HUNG_MS } from '../helpers/eventually.ts'

const servers: Server[] = []
const limits = { maxBytes: 1_000, now: () => 1_000_000 }
const fetcher = createJsonFetcher({ connectMs: HUNG_MS, totalMs: HUNG_MS, ...limits })
/** Of those who never end: it gives up early, on a busy machine also where there would have been an answer. */
const hasty = createJsonFetcher({ connectMs: 500, totalMs: 300, ...limits })
afterAll(async () => {
  await fetcher.close()
  await hasty.close()
  for (const server of servers) {
    server.close()
    if ('closeAllConnections' in server)
      (server as unknown as { closeAllConnections(): void }).closeAllConnections()
  }
})

async function serve(server: Server): Promise<URL> {
  servers.push(server.listen(0, '127.0.0.1'))
  await once(server, 'listening')
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
}
const http = (listener: RequestListener) => serve(createServer(listener))

const schema = z.object({ price: z.number() })
const ask = (url: URL, more: Partial<JsonRequest<unknown>> = {}, by = fetcher) =>
  by.fetchJson({ url, schema, ...more })

async function failure(url: URL, more?: Partial<JsonRequest<unknown>>, by = fetcher): Promise<FetchFailed> {
  const error = await ask(url, more, by).then(
    () => new Error('it succeeded'),
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof FetchFailed)) throw error
  return error
}

test('an answer that fits the schema, with the headers that were asked for', async () => {
  const url = await http((req, res) =>
    res.end(JSON.stringify({ price: Number(req.headers['x-price']), more: 1 })),
  )
  expect(await ask(url, { headers: { 'x-price': '7' } })).toEqual({ price: 7 })
})

test('a body is sent as JSON', async () => {
  const url = await http(async (req, res) => {
    let text = ''
    for await (const part of req) text += part
    res.end(req.headers['content-type'] === 'application/json' ? text : '')
  })
  expect(await ask(url, { method: 'POST', body: { price: 8 } })).toEqual({ price: 8 })
})

describe('compressed answers', () => {
  const sent = (encoding: string, bytes: Buffer) =>
    http((_req, res) => res.writeHead(200, { 'content-encoding': encoding }).end(bytes))
  const text = JSON.stringify({ price: 9 })

  test('are asked for, and inflated', async () => {
    const asked: (string | undefined)[] = []
    const url = await http((req, res) => {
      asked.push(req.headers['accept-encoding'] as string)
      res.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(text))
    })
    expect(await ask(url)).toEqual({ price: 9 })
    expect(asked).toEqual(['gzip, br'])
    expect(await ask(await sent('br', brotliCompressSync(text)))).toEqual({ price: 9 })
    expect(await ask(await sent('X-GZIP', gzipSync(text)))).toEqual({ price: 9 })
    expect(await ask(await sent('identity', Buffer.from(text)))).toEqual({ price: 9 })
  })

  const bomb = Buffer.alloc(50 * 1024 * 1024, '0')
  test.each([
    ['gzip', gzipSync(bomb, { level: 1 }).subarray(0, 900)],
    ['br', brotliCompressSync(bomb.subarray(0, 1_000_000))],
  ])('the limit is that of the inflated bytes: %s', async (encoding, bytes) => {
    expect(bytes.byteLength).toBeLessThan(limits.maxBytes)
    expect(await failure(await sent(encoding, bytes))).toMatchObject({ reason: 'too_large', hasBegun: true })
  })

  test('and of the bytes as they come, which may inflate to nothing', async () => {
    const url = await sent('gzip', Buffer.concat(Array.from({ length: 100 }, () => gzipSync(''))))
    expect(await failure(url)).toMatchObject({ reason: 'too_large' })
  })

  test.each<[string, Buffer]>([
    ['gzip', Buffer.from('no gzip')],
    ['gzip', gzipSync(text).subarray(0, 12)],
    ['br', Buffer.from('<html>')],
    ['br', brotliCompressSync(text).subarray(0, 5)],
    ['deflate', deflateSync(text)],
    ['gzip, br', gzipSync(text)],
  ])('what is no %s is malformed', async (encoding, bytes) => {
    expect(await failure(await sent(encoding, bytes))).toMatchObject({ reason: 'malformed' })
  })

  test('a refusal says why, compressed or not; its text is in no log', async () => {
    const url = await http((_req, res) =>
      res.writeHead(403, { 'content-encoding': 'gzip' }).end(gzipSync('error code: 1020')),
    )
    const error = await failure(url)
    expect([error.text, JSON.stringify(error), Object.keys(error)]).toEqual([
      'error code: 1020',
      expect.not.stringContaining('1020'),
      expect.not.arrayContaining(['text']),
    ])
  })
})

test('NaN and Infinity, which are no JSON, are null, and text that says so stays', async () => {
  const url = await http((_req, res) => res.end('{"a":NaN,"b":[-Infinity,1],"c":"NaN, \\"Infinity"}'))
  expect(await ask(url, { schema: z.unknown() })).toEqual({ a: null, b: [null, 1], c: 'NaN, "Infinity' })
})

test("time in which this process stands still is not the server's", async () => {
  const url = await http((_req, res) => void setTimeout(() => res.end('{"price":3}'), 50))
  const asked = ask(url, { totalMs: 400 })
  await pause(20)
  const until = performance.now() + 800
  while (performance.now() < until); // nothing is read meanwhile
  expect(await asked).toEqual({ price: 3 })
})

test('what had begun to arrive is told from silence', async () => {
  const slow = await http((_req, res) => void res.write('{"price"'))
  expect(await failure(slow, { totalMs: 300 })).toMatchObject({ reason: 'timeout', hasBegun: true })
  const silent = await http(() => {})
  expect(await failure(silent, { totalMs: 300 })).toMatchObject({ reason: 'timeout', hasBegun: false })
})

describe('each way to fail has its word', () => {
  test.each<[string, RequestListener, object]>([
    ['no JSON', (_req, res) => res.end('<html>'), { reason: 'malformed' }],
    ['other JSON', (_req, res) => res.end('{"price":"7"}'), { reason: 'malformed', status: 200 }],
    ['a large body', (_req, res) => res.end('0'.repeat(5_000)), { reason: 'too_large' }],
    [
      'a large body that does not say so',
      (_req, res) => {
        res.write('0'.repeat(900))
        res.write('0'.repeat(900))
      },
      { reason: 'too_large' },
    ],
    [
      '500',
      (_req, res) => res.writeHead(500).end('no'),
      { reason: 'status', status: 500, retryAfterMs: undefined },
    ],
    [
      'a redirect',
      (_req, res) => res.writeHead(302, { location: '/' }).end(),
      { reason: 'status', status: 302 },
    ],
    [
      '429 with seconds',
      (_req, res) => res.writeHead(429, { 'retry-after': '17' }).end(),
      { reason: 'status', status: 429, retryAfterMs: 17_000 },
    ],
    [
      '503 with a date',
      (_req, res) => res.writeHead(503, { 'retry-after': new Date(1_030_000).toUTCString() }).end(),
      { reason: 'status', status: 503, retryAfterMs: 30_000 },
    ],
  ])('%s', async (_name, listener, expected) => {
    expect(await failure(await http(listener))).toMatchObject(expected)
  })

  test.each<[string, RequestListener]>([
    ['no answer', () => {}],
    ['a body that never ends', (_req, res) => void res.write('{')],
  ])('%s', async (_name, listener) => {
    expect(await failure(await http(listener), {}, hasty)).toMatchObject({ reason: 'timeout' })
  })

  test('429 with an endless body', async () => {
    const url = await http((_req, res) => res.writeHead(429).write('no'))
    await eventually(async () =>
      expect(await failure(url, {}, hasty)).toMatchObject({
        reason: 'status',
        status: 429,
        retryAfterMs: undefined,
      }),
    )
  })

  test('nobody listens', async () => {
    const server = createTcpServer()
    const url = await serve(server)
    server.close()
    await once(server, 'close')
    expect(await failure(url)).toMatchObject({ reason: 'refused' })
  })

  test('no such host', async () => {
    expect(await failure(new URL('http://no-such-host.invalid/'), {}, hasty)).toMatchObject({
      reason: expect.stringMatching(/^(refused|timeout)$/),
    })
  })

  test('no HTTP', async () => {
    const url = await serve(
      createTcpServer((socket) => void socket.on('error', () => {}).end('SSH-2.0\r\n\r\n')),
    )
    expect(await failure(url)).toMatchObject({ reason: 'malformed' })
  })
})

describe('a connection that is reset', () => {
  async function resetting(times: number) {
    const asked = { count: 0 }
    const url = await http((req, res) => {
      asked.count += 1
      if (asked.count <= times) req.socket.destroy()
      else res.end('{"price":1}')
    })
    return { url, asked }
  }

  test('is tried again once for GET', async () => {
    const { url, asked } = await resetting(1)
    expect(await ask(url)).toEqual({ price: 1 })
    expect(asked.count).toBe(2)
    const always = await resetting(99)
    expect(await failure(always.url)).toMatchObject({ reason: 'refused' })
    expect(always.asked.count).toBe(2)
  })

  test('is not tried again when each attempt counts', async () => {
    const { url, asked } = await resetting(1)
    expect(await failure(url, { once: true })).toMatchObject({ reason: 'refused' })
    expect(asked.count).toBe(1)
  })

  test('is not tried again for what may have been done', async () => {
    const { url, asked } = await resetting(1)
    expect(await failure(url, { method: 'POST', body: {} })).toMatchObject({ reason: 'refused' })
    expect(asked.count).toBe(1)
  })
})

test('what is our own mistake is no FetchFailed', async () => {
  const url = new URL('http://127.0.0.1:1/')
  await expect(ask(url, { headers: { 'bad header': 'x' } })).rejects.not.toBeInstanceOf(FetchFailed)
})
