// What is refused costs little: bodies that nobody wants are not read, requests in a pipeline begin one by one, and what
// a client takes of the budgets comes back when it has gone.
import express, { type RequestHandler } from 'express'
import { createAdmission } from '../../src/http/admission/admission.ts'
import { budgets } from '../../src/http/admission/budgets.ts'
import { MOST_UNANSWERED } from '../../src/http/admission/pipelines.ts'
import { readBody } from '../../src/http/admission/read-body.ts'
import { cachedRoute } from '../../src/http/cached-response.ts'
import { createHttpServer, type HttpServerOptions } from '../../src/http/server.ts'
import { eventually } from '../helpers/eventually.ts'
import { recordLog } from '../helpers/log.ts'
import { createStrangers, statusOf } from '../helpers/strangers.ts'

const MB = 1024 * 1024
/** With what waits in each, more than the requests of one address. */
const CONNECTS = 170
let port = 0
let close = async () => {}
const { come, leave } = createStrangers(() => port)

async function serve(routes: Record<string, RequestHandler>, options: Partial<HttpServerOptions> = {}) {
  const router = express.Router()
  for (const [path, handler] of Object.entries(routes)) router.all(path, handler)
  const { log, lines } = recordLog()
  const server = createHttpServer({ rawRouters: [router], routers: [], trustProxy: 0, log, ...options })
  port = await server.listen(0)
  close = server.close
  return lines
}

