// Idempotency-Key on a route of one's own: real HTTP, a real Redis.
import { randomUUID } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import express, { type RequestHandler } from 'express'
import { createOnce } from '../../src/core/once.ts'
import { AppError } from '../../src/errors.ts'
import { idempotent } from '../../src/http/idempotency.ts'
import { answerNotFound, answerProblems } from '../../src/http/problem.ts'
import { eventually } from '../helpers/eventually.ts'
import { recordLog } from '../helpers/log.ts'
import { startRedis, type TestRedis } from '../helpers/redis-server.ts'
import { openProcess, type TestProcess } from '../helpers/stores.ts'

let redis: TestRedis
let process: TestProcess
let server: Server
let url: string
let runs: number
let route: RequestHandler
const rings = new Set<() => void>()

beforeAll(async () => {
  redis = await startRedis()
  process = await openProcess({ cacheUrl: redis.url, budgetMs: 2_000 })
  await process.untilStatus('redis')
  const once = createOnce({
    state: process.state,
    timer: (_ms, call) => {
      rings.add(call)
      return () => rings.delete(call)
    },
  })
  const guard = idempotent({ once, who: (req) => req.get('x-user') ?? 'nobody' })
  const app = express()
  app.use(express.json())
  app.post(['/orders', '/refunds'], guard, (req, res, next) => {
    runs += 1
    return route(req, res, next)
  })
  app.use(answerNotFound, answerProblems(recordLog().log))
  server = createServer(app).listen(0, '127.0.0.1')
  await eventually(() => expect(server.listening).toBe(true))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
beforeEach(() => {
  runs = 0
  route = (req, res) => void res.status(201).json({ run: runs, asked: req.body })
})
afterAll(async () => {
  server.closeAllConnections()
  server.close()
  await process.close()
  await redis.stop()
})

interface Asked {
  key?: string
  body?: string
  path?: string
  user?: string
}
const post = ({ key, body = '{"n":1}', path = '/orders', user = 'ann' }: Asked) =>
  fetch(url + path, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'x-user': user,
      ...(key !== undefined && { 'idempotency-key': key }),
    },
    body,
  })
const told = async (response: Response) => ({
  status: response.status,
  type: response.headers.get('content-type'),
  replayed: response.headers.get('idempotent-replayed'),
  text: await response.text(),
})
const codeOf = async (response: Response) => ((await response.json()) as { code: string }).code

test('the second request is answered as the first one, and not done', async () => {
  const key = randomUUID()
  const first = await told(await post({ key }))
  expect(first).toEqual({
    status: 201,
    type: 'application/json; charset=utf-8',
    replayed: null,
    text: '{"run":1,"asked":{"n":1}}',
  })
  expect(await told(await post({ key }))).toEqual({ ...first, replayed: 'true' })
  expect(runs).toBe(1)
})

test('50 at once are done once', async () => {
  const key = randomUUID()
  let goOn = () => {}
  const gate = new Promise<void>((resolve) => {
    goOn = resolve
  })
  route = async (_req, res) => {
    await gate
    res.json({})
  }
  const asked = Array.from({ length: 50 }, () => post({ key }))
  await eventually(() => expect(runs).toBe(1))
  const running = await post({ key })
  expect([running.status, await codeOf(running)]).toEqual([409, 'request_running'])
  expect(Number(running.headers.get('retry-after'))).toBeGreaterThan(0)
  goOn()
  const statuses = (await Promise.all(asked)).map(({ status }) => status)
  expect(new Set(statuses)).toEqual(new Set([200, 409]))
  expect(runs).toBe(1)
})

