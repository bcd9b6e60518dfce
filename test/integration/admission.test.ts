// Admission before work, as strangers meet it: the real server over raw connections.
import type { Duplex } from 'node:stream'
import { gzipSync } from 'node:zlib'
import express, { type RequestHandler } from 'express'
import { budgets } from '../../src/http/admission/budgets.ts'
import { readBody } from '../../src/http/admission/read-body.ts'
import { createHttpServer, type HttpServerOptions } from '../../src/http/server.ts'
import type { UpgradeRoute } from '../../src/http/sockets/upgrades.ts'
import { eventually } from '../helpers/eventually.ts'
import { recordLog } from '../helpers/log.ts'
import { createStrangers, statusOf } from '../helpers/strangers.ts'

const MB = 1024 * 1024
let port = 0
let lines: ReturnType<typeof recordLog>['lines']
let close = async () => {}
const { come, leave } = createStrangers(() => port)

async function serve(options: Partial<HttpServerOptions> = {}, routes: Record<string, RequestHandler> = {}) {
  const recorded = recordLog()
  const router = express.Router()
  router.get('/thing', (_req, res) => void res.json({}))
  for (const [path, handler] of Object.entries(routes)) router.all(path, handler)
  const raw = express.Router()
  raw.post('/raw', async (req, res) => void res.json({ size: (await readBody(req, MB)).length }))
  const { log } = recorded
  const server = createHttpServer({ rawRouters: [raw], routers: [router], trustProxy: 0, log, ...options })
  port = await server.listen(0)
  lines = recorded.lines
  close = server.close
}

afterEach(async () => {
  leave()
  await close()
})

const get = (path = '/thing', more = '') => `GET ${path} HTTP/1.1\r\nHost: a\r\n${more}\r\n`
const as = (address: string) => `X-Forwarded-For: ${address}\r\n`
const post = (body: string, more = '', length = body.length, path = '/raw') =>
  `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n${more}\r\n${body}`
/** The last byte does not come. */
const stalled = (more = '') => post('x'.repeat(MB - 1), more, MB)
const answered = (status: number, stranger: Parameters<typeof statusOf>[0]) =>
  eventually(() => expect(statusOf(stranger)).toBe(status))

