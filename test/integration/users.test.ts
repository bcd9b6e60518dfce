// The user of a request, for any feature's route: the session is loaded when the route asks, and not before.
import { Router } from 'express'
import { features } from '../../src/app.ts'
import type { State } from '../../src/core/state/state.ts'
import { type Context, defineFeature } from '../../src/feature.ts'
import type { Installed } from '../../src/host/wiring.ts'
import { sendCached } from '../../src/http/cached-response.ts'
import { endpoint } from '../../src/http/parse.ts'
import { startApp, type TestApp } from '../helpers/app.ts'
import { BOT_TOKEN } from '../helpers/fake-telegram.ts'
import { signWidget, widgetFields } from '../helpers/telegram-signer.ts'
import { type Visitor, visit } from '../helpers/visitor.ts'

const asking = defineFeature({
  name: 'asking',
  setup({ user, requireUser, cache }) {
    const routes = Router()
    endpoint(routes, '/asking/silent', { get: (_req, res) => void res.json({}) })
    endpoint(routes, '/asking/user', {
      async get(req, res) {
        const [first, again] = await Promise.all([user(req), user(req)])
        res.json({ id: first?.id ?? null, isSame: first === again })
      },
    })
    endpoint(routes, '/asking/cached', {
      async get(req, res) {
        await requireUser(req)
        const policy = { staleMs: 1_000, parse: (json: unknown) => json as object }
        sendCached(req, res, await cache.getOrLoad('asking', policy, async () => ({})))
      },
    })
    endpoint(routes, '/asking/public', {
      async get(req, res) {
        await user(req)
        res.set('Cache-Control', 'public, max-age=60').json({})
      },
      async post(req, res) {
        res.json({ body: req.body, id: (await user(req))?.id ?? null })
      },
    })
    return { routes }
  },
})

let reads = 0
/** Our features, where each session that is read counts. */
const counting = features.map((feature): Installed => {
  if (feature.name !== 'sessions') return feature
  return {
    ...feature,
    setup(context: Context, wiring) {
      const { state } = context
      const counted: State = {
        ...state,
        read(key) {
          reads += 1
          return state.read(key)
        },
      }
      return feature.setup({ ...context, state: counted } as never, wiring)
    },
  }
})

let app: TestApp
let anna: Visitor
beforeAll(async () => {
  app = await startApp({ REDIS_URL: 'off', TELEGRAM_BOT_TOKEN: BOT_TOKEN }, [...counting, asking])
  anna = visit(app)
  await anna.post('/api/auth/telegram', await signWidget(widgetFields(), BOT_TOKEN))
})
afterAll(async () => {
  await app.close()
})
beforeEach(() => {
  reads = 0
})

test('a route that does not ask reads no session and sets no cookie', async () => {
  const { headers } = await anna.get('/asking/silent')
  expect([headers.getSetCookie(), headers.get('cache-control'), reads]).toEqual([[], null, 0])
})

test('a route that asks gets the user, prolongs the session, and its answer is private', async () => {
  const answer = await anna.get('/asking/user')
  expect(await answer.json()).toEqual({ id: 'telegram:42', isSame: true })
  expect(answer.headers.get('cache-control')).toBe('private, no-store')
  expect([answer.headers.getSetCookie().length, reads]).toEqual([1, 1])
})

test('a visitor without a cookie is nobody, and gets none', async () => {
  const answer = await visit(app).get('/asking/user')
  expect(await answer.json()).toEqual({ id: null, isSame: true })
  expect(answer.headers.get('cache-control')).toBe('private, no-store')
  expect([answer.headers.getSetCookie(), reads]).toEqual([[], 0])
})

test('what is cached for all is private where the user was asked for, unless the route says otherwise', async () => {
  expect((await visit(app).get('/asking/cached')).status).toBe(401)
  expect((await anna.get('/asking/cached')).headers.get('cache-control')).toBe('private, no-cache')
  expect((await anna.get('/asking/public')).headers.get('cache-control')).toBe('public, max-age=60')
})

test('a session that ended is nobody’s', async () => {
  const boris = visit(app)
  await boris.post('/api/auth/telegram', await signWidget(widgetFields({ id: '43' }), BOT_TOKEN))
  const cookies = new Map(boris.cookies)
  await boris.post('/api/logout')
  for (const [name, value] of cookies) (boris.cookies as Map<string, string>).set(name, value)
  expect(await (await boris.get('/asking/user')).json()).toMatchObject({ id: null })
})

describe('a form', () => {
  const post = (headers: Record<string, string>) =>
    app.get('/asking/public', { method: 'POST', body: new URLSearchParams({ a: '1', b: 'x y' }), headers })

  test.each<[string, () => Record<string, string>]>([
    ['by what browsers say', () => ({ 'sec-fetch-site': 'same-origin' })],
    ['by its origin, in older ones', () => ({ origin: app.url })],
  ])('of our own pages is accepted: %s', async (_name, headers) => {
    const answer = await post(headers())
    expect(await answer.json()).toEqual({ body: { a: '1', b: 'x y' }, id: null })
  })

  test.each<[string, Record<string, string>, number]>([
    ['of another site', { 'sec-fetch-site': 'cross-site' }, 403],
    ['of another origin', { origin: 'https://evil.example' }, 403],
    ['of a frame without an origin', { origin: 'null' }, 403],
    ['of nobody knows whom', {}, 415],
    ['typed into the address bar', { 'sec-fetch-site': 'none' }, 415],
  ])('%s is refused', async (_name, headers, status) => {
    expect((await post(headers)).status).toBe(status)
  })

  test('of too many fields, or too large, is refused', async () => {
    const send = (body: string) =>
      app.get('/asking/public', {
        method: 'POST',
        body,
        headers: { 'content-type': 'application/x-www-form-urlencoded', 'sec-fetch-site': 'same-origin' },
      })
    expect((await send('a=1&'.repeat(300))).status).toBe(400)
    expect((await send(`a=${'x'.repeat(120_000)}`)).status).toBe(413)
  })
})
