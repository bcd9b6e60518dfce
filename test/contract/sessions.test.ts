// What sessions promise, wherever the state role is: in Redis, or in memory while Redis is away. Real HTTP in front.
import { randomUUID } from 'node:crypto'
import type { SessionData } from 'express-session'
import { ABSOLUTE_MS, hashOf, IDLE_MS } from '../../src/features/sessions/session-record.ts'
import { createSessionRecords } from '../../src/features/sessions/session-records.ts'
import { createSessionStore } from '../../src/features/sessions/session-store.ts'
import { DAY, HOUR, MINUTE } from '../../src/lib/time.ts'
import { createClock } from '../helpers/clock.ts'
import { type Everywhere, openEverywhere, openReady, places } from '../helpers/everywhere.ts'
import { createRandom } from '../helpers/random.ts'
import { createVisitor, type SessionsApp, startSessions, type Visitor } from '../helpers/sessions-app.ts'
import type { TestProcess } from '../helpers/stores.ts'

const OVER_HTTPS = { 'x-forwarded-proto': 'https' }
let opened: Everywhere<TestProcess>
let second: TestProcess // on the Redis of the others

beforeAll(async () => {
  opened = await openEverywhere(openReady)
  second = await openReady({ cacheUrl: opened.redis.url, budgetMs: 2_000 })
})
afterAll(async () => {
  await Promise.all(apps.map((app) => app.close()))
  await second.close()
  await opened.close()
})

const apps: SessionsApp[] = []
/** Closed after all tests: each close leaves half a second to a last request. */
async function openSessions(options: Parameters<typeof startSessions>[0]): Promise<SessionsApp> {
  const app = await startSessions(options)
  apps.push(app)
  return app
}
const newUser = () => `test:${randomUUID()}`
const meOf = async (visitor: Visitor) => (await visitor.get('/api/me')).status
const fieldsOf = async (visitor: Visitor) =>
  ((await (await visitor.get('/test/fields')).json()) as { fields: Record<string, unknown> }).fields

