// samovar/express-rate-limit: the library itself with real requests, while Redis is killed, frozen and emptied.
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import express from 'express'
import { type Options, rateLimit } from 'express-rate-limit'
import { createRateLimitStore } from '../../src/adapters/express-rate-limit.ts'
import { eventually } from '../helpers/eventually.ts'
import {
  breakRedis,
  faults,
  mendRedis,
  type PackageWorld,
  soon,
  usePackageWorld,
} from '../helpers/package-world.ts'

const LIMIT = 4

const world = usePackageWorld()

type Samovar = Awaited<ReturnType<PackageWorld['open']>>

async function openApp(samovar: Samovar, options: Partial<Options> = {}) {
  const app = express()
  const store = createRateLimitStore(samovar, { name: 'test' })
  const limiter = rateLimit({
    windowMs: 600_000,
    limit: LIMIT,
    store,
    standardHeaders: 'draft-6',
    keyGenerator: ({ headers }) => String(headers['x-who']),
    ...options,
  })
  app.use(limiter)
  app.get('/fails', (_req, res) => void res.status(400).end())
  app.get('/', (_req, res) => void res.end())
  const server = app.listen(0)
  await once(server, 'listening')
  world.closeLater(async () => {
    server.closeAllConnections()
    server.close()
  })
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    limiter,
    async ask(who: string, path = '/') {
      const { status, headers } = await soon(() => fetch(origin + path, { headers: { 'x-who': who } }))
      return { status, remaining: Number(headers.get('ratelimit-remaining')) }
    },
  }
}

test.each(faults)(
  'a limit holds while Redis is %s: nobody is blocked, and nobody begins again',
  async (fault) => {
    const samovar = await world.open()
    const { ask } = await openApp(samovar)
    expect(await ask('a')).toEqual({ status: 200, remaining: 3 })
    expect(await ask('a')).toEqual({ status: 200, remaining: 2 })
    await breakRedis(world.redis, fault)
    expect(await ask('a')).toEqual({ status: 200, remaining: 1 })
    expect(await ask('a')).toEqual({ status: 200, remaining: 0 })
    expect((await ask('a')).status).toBe(429)
    expect((await ask('b')).status).toBe(200)
    await mendRedis(world.redis, fault)
    await world.untilBack(samovar)
    expect((await ask('a')).status).toBe(429)
    const other = await openApp(await world.open())
    await eventually(async () => expect((await other.ask('a')).status).toBe(429))
  },
)

test('two processes count together, also what is taken back', async () => {
  const [one, two] = [await openApp(await world.open()), await openApp(await world.open())]
  for (const { ask } of [one, two, one, two]) expect((await ask('a')).status).toBe(200)
  expect((await one.ask('a')).status).toBe(429)
  expect(await two.limiter.getKey('a')).toMatchObject({ totalHits: LIMIT })
  await one.limiter.resetKey('a')
  expect(await two.ask('a')).toEqual({ status: 200, remaining: 3 })
  expect(await one.ask('a')).toEqual({ status: 200, remaining: 2 })
})

test('requests that are not to count do not', async () => {
  const { ask, limiter } = await openApp(await world.open(), { skipSuccessfulRequests: true })
  for (let i = 0; i < 3 * LIMIT; i += 1) {
    expect((await ask('a')).status).toBe(200)
    // It is taken back once it has been answered.
    await eventually(async () => expect(await limiter.getKey('a')).toBeUndefined())
  }
  for (let i = 0; i < LIMIT; i += 1) expect((await ask('a', '/fails')).status).toBe(400)
  expect((await ask('a')).status).toBe(429)
})

test('a limit that no log can hold is refused where it is made', async () => {
  const store = createRateLimitStore(await world.open(), { name: 'much' })
  const errors: unknown[] = []
  const logger = { error: (error: unknown) => void errors.push(error), warn: () => {}, debug: () => {} }
  rateLimit({ limit: 1_001, store, logger: logger as never })
  expect(String(errors[0])).toContain('no log holds more than 1000 hits')
  // The library goes on after an error of `init`: it must not do so without a limit.
  await expect(store.increment('a')).rejects.toThrow('no log holds more than 1000 hits')
})

test('a log that is full of requests that do not count is no free pass', async () => {
  const store = createRateLimitStore(await world.open({ redis: undefined }), { name: 'full' })
  rateLimit({ limit: LIMIT, windowMs: 600_000, skipSuccessfulRequests: true, store })
  for (let i = 0; i < 1_000; i += 1) {
    await store.increment('a')
    await store.decrement('a')
  }
  expect((await store.increment('a')).totalHits).toBeGreaterThan(LIMIT)
})