test('the same key for something else is refused; another user has keys of his own', async () => {
  const key = 'a:b'
  await post({ key, user: 'x' })
  for (const other of [{ body: '{"n":2}' }, { path: '/refunds' }, { path: '/orders?n=2' }]) {
    const response = await post({ key, user: 'x', ...other })
    expect([response.status, await codeOf(response)]).toEqual([422, 'other_body'])
  }
  expect((await post({ key, user: 'y', body: '{"n":2}' })).status).toBe(201)
  expect((await post({ key: 'b', user: 'x:a', body: '{"n":2}' })).status).toBe(201)
  expect(runs).toBe(3)
})

test.each([undefined, '', 'a b', 'clé', 'a'.repeat(256)])('the key %j is refused', async (key) => {
  const response = await post({ ...(key !== undefined && { key }) })
  expect([response.status, await codeOf(response), runs]).toEqual([400, 'invalid_input', 0])
})

test('a body nested deeper than it can be written again is refused', async () => {
  const body = '['.repeat(45_000) + ']'.repeat(45_000)
  const response = await post({ key: randomUUID(), body })
  expect([response.status, await codeOf(response), runs]).toEqual([400, 'invalid_input', 0])
})

test('a refusal is kept, a failure is not', async () => {
  const [refused, failed] = [randomUUID(), randomUUID()]
  route = async () => {
    throw new AppError('too_dear', 402, 'Too dear.')
  }
  expect((await post({ key: refused })).status).toBe(402)
  expect(await told(await post({ key: refused }))).toMatchObject({
    status: 402,
    replayed: 'true',
    type: expect.stringContaining('application/problem+json'),
  })
  expect(runs).toBe(1)
  route = async () => {
    throw new Error('a bug')
  }
  const response = await post({ key: failed })
  expect([response.status, await codeOf(response)]).toEqual([500, 'internal'])
  route = (_req, res) => void res.status(204).end()
  expect(await told(await post({ key: failed }))).toMatchObject({ status: 204, replayed: null })
  expect(await told(await post({ key: failed }))).toMatchObject({ status: 204, replayed: 'true', text: '' })
})

test.each([401, 408, 409, 425, 429])(
  'an answer of %i is of the moment: it is sent as it is, and not kept',
  async (status) => {
    const key = randomUUID()
    route = (_req, res) => void res.status(status).set('Retry-After', '7').json({})
    for (const run of [1, 2]) {
      const answer = await post({ key })
      expect([answer.status, answer.headers.get('retry-after'), runs]).toEqual([status, '7', run])
    }
    route = (_req, res) => void res.status(201).json({ run: runs })
    expect(await told(await post({ key }))).toMatchObject({ status: 201, replayed: null })
    expect(await told(await post({ key }))).toMatchObject({ status: 201, replayed: 'true' })
  },
)

test('bytes written in pieces are replayed as they were; of a large answer the status is', async () => {
  const [pieces, large] = [randomUUID(), randomUUID()]
  route = (_req, res) => {
    res.type('application/octet-stream')
    res.write(Buffer.from([1, 2]))
    res.end('ж')
  }
  for (const _ of [1, 2]) {
    const bytes = Buffer.from(await (await post({ key: pieces })).arrayBuffer())
    expect(bytes).toEqual(Buffer.from([1, 2, 0xd0, 0xb6]))
  }
  route = (_req, res) => void res.status(201).send('x'.repeat(50_000))
  expect((await told(await post({ key: large }))).text).toHaveLength(50_000)
  expect(await told(await post({ key: large }))).toMatchObject({ status: 201, replayed: 'true', text: '' })
})

test('a route that never answers is given up, and its late answer goes nowhere', async () => {
  const key = randomUUID()
  let goOn = () => {}
  route = async (_req, res) => {
    await new Promise<void>((resolve) => {
      goOn = resolve
    })
    res.json({ late: true })
  }
  const asked = post({ key })
  await eventually(() => expect(rings.size).toBeGreaterThan(0))
  for (const ring of rings) ring()
  const response = await asked
  expect([response.status, await codeOf(response)]).toEqual([503, 'timed_out'])
  goOn()
  expect((await post({ key })).status).toBe(409) // its lease lasts until its time ends
})