describe.each(places)('Redis %s', (where) => {
  const state = () => opened.processes[where].state
  let app: SessionsApp
  beforeAll(async () => {
    app = await startSessions({ state: state() })
  })
  afterAll(() => app.close())

  describe('the store, as express-session calls it', () => {
    const clock = createClock(Date.now())
    const open = () => {
      const records = createSessionRecords({ state: state(), now: clock.now })
      const store = createSessionStore({ records, now: clock.now })
      const ask = <T>(call: (done: (error: unknown, value?: T | null) => void) => void) =>
        new Promise<T | null | undefined>((resolve, reject) =>
          call((error, value) => (error ? reject(error) : resolve(value))),
        )
      return {
        get: (id: string) => ask<SessionData>((done) => store.get(id, done)),
        set: (id: string, data: object) => ask((done) => store.set(id, data as SessionData, done)),
        touch: (id: string, data: object) =>
          ask((done) => store.touch?.(id, data as SessionData, done as () => void)),
        destroy: (id: string) => ask((done) => store.destroy(id, done)),
        all: () => ask<SessionData[]>((done) => store.all?.(done as never)),
        length: () => ask<number>((done) => store.length?.(done)),
        clear: () => ask((done) => store.clear?.(done)),
        load: (id: string) => ask<SessionData>((done) => store.load(id, done)),
      }
    }
    const cookie = { originalMaxAge: HOUR, path: '/' }

    test('what is set is read, until it is destroyed, and then it stays so', async () => {
      const [store, id] = [open(), randomUUID()]
      expect(await store.get(id)).toBeNull()
      await store.set(id, { cookie, color: 'red' })
      expect(await store.get(id)).toMatchObject({ color: 'red', cookie: { originalMaxAge: HOUR } })
      expect((await store.load(id))?.cookie.expires?.valueOf()).toBe(clock.now() + HOUR)
      await store.set(id, { cookie, size: 3 })
      expect(await store.get(id)).toEqual({ size: 3, cookie: expect.anything() })
      await store.destroy(id)
      expect(await store.get(id)).toBeNull()
      await store.set(id, { cookie, color: 'blue' })
      expect(await store.get(id)).toBeNull()
    })

    test('a session ends after its cookie’s maxAge, unless it is touched', async () => {
      const [store, touched, left] = [open(), randomUUID(), randomUUID()]
      for (const id of [touched, left]) await store.set(id, { cookie })
      clock.turn(HOUR - MINUTE)
      await store.touch(touched, (await store.get(touched)) ?? {})
      await store.touch(randomUUID(), { cookie })
      clock.turn(2 * MINUTE)
      expect(await store.get(touched)).toMatchObject({ cookie: { originalMaxAge: HOUR } })
      expect(await store.get(left)).toBeNull()
    })

    test('a maxAge that is over, or none at all', async () => {
      const [store, over, none] = [open(), randomUUID(), randomUUID()]
      await store.set(over, { cookie: { ...cookie, originalMaxAge: -1 } })
      expect(await store.get(over)).toBeNull()
      await store.set(none, { cookie: { path: '/', originalMaxAge: null }, a: 1 })
      expect((await store.get(none))?.cookie.expires).toBeNull()
      expect(await store.load(none)).toMatchObject({ a: 1 })
    })

    test('all, length and clear', async () => {
      const store = open()
      await store.clear()
      expect([await store.length(), await store.all()]).toEqual([0, []])
      const ids = [randomUUID(), randomUUID(), randomUUID()]
      for (const [n, id] of ids.entries()) await store.set(id, { cookie, n })
      await store.destroy(ids[0] ?? '')
      expect(await store.length()).toBe(2)
      const all = (await store.all()) as unknown as { n: number }[]
      expect(all.map(({ n }) => n).sort()).toEqual([1, 2])
      await store.clear()
      expect(await store.length()).toBe(0)
      expect(await store.get(ids[1] ?? '')).toBeNull()
    })

    test('what is no session counts as none', async () => {
      const [store, id] = [open(), randomUUID()]
      for (const text of ['not json', '[]', '{"createdAtMs":1}', 'null']) {
        await state().write(`session:${hashOf(id)}`, Buffer.from(text), HOUR)
        expect(await store.get(id)).toBeNull()
      }
    })
  })

  test('names from before they were cleaned are clean when they are read, and stored so with the next change', async () => {
    const visitor = createVisitor(app.url)
    const { sessionId } = (await (await visitor.logIn(newUser())).json()) as { sessionId: string }
    const change = (user: object) =>
      app.records.rewrite(hashOf(sessionId), undefined, ({ fields, ...rest }) => ({
        ...rest,
        fields: { ...fields, user: { id: 'telegram:7', name: 'Anna', ...user } },
      }))
    const me = async () => ((await (await visitor.get('/api/me')).json()) as { user: object }).user
    await change({ name: 'An\u202Ena', username: 'an\u0000na', language: 'en\u202E' })
    expect(await me()).toEqual({ id: 'telegram:7', name: 'Anna', username: 'an na' })
    await visitor.post('/test/fields', { fields: { more: true } })
    const stored = (await state().read(`session:${hashOf(sessionId)}`))?.bytes.toString()
    expect(JSON.parse(stored ?? '{}').fields).toMatchObject({ user: { name: 'Anna' }, more: true })
    expect(stored).not.toMatch(/\\u202e|\u202E/i)
    await change({ name: '\u202E\u2066' })
    expect(await me()).toEqual({ id: 'telegram:7', name: '7' })
    await change({ name: 'علی\u200Cرضا', username: 'ali', language: 'fa' })
    expect(await me()).toEqual({ id: 'telegram:7', name: 'علی\u200Cرضا', username: 'ali', language: 'fa' })
  })

  test('the key is a hash: no session’s id is in the store', async () => {
    const visitor = createVisitor(app.url)
    const { sessionId } = (await (await visitor.logIn(newUser())).json()) as { sessionId: string }
    expect(sessionId).toMatch(/^[\w-]{32}$/)
    expect(await state().read(`session:${hashOf(sessionId)}`)).toBeDefined()
    const stored = await Promise.all((await state().list('session')).map((key) => state().read(key)))
    const all =
      (await state().list('session')).join() + stored.map((version) => version?.bytes.toString()).join()
    expect(all).not.toContain(sessionId)
  })

  test('no session is stored, and no cookie sent, for a visitor who has none', async () => {
    const before = (await state().list('session')).length
    const visitor = createVisitor(app.url)
    for (const path of ['/api/me', '/api/sessions', '/test/fields']) await visitor.get(path)
    await visitor.post('/api/logout')
    expect(visitor.cookies.size).toBe(0)
    expect((await state().list('session')).length).toBe(before)
  })

  test('an id that is not known is never adopted, however well it is signed', async () => {
    const [thief, victim] = [createVisitor(app.url), createVisitor(app.url)]
    await thief.post('/test/fields', { fields: { a: 1 } })
    await thief.post('/api/logout')
    const planted = createVisitor(app.url)
    await planted.post('/test/fields', { fields: { a: 1 } })
    const [cookie] = planted.cookies.values()
    await planted.post('/api/logout')
    victim.cookies.set('sid', cookie ?? '')
    await victim.post('/test/fields', { fields: { secret: 1 } })
    expect(victim.cookies.get('sid')).not.toBe(cookie)
    planted.cookies.set('sid', cookie ?? '')
    expect(await fieldsOf(planted)).toEqual({})
  })

  test('the id changes at login; parallel requests with the old one are anonymous, and restore nothing', async () => {
    const visitor = createVisitor(app.url)
    await visitor.post('/test/fields', { fields: { basket: 'full' } })
    const [old, slow] = [visitor.twin(), visitor.twin()]
    const gate = app.gate(`login ${where}`, 1)
    const late = slow.post('/test/fields', { gate: `login ${where}`, fields: { late: true } })
    await gate.arrived
    await visitor.logIn(newUser())
    gate.open()
    expect((await late).status).toBe(200)
    expect(visitor.cookies.get('sid')).not.toBe(old.cookies.get('sid'))
    expect([await meOf(visitor), await meOf(old), await meOf(slow)]).toEqual([200, 401, 401])
    expect(await fieldsOf(old)).toEqual({})
    expect(await fieldsOf(visitor)).toMatchObject({ user: { name: expect.any(String) } })
    expect(await fieldsOf(visitor)).not.toHaveProperty('basket')
  })

  test('two logins at once from one visitor: both are logged in, the old id is not', async () => {
    const visitor = createVisitor(app.url)
    await visitor.post('/test/fields', { fields: { a: 1 } })
    const [one, other, old] = [visitor.twin(), visitor.twin(), visitor.twin()]
    await Promise.all([one.logIn(newUser()), other.logIn(newUser())])
    expect(await Promise.all([one, other, old].map(meOf))).toEqual([200, 200, 401])
  })

  test('parallel requests of one session keep each other’s fields', async () => {
    const visitor = createVisitor(app.url)
    await visitor.logIn(newUser())
    await visitor.post('/test/fields', { fields: { gone: 1, kept: 1 } })
    const gate = app.gate(`fields ${where}`, 21)
    const name = `fields ${where}`
    const requests = Array.from({ length: 20 }, (_, i) =>
      visitor.twin().post('/test/fields', { gate: name, fields: { [`field${i}`]: i } }),
    )
    requests.push(visitor.twin().post('/test/fields', { gate: name, remove: ['gone'] }))
    await gate.arrived
    gate.open()
    expect((await Promise.all(requests)).map(({ status }) => status)).toEqual(Array(21).fill(200))
    const fields = await fieldsOf(visitor)
    for (let i = 0; i < 20; i += 1) expect(fields).toHaveProperty(`field${i}`, i)
    expect(fields).toHaveProperty('kept', 1)
    expect(fields).not.toHaveProperty('gone')
  })

  test('a logout ends it for a request that is under way and changes it', async () => {
    const visitor = createVisitor(app.url)
    await visitor.logIn(newUser())
    const slow = visitor.twin()
    const gate = app.gate(`logout ${where}`, 1)
    const late = slow.post('/test/fields', { gate: `logout ${where}`, fields: { late: true } })
    await gate.arrived
    expect((await visitor.twin().post('/api/logout')).status).toBe(204)
    gate.open()
    expect((await late).status).toBe(200)
    expect([await meOf(visitor), await meOf(slow)]).toEqual([401, 401])
  })

  test('one’s own sessions: listed, one ended, the others ended, all ended', async () => {
    const id = newUser()
    const headers = { 'user-agent': 'Mozilla/5.0 (Linux; Android 15) Chrome/131.0 Mobile Safari/537.36' }
    const [phone, laptop, tablet] = [
      createVisitor(app.url, { ...headers, 'x-forwarded-for': '192.0.2.7' }),
      createVisitor(app.url),
      createVisitor(app.url),
    ]
    const stranger = createVisitor(app.url)
    for (const visitor of [phone, laptop, tablet]) await visitor.logIn(id)
    await stranger.logIn(newUser())
    const list = async (visitor: Visitor) => {
      const { sessions } = (await (await visitor.get('/api/sessions')).json()) as {
        sessions: { id: string; device: string; address: string; current: boolean }[]
      }
      return sessions
    }
    const sessions = await list(phone)
    expect(sessions).toHaveLength(3)
    const own = sessions.filter(({ current }) => current)
    expect(own).toEqual([
      {
        id: expect.stringMatching(/^[\w-]{22}$/),
        device: 'Chrome on Android',
        address: '192.0.2.7',
        createdAt: expect.any(String),
        lastSeenAt: expect.any(String),
        current: true,
      },
    ])

    expect((await stranger.delete(`/api/sessions/${own[0]?.id}`)).status).toBe(404)
    const tabletId = (await list(tablet)).find(({ current }) => current)?.id
    expect((await phone.delete(`/api/sessions/${tabletId}`)).status).toBe(204)
    expect(await Promise.all([phone, laptop, tablet].map(meOf))).toEqual([200, 200, 401])
    await tablet.logIn(id)
    const slow = phone.twin()
    expect((await phone.delete('/api/sessions?others=true')).status).toBe(204)
    expect(await Promise.all([phone, slow, laptop, tablet, stranger].map(meOf))).toEqual([
      200, 200, 401, 401, 200,
    ])
    await tablet.logIn(id)
    expect(await list(phone)).toHaveLength(2)
    expect((await phone.delete('/api/sessions')).status).toBe(204)
    expect(phone.cookies.size).toBe(0)
    expect(await Promise.all([phone, slow, laptop, tablet, stranger].map(meOf))).toEqual([
      401, 401, 401, 401, 200,
    ])
    await phone.logIn(id)
    expect(await meOf(phone)).toBe(200)
  })

  test('logging out everywhere ends logins of the same millisecond, and those by a clock that is ahead', async () => {
    const clock = createClock(Date.now() + HOUR) // ahead of the machine that revokes
    const ahead = await openSessions({ state: state(), now: clock.now })
    const id = newUser()
    const [one, other] = [createVisitor(ahead.url), createVisitor(app.url)]
    await one.logIn(id)
    await other.logIn(id)
    await other.delete('/api/sessions')
    expect([await meOf(one), await meOf(other)]).toEqual([401, 401])
    await other.logIn(id)
    expect(await meOf(other)).toBe(200)
  })

  test('a revocation alone ends every session up to it, and no later login', async () => {
    const clock = createClock(Date.now())
    const timed = await openSessions({ state: state(), now: clock.now })
    const id = newUser()
    const [before, after] = [createVisitor(timed.url), createVisitor(timed.url)]
    await before.logIn(id)
    expect(await meOf(before)).toBe(200)
    await timed.records.revoke(id, clock.now())
    await after.logIn(id) // in the same millisecond
    expect([await meOf(before), await meOf(after)]).toEqual([401, 200])
    await timed.records.revoke(id, clock.now() - MINUTE)
    expect(await meOf(after)).toBe(200)
  })

  test('a logout everywhere revokes up to the latest login, whose clock may be ahead', async () => {
    const clock = createClock(Date.now() + HOUR)
    const ahead = await openSessions({ state: state(), now: clock.now })
    const id = newUser()
    const visitor = createVisitor(ahead.url)
    await visitor.logIn(id)
    await createVisitor(app.url, {}, new Map(visitor.cookies)).delete('/api/sessions')
    expect(await state().marked(`revoked:${id}`)).toBe(clock.now())
  })

  test('a session that logs out the others while another of its requests is being read stays', async () => {
    const visitor = createVisitor(app.url)
    const { sessionId } = (await (await visitor.logIn(newUser())).json()) as { sessionId: string }
    let meanwhile: (() => Promise<unknown>) | undefined = () => visitor.delete('/api/sessions?others=true')
    const interrupted = {
      ...state(),
      async marked(key: string) {
        const act = meanwhile
        meanwhile = undefined
        await act?.()
        return state().marked(key)
      },
    }
    const records = createSessionRecords({ state: interrupted })
    expect(await records.find(hashOf(sessionId))).toBeDefined()
    expect(meanwhile).toBeUndefined()
  })

  test.each(['/api/sessions', '/api/sessions?others=true', '/api/sessions/another'])(
    'a session that is ended while its request is being read ends no other: DELETE %s',
    async (path) => {
      const id = newUser()
      const [thief, owner] = [createVisitor(app.url), createVisitor(app.url)]
      for (const visitor of [thief, owner]) await visitor.logIn(id)
      const { sessions } = (await (await owner.get('/api/sessions')).json()) as {
        sessions: { id: string; current: boolean }[]
      }
      const idOf = (isOwners: boolean) => sessions.find(({ current }) => current === isOwners)?.id ?? ''
      const name = `${where} ${path}`
      const gate = app.gate(name, 1)
      const slow = createVisitor(app.url, { 'x-gate': name }, new Map(thief.cookies))
      const late = slow.delete(path.replace('another', idOf(true)))
      await gate.arrived
      expect((await owner.delete(`/api/sessions/${idOf(false)}`)).status).toBe(204)
      gate.open()
      expect(await (await late).json()).toMatchObject({ code: 'not_logged_in', status: 401 })
      expect([await meOf(owner), await meOf(thief)]).toEqual([200, 401])
    },
  )

  test('ending ends: the current one takes its cookie along, and what is no id is told so', async () => {
    const visitor = createVisitor(app.url)
    expect((await visitor.delete('/api/sessions')).status).toBe(401)
    expect((await visitor.delete('/api/sessions?others=true')).status).toBe(401)
    await visitor.logIn(newUser())
    expect((await visitor.delete('/api/sessions/x')).status).toBe(400)
    expect((await visitor.delete('/api/sessions?others=maybe')).status).toBe(400)
    expect((await visitor.delete(`/api/sessions/${'x'.repeat(22)}`)).status).toBe(404)
    const { sessions } = (await (await visitor.get('/api/sessions')).json()) as { sessions: { id: string }[] }
    expect((await visitor.delete(`/api/sessions/${sessions[0]?.id}`)).status).toBe(204)
    expect(visitor.cookies.size).toBe(0)
    expect(await (await visitor.get('/api/me')).json()).toMatchObject({ code: 'not_logged_in', status: 401 })
  })

  test('idle for 14 days it ends; in use it lasts 90 days and no longer', async () => {
    const clock = createClock(Date.now())
    const timed = await openSessions({ state: state(), now: clock.now })
    const [idle, used] = [createVisitor(timed.url), createVisitor(timed.url)]
    for (const visitor of [idle, used]) await visitor.logIn(newUser())
    clock.turn(IDLE_MS - HOUR)
    expect(await meOf(used)).toBe(200)
    clock.turn(2 * HOUR)
    expect([await meOf(idle), await meOf(used)]).toEqual([401, 200])
    let days = 14
    for (; days < 100 && (await meOf(used)) === 200; days += 1) clock.turn(DAY)
    expect(days * DAY).toBeGreaterThan(ABSOLUTE_MS - 2 * DAY)
    expect(days * DAY).toBeLessThan(ABSOLUTE_MS + 2 * DAY)
  })

  test('being used is written once a minute', async () => {
    const clock = createClock(Date.now())
    const timed = await openSessions({ state: state(), now: clock.now })
    const visitor = createVisitor(timed.url)
    const { sessionId } = (await (await visitor.logIn(newUser())).json()) as { sessionId: string }
    const timestamp = async () => (await state().read(`session:${hashOf(sessionId)}`))?.timestamp
    const first = await timestamp()
    for (let i = 0; i < 5; i += 1) await visitor.get('/api/me')
    expect(await timestamp()).toBe(first)
    clock.turn(MINUTE)
    await visitor.get('/api/me')
    const second = await timestamp()
    expect(second).not.toBe(first)
    await visitor.get('/api/me')
    expect(await timestamp()).toBe(second)
  })

  // A thousand in all: other ones in each place.
  test('340 bad cookies: no 5xx, no session made, nobody logged in', async () => {
    const visitor = createVisitor(app.url)
    await visitor.logIn(newUser())
    const good = visitor.cookies.get('sid') ?? ''
    const before = (await state().list('session')).length
    const random = createRandom(20_261_120 + places.indexOf(where))
    const byte = () =>
      String.fromCharCode(random.pick([33, 35, 37, 43, 46, 58, 61, 64, 92, 97, 126, 195, 255]))
    const noise = () => Array.from({ length: random.below(80) }, byte).join('')
    const bad = (): string => {
      const at = random.below(good.length)
      return random.pick([
        `sid=${noise()}`,
        `sid=s%3A${noise()}`,
        `sid=s:${noise()}.${noise()}`,
        `sid=${good.slice(0, at)}${good[at] === 'x' ? 'y' : 'x'}${good.slice(at + 1)}`,
        `sid=${good.slice(0, at)}`,
        `__Host-sid=${good}`,
        `sid=${noise()}; sid=${noise()}; ${noise()}=${noise()}`,
        `sid=%00%ff${noise()};;;==;`,
        `sid=${'x'.repeat(random.below(6_000))}`,
        '__proto__=x; constructor=y; sid=__proto__',
      ])
    }
    const statuses = new Set<number>()
    for (let i = 0; i < 340; i += 20) {
      const answers = await Promise.all(
        Array.from({ length: 20 }, () => fetch(`${app.url}/api/me`, { headers: { cookie: bad() } })),
      )
      for (const { status, headers } of answers) {
        statuses.add(status)
        expect(headers.getSetCookie()).toEqual([])
      }
    }
    expect([...statuses]).toEqual([401])
    expect((await state().list('session')).length).toBe(before)
    expect(await meOf(visitor)).toBe(200)
  })
})