afterEach(async () => {
  leave()
  await close()
})

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`
const post = (path: string, length: number) =>
  `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n\r\n`
const answered = (status: number, stranger: Parameters<typeof statusOf>[0]) =>
  eventually(() => expect(statusOf(stranger)).toBe(status))

describe('a body that nobody wants', () => {
  const refusers: [string, RequestHandler][] = [
    ['by a handler that does not read it', (_req, res) => void res.status(401).end()],
    ['as too large', async (req, res) => void res.json(await readBody(req, MB))],
    [
      'while it arrives',
      async (req, res) => {
        delete req.headers['content-length'] // as if it had not been announced
        res.json(await readBody(req, MB))
      },
    ],
  ]
  test.each(refusers)('refused %s is not read, and its connection ends', async (_how, refuse) => {
    await serve({ '/refuse': refuse })
    const length = 200 * MB
    const one = come(post('/refuse', length))
    const part = Buffer.alloc(MB)
    let sent = 0
    const send = () => {
      while (sent < length && !one.socket.destroyed) {
        sent += MB
        if (!one.socket.write(part)) return void one.socket.once('drain', send)
      }
    }
    send()
    await eventually(() => expect(one.isClosed()).toBe(true))
    expect(one.text()).toMatch(/^HTTP\/1\.1 4(01|13) /)
    expect(one.text()).toMatch(/\r\nConnection: close\r\n/)
    expect(one.socket.bytesWritten - one.socket.writableLength).toBeLessThan(length / 4)
  })

  test('a short one is read to its end, and its connection is of use', async () => {
    await serve({
      '/refuse': (_req, res) => void res.status(401).end(),
      '/thing': (_req, res) => void res.end(),
    })
    const one = come(post('/refuse', 10_000))
    await answered(401, one)
    one.socket.write('x'.repeat(10_000) + get('/thing'))
    await eventually(() =>
      expect(one.text().match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 401', 'HTTP/1.1 200']),
    )
  })

  test('a long one that was wanted leaves its connection open', async () => {
    await serve({ '/raw': async (req, res) => void res.json((await readBody(req, MB)).length) })
    const one = come(post('/raw', MB) + 'x'.repeat(MB) + get('/raw'))
    await eventually(() =>
      expect(one.text().match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 200']),
    )
    expect(one.text()).not.toMatch(/connection: close/i)
  })
})

test('the body of a client who has gone before it is read is counted for nobody', async () => {
  const most = budgets.bodies.inAll / 2 // of a private address
  let waiting = 0
  await serve({
    async '/late'(req, res) {
      waiting += 1
      await new Promise((gone) => res.once('close', gone))
      await readBody(req, MB).catch(() => {})
      waiting -= 1
    },
    '/raw': async (req, res) => void res.json((await readBody(req, MB)).length),
  })
  for (let i = 0; i < most; i += 1) come(post('/late', 1_000))
  await eventually(() => expect(waiting).toBe(most))
  leave()
  await eventually(() => expect(waiting).toBe(0))
  await answered(200, come(`${post('/raw', 1)}x`))
})

describe('a pipeline', () => {
  test('what waits in it is forgotten with its connection, also where another protocol was asked for', async () => {
    let begun = 0
    const hold = () => {
      begun += 1
    }
    await serve({ '/thing': (_req, res) => void res.end(), '/hold': hold })
    const bytes = `${get('/thing').repeat(MOST_UNANSWERED)}CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n`
    for (let i = 0; i < CONNECTS; i += 1) {
      const one = come(bytes)
      await eventually(() => expect(one.isClosed()).toBe(true))
    }
    for (let i = 0; i < 50; i += 1) come(get('/hold'))
    await eventually(() => expect(begun).toBe(50))
  })

  test('its requests begin one by one, each when the answer before it was taken', async () => {
    const waiting: (() => void)[] = []
    await serve({ '/hold': (_req, res) => void waiting.push(() => void res.end()) })
    const one = come(get('/hold').repeat(MOST_UNANSWERED))
    for (let i = 1; i <= MOST_UNANSWERED; i += 1) {
      await eventually(() => expect(waiting).toHaveLength(i))
      await new Promise((resolve) => setTimeout(resolve, 5))
      expect(waiting).toHaveLength(i)
      waiting.at(-1)?.()
    }
    await eventually(() => expect(one.text().match(/HTTP\/1\.1 200/g)).toHaveLength(MOST_UNANSWERED))
  })

  test('of a client who does not take its answers nothing more is worked on', async () => {
    let begun = 0
    const large = Buffer.alloc(16 * MB)
    const handler: RequestHandler = (_req, res) => {
      begun += 1
      res.end(large)
    }
    await serve({ '/large': handler, '/thing': (_req, res) => void res.end() })
    come(get('/large').repeat(3), { isDeaf: true })
    await eventually(() => expect(begun).toBe(1))
    await answered(200, come(get('/thing')))
    expect(begun).toBe(1)
  })

  test('an answer from memory that is not taken counts in it', async () => {
    let peeks = 0
    const body = Buffer.alloc(16 * MB)
    const route = cachedRoute({
      path: '/known',
      parse: () => undefined,
      peek() {
        peeks += 1
        return { outcome: 'hit', body, etag: '"1"', storedAtMs: 0, freshUntilMs: 1 }
      },
      read: () => Promise.reject(new Error('it is in memory')),
    })
    await serve({}, { cached: [route] })
    await answered(200, come(get('/known')))
    const before = peeks
    come(get('/known').repeat(3), { isDeaf: true })
    await eventually(() => expect(peeks).toBe(before + 1))
    await answered(200, come(get('/known')))
    expect(peeks).toBe(before + 2)
  })

  test('one that is too long ends its connection, and no more of it begins', async () => {
    let begun = 0
    await serve({
      '/hold'() {
        begun += 1
      },
    })
    const one = come(get('/hold').repeat(100))
    await eventually(() => expect(one.isClosed()).toBe(true))
    expect(begun).toBeLessThanOrEqual(1)
  })

  test('nor is any more of it parsed; other connections are', async () => {
    const { log } = recordLog()
    const admission = createAdmission({ trustProxy: 0, log })
    let parsed = 0
    const arrived: typeof admission.arrived = (...words) => {
      parsed += 1
      admission.arrived(...words)
    }
    await serve({ '/thing': (_req, res) => void res.end() }, { admission: { ...admission, arrived } })
    const many = Array.from({ length: 20 }, () => come(get('/thing').repeat(400)))
    await eventually(() => expect(many.every((one) => one.isClosed())).toBe(true))
    expect(parsed).toBeLessThanOrEqual(20 * (MOST_UNANSWERED + 2))
    for (let i = 0; i < 30; i += 1) await answered(200, come(get('/thing')))
  })
})

test('a flood of refusals has no line for each, and is counted in one', async () => {
  const lines = await serve({ '/hold': () => {} })
  const most = budgets.requests.inAll / 2
  for (let i = 0; i < most + 100; i += 1) come(get('/hold'))
  await eventually(() => {
    const told = lines.filter(({ message }) => message.startsWith('refused what was too much'))
    expect(told.reduce((sum, { fields }) => sum + Number((fields as { refused: number }).refused), 0)).toBe(
      100,
    )
  })
  expect(lines.filter(({ level }) => level !== 'debug').length).toBeLessThan(10)
})