describe('bodies', () => {
  test('stalled ones of one client take its share and no more; another client is served', async () => {
    await serve()
    const greedy = Array.from({ length: 40 }, () => come(stalled(), { from: '127.0.0.2' }))
    const share = budgets.bodyBytes.inAll / 2 / MB // of a private address
    await eventually(() => expect(greedy.filter((one) => statusOf(one) === 429)).toHaveLength(40 - share))
    const refused = greedy.find((one) => statusOf(one) === 429)?.text()
    expect(refused).toContain('"too_many_at_once"')
    expect(refused).toMatch(/\r\nRetry-After: 1\r\n/i)
    await answered(200, come(post('x'.repeat(MB))))
    for (const one of greedy) one.socket.write('x')
    await eventually(() => expect(greedy.filter((one) => statusOf(one) === 200)).toHaveLength(share))
  })

  test('behind a trusted proxy by the address it tells, IPv6 by /64 and /48', async () => {
    await serve({ trustProxy: 1 })
    const stall = (address: string) => come(post('x', as(address), 10_000))
    const one = Array.from({ length: 40 }, (_, i) => stall(`2001:db8:1:1::${i.toString(16)}`))
    const { perClient, perNetwork } = budgets.bodies
    await eventually(() => expect(one.filter((each) => statusOf(each) === 429)).toHaveLength(40 - perClient))
    const more = Array.from({ length: 60 }, (_, i) => stall(`2001:db8:1:${(i + 2).toString(16)}::1`))
    const left = perNetwork - perClient
    await eventually(() => expect(more.filter((each) => statusOf(each) === 429)).toHaveLength(60 - left))
    await answered(200, come(post('x', as('2001:db8:2::1'))))
    await answered(200, come(post('x', as('203.0.113.7'))))
  })

  test('where all are too many, one that waits of who holds most is ended for the newcomer', async () => {
    await serve({ trustProxy: 1 })
    const { inAll, perClient } = budgets.bodies
    const crowd = Array.from({ length: inAll }, (_, i) =>
      come(post('x', as(`203.0.113.${Math.floor(i / perClient)}`), 10_000)),
    )
    await eventually(() => expect(crowd.every(({ socket }) => socket.bytesWritten > 0)).toBe(true))
    const newcomers = Array.from({ length: 20 }, (_, i) => come(post('x', as(`198.51.100.${i}`))))
    for (const newcomer of newcomers) await answered(200, newcomer)
    await eventually(async () => {
      await answered(200, come(post('x', as('198.51.100.250'))))
      expect(crowd.map(statusOf)).toContain(503)
    })
    expect(crowd.map(statusOf).filter((status) => status !== 0 && status !== 503)).toEqual([])
  })

  test('those that came with their heads wait for no client, however many are read at once', async () => {
    const waiting: (() => void)[] = []
    const hold: RequestHandler = (_req, _res, next) => void waiting.push(next)
    await serve({ limiters: [hold], trustProxy: 1 }, { '/sent': (req, res) => void res.json(req.body) })
    const json = `Content-Type: application/json\r\n${as('203.0.113.9')}`
    const many = Array.from({ length: 3 * budgets.bodies.perClient }, () =>
      come(post('{}', json, 2, '/sent')),
    )
    await eventually(() => expect(waiting).toHaveLength(many.length))
    for (const go of waiting) go()
    await eventually(() => expect(many.map(statusOf)).toEqual(many.map(() => 200)))
  })

  test('more than the limit is refused at once, declared or not, whatever follows', async () => {
    await serve()
    const declared = come(post('x', '', 2 * MB))
    await answered(413, declared)
    const part = `10000\r\n${'x'.repeat(0x10000)}\r\n`
    const endless = come(
      `POST /raw HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${part.repeat(17)}`,
    )
    await answered(413, endless)
  })

  test('nothing is inflated, and a deep JSON is a bad one', async () => {
    await serve()
    const json = 'Content-Type: application/json\r\n'
    const bomb = gzipSync(Buffer.alloc(8 * MB)).subarray(0, 8_000)
    const head = post('', `${json}Content-Encoding: gzip\r\n`, bomb.length, '/thing')
    const gzip = come(Buffer.concat([Buffer.from(head), bomb]))
    await answered(415, gzip)
    expect(gzip.text()).toContain('"encoding_unsupported"')
    const deep = come(post('['.repeat(100_000), json, 100_000, '/thing'))
    await answered(400, deep)
    expect(deep.text()).toContain('"malformed_json"')
  })

  test('a limiter is asked before the body has come', async () => {
    const limiters: RequestHandler[] = [(_req, res) => void res.status(429).end()]
    await serve({ limiters })
    await answered(429, come(post('{', 'Content-Type: application/json\r\n', 1_000, '/thing')))
  })
})