describe('cookies', () => {
  const cookieOf = (response: Response) => response.headers.getSetCookie()[0] ?? ''
  let app: SessionsApp
  beforeAll(async () => {
    app = await startSessions({ state: opened.processes.away.state })
  })
  afterAll(() => app.close())

  test('plain HTTP, HTTPS behind the proxy, and inside a frame', async () => {
    const logIn = (headers: Record<string, string>, inFrame: boolean) =>
      createVisitor(app.url, headers).logIn(newUser(), { inFrame })
    const [http, https, framed, framedHttp] = await Promise.all([
      logIn({}, false),
      logIn(OVER_HTTPS, false),
      logIn(OVER_HTTPS, true),
      logIn({}, true),
    ])
    const attributes = (response: Response) => cookieOf(response).replace(/=s%3A[^;]+|Expires=[^;]+; /g, '')
    expect(attributes(http)).toBe('sid; Path=/; HttpOnly; SameSite=Lax')
    expect(attributes(https)).toBe('__Host-sid; Path=/; HttpOnly; Secure; SameSite=Lax')
    expect(attributes(framed)).toBe('__Host-sid; Path=/; HttpOnly; Secure; Partitioned; SameSite=None')
    expect(attributes(framedHttp)).toBe(attributes(http))
  })

  test('each answer prolongs the cookie as it was made, and logging out takes it back as it was made', async () => {
    const visitor = createVisitor(app.url, OVER_HTTPS)
    await visitor.logIn(newUser(), { inFrame: true })
    const prolonged = cookieOf(await visitor.get('/api/me'))
    expect(prolonged).toContain('Secure; Partitioned; SameSite=None')
    const expires = Date.parse(/Expires=([^;]+)/.exec(prolonged)?.[1] ?? '')
    expect(Math.abs(expires - Date.now() - IDLE_MS)).toBeLessThan(MINUTE)
    const cleared = cookieOf(await visitor.post('/api/logout'))
    expect(cleared).toMatch(/^__Host-sid=; Path=\/; Expires=Thu, 01 Jan 1970/)
    expect(cleared).toContain('Secure; Partitioned; SameSite=None')
  })

  test('a cookie of HTTPS is none over HTTP', async () => {
    const visitor = createVisitor(app.url, OVER_HTTPS)
    await visitor.logIn(newUser())
    expect(await meOf(createVisitor(app.url, {}, visitor.cookies))).toBe(401)
    expect(await meOf(visitor)).toBe(200)
  })

  test('a page of another site changes nothing', async () => {
    const visitor = createVisitor(app.url, { ...OVER_HTTPS })
    await visitor.logIn(newUser(), { inFrame: true })
    const foreign = createVisitor(app.url, { ...OVER_HTTPS, 'sec-fetch-site': 'cross-site' }, visitor.cookies)
    expect((await foreign.post('/api/logout')).status).toBe(403)
    expect((await foreign.delete('/api/sessions')).status).toBe(403)
    expect(await meOf(visitor)).toBe(200)
  })

  test('secrets rotate: the old one is believed, the new one signs, one that is gone is not believed', async () => {
    const [old, next] = ['an old secret of 24 ch', 'a new secret of 24 ch.']
    const [before, during, after] = await Promise.all(
      [[old], [next, old], [next]].map((secrets) =>
        openSessions({ state: opened.processes.away.state, secrets }),
      ),
    )
    if (!before || !during || !after) throw new Error('unreachable')
    const visitor = createVisitor(before.url)
    await visitor.logIn(newUser())
    const signedOld = new Map(visitor.cookies)
    const rotating = createVisitor(during.url, {}, visitor.cookies)
    expect(await meOf(rotating)).toBe(200)
    expect(rotating.cookies.get('sid')).not.toBe(signedOld.get('sid'))
    expect(await meOf(createVisitor(after.url, {}, rotating.cookies))).toBe(200)
    expect(await meOf(createVisitor(after.url, {}, signedOld))).toBe(401)
  })
})