describe('requests', () => {
  test('a client has its share of those under way, also of answers that it does not read', async () => {
    const large = Buffer.alloc(16 * MB)
    let begun = 0
    const began: RequestHandler = (_req, _res, next) => {
      begun += 1
      next()
    }
    const answer: RequestHandler = (_req, res) => void res.end(large)
    await serve({ trustProxy: 1, limiters: [began] }, { '/large': answer, '/hold': () => {} })
    const { perClient } = budgets.requests
    for (let i = 0; i < 4; i += 1) come(get('/large', as('203.0.113.1')), { isDeaf: true })
    for (let i = 4; i < perClient; i += 1) come(get('/hold', as('203.0.113.1')))
    await eventually(() => expect(begun).toBe(perClient))
    await eventually(async () => {
      const next = come(get('/thing', as('203.0.113.1')))
      await eventually(() => expect(statusOf(next)).not.toBe(0))
      expect(statusOf(next)).toBe(429)
    })
    await answered(200, come(get('/thing', as('203.0.113.2'))))
    leave()
    await eventually(async () => {
      const next = come(get('/thing', as('203.0.113.1')))
      await eventually(() => expect(statusOf(next)).not.toBe(0))
      expect(statusOf(next)).toBe(200)
    })
  })

  test('where all are too many, strangers are told to come again, and the probes are answered', async () => {
    const waiting: (() => void)[] = []
    const hold: RequestHandler = (_req, res) => void waiting.push(() => void res.end())
    await serve({ trustProxy: 1 }, { '/hold': hold, '/livez': (_req, res) => void res.json({}) })
    const { inAll, perClient } = budgets.requests
    for (let i = 0; i < inAll; i += 1) come(get('/hold', as(`203.0.113.${Math.floor(i / perClient)}`)))
    await eventually(() => expect(waiting).toHaveLength(inAll))
    const next = come(get('/thing', as('198.51.100.1')))
    await answered(503, next)
    expect(next.text()).toMatch(/\r\nRetry-After: 1\r\n[\s\S]*"busy"/i)
    await answered(200, come(get('/livez', as('198.51.100.1'))))
    for (const end of waiting) end()
    await eventually(async () => {
      const again = come(get('/thing', as('198.51.100.1')))
      await eventually(() => expect(statusOf(again)).not.toBe(0))
      expect(statusOf(again)).toBe(200)
    })
  })

  test.each([
    ['a request', ''],
    ['a handshake', 'Connection: Upgrade\r\nUpgrade: websocket\r\n'],
  ])('two Host headers of %s are 400', async (_name, more) => {
    await serve({ upgrades: [route(() => {})] })
    const two = come(get('/ws', `hOST: b\r\n${more}`))
    await answered(400, two)
    expect(two.text()).toContain('"two_hosts"')
  })

  test('at TRUST_PROXY=0 a forged header buys nothing, and is warned of once', async () => {
    await serve()
    const stall = (i: number) => come(post('x', as(`203.0.113.${i}`), 10_000), { from: '127.0.0.2' })
    const crowd = Array.from({ length: 140 }, (_, i) => stall(i))
    const share = budgets.bodies.inAll / 2
    await eventually(() => expect(crowd.filter((one) => statusOf(one) === 429)).toHaveLength(140 - share))
    const warned = lines.filter(({ message }) => message.includes('TRUST_PROXY'))
    expect(warned).toEqual([
      expect.objectContaining({ level: 'warn', fields: { header: 'x-forwarded-for' } }),
    ])
  })
})

describe('connections', () => {
  test('of one address the oldest idle ones make room; others are served', async () => {
    await serve()
    const most = budgets.connections.inAll / 2 // a private address
    // Each has had an answer: a connection without a request has little time.
    const kept = come(get(), { from: '127.0.0.3' })
    await answered(200, kept)
    const idle: ReturnType<typeof come>[] = []
    for (let i = 0; i < most + 50; i += 1) {
      const one = come(get(), { from: '127.0.0.2' })
      idle.push(one)
      if (i % 100 === 99) await answered(200, one)
    }
    await eventually(() => expect(idle.filter((one) => one.isClosed())).toHaveLength(50))
    expect(idle.slice(0, 100).filter((one) => one.isClosed())).toHaveLength(50)
    await answered(200, come(get()))
    kept.socket.write(get())
    await eventually(() => expect(kept.text().match(/HTTP\/1\.1 200/g)).toHaveLength(2))
  })
})

describe('WebSockets', () => {
  test('a client has its share of them', async () => {
    let open = 0
    const opened = () => {
      open += 1
    }
    await serve({ trustProxy: 1, upgrades: [route(() => opened())] })
    const shake = (address: string) =>
      come(get('/ws', `Connection: Upgrade\r\nUpgrade: websocket\r\n${as(address)}`))
    const { perClient } = budgets.sockets
    const atOnce = budgets.handshakes.perClient / 2 // of a second
    while (open < perClient) {
      const before = open
      for (let i = 0; i < Math.min(atOnce, perClient - before); i += 1) shake('203.0.113.1')
      await eventually(() => expect(open).toBe(Math.min(before + atOnce, perClient)))
      await new Promise((resolve) => setTimeout(resolve, 1_000))
    }
    await answered(429, shake('203.0.113.1'))
    shake('203.0.113.2')
    await eventually(() => expect(open).toBe(perClient + 1))
  })

  test('a request for their path that is to close its connection is answered, and closed', async () => {
    await serve({ upgrades: [route(() => {})] })
    const one = come(get('/ws', 'Connection: close\r\n'))
    await answered(426, one)
    await eventually(() => expect(one.isClosed()).toBe(true))
  })
})

/** Leaves what it accepts open. */
function route(accepted: () => void): UpgradeRoute {
  const open: Duplex[] = []
  return {
    path: '/ws',
    handlers: [],
    accept(_req, socket) {
      open.push(socket)
      accepted()
    },
    async close() {
      for (const socket of open) socket.destroy()
    },
  }
}