test('two processes: what one ends, the other refuses', async () => {
  const [here, there] = [
    await openSessions({ state: opened.processes.shared.state }),
    await openSessions({ state: second.state }),
  ]
  const id = newUser()
  const [one, two] = [createVisitor(here.url), createVisitor(there.url)]
  await one.logIn(id)
  await two.logIn(id)
  expect([await meOf(createVisitor(there.url, {}, one.cookies)), await meOf(two)]).toEqual([200, 200])
  expect((await two.delete('/api/sessions?others=true')).status).toBe(204)
  expect([await meOf(one), await meOf(two)]).toEqual([401, 200])
})

test.each(['/api/sessions', '/api/sessions?others=true'])(
  'two processes: a session that one ends while the other reads its request ends no other: DELETE %s',
  async (path) => {
    const [here, there] = [
      await openSessions({ state: opened.processes.shared.state }),
      await openSessions({ state: second.state }),
    ]
    const id = newUser()
    const [thief, owner] = [createVisitor(here.url), createVisitor(there.url)]
    for (const visitor of [thief, owner]) await visitor.logIn(id)
    const gate = here.gate(path, 1)
    const late = createVisitor(here.url, { 'x-gate': path }, new Map(thief.cookies)).delete(path)
    await gate.arrived
    expect((await owner.delete('/api/sessions?others=true')).status).toBe(204)
    gate.open()
    expect((await late).status).toBe(401)
    expect([await meOf(owner), await meOf(thief)]).toEqual([200, 401])
  },
)
