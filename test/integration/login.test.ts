// Logging in over HTTP in each of the three ways, with the real app and a Telegram of our own; and what is refused.
import { PATIENCE, startApp, type TestApp } from '../helpers/app.ts'
import { type BadToken, BOT_TOKEN, type FakeTelegram, startFakeTelegram } from '../helpers/fake-telegram.ts'
import { startRedis } from '../helpers/redis-server.ts'
import {
  initDataFields,
  seconds,
  signInitData,
  signWidget,
  widgetFields,
} from '../helpers/telegram-signer.ts'
import { type Visitor, visit } from '../helpers/visitor.ts'

const ANNA = 'telegram:42'
let telegram: FakeTelegram
let app: TestApp
beforeAll(async () => {
  telegram = await startFakeTelegram()
  app = await startApp({ REDIS_URL: 'off', ...telegram.env })
})
afterAll(async () => {
  await app.close()
  await telegram.close()
})
afterEach(() => Object.assign(telegram, { broken: undefined, token: undefined, denies: false }))

// Each login differs in what is signed, as Telegram's do by their time: this one makes many in a second.
let logins = 0
const once = () => {
  logins += 1
  return { query_id: `q${logins}` }
}
const initData = (extra = {}) => signInitData(initDataFields({ ...once(), ...extra }), BOT_TOKEN)
const widget = (extra = {}) => signWidget(widgetFields({ ...once(), ...extra }), BOT_TOKEN)

/** Through Telegram and back to the callback, which is not asked yet. */
async function callbackOf(visitor: Visitor, query = ''): Promise<string> {
  const start = await visitor.get(`/api/auth/telegram/start${query}`)
  expect([start.status, start.headers.get('cache-control')]).toEqual([303, 'no-store'])
  const agreed = await fetch(start.headers.get('location') ?? '', { redirect: 'manual' })
  return agreed.headers.get('location') ?? ''
}

/** As a page with Telegram's button asks for what it puts into its address. */
async function attemptOf(visitor: Visitor): Promise<string> {
  const response = await visitor.post('/api/auth/telegram/attempt')
  expect([response.status, response.headers.get('cache-control')]).toEqual([201, 'no-store'])
  return ((await response.json()) as { attempt: string }).attempt
}

async function expectRefused(response: Response): Promise<void> {
  expect(response.status).toBe(401)
  expect(response.headers.get('content-type')).toContain('application/problem+json')
  expect(await response.json()).toEqual({
    type: 'about:blank',
    title: 'Unauthorized',
    status: 401,
    code: 'login_refused',
    detail: expect.any(String),
    requestId: expect.any(String),
  })
}

describe('one user, three ways', () => {
  test('OpenID Connect', async () => {
    const visitor = visit(app)
    const back = await visitor.get(await callbackOf(visitor))
    expect([back.status, back.headers.get('location')]).toEqual([303, '/account'])
    expect(await visitor.userId()).toBe(ANNA)
    expect([...visitor.cookies.keys()]).toEqual(['sid']) // the login's own is gone
    expect(visitor.setCookies.get('sid')).toMatch(/HttpOnly.*SameSite=Lax/)
  })

  test('a Mini App', async () => {
    const visitor = visit(app)
    const response = await visitor.post('/api/auth/telegram/webapp', { initData: await initData() })
    expect([response.status, response.headers.get('cache-control')]).toEqual([200, 'no-store'])
    expect(await response.json()).toEqual({
      user: { id: ANNA, name: 'Anna Smirnova', username: 'anna', language: 'ru' },
    })
    expect(await visitor.userId()).toBe(ANNA)
  })

  test('the widget, by an address and by a script', async () => {
    const visitor = visit(app)
    const query = new URLSearchParams({ ...(await widget()), attempt: await attemptOf(visitor) })
    const byAddress = await visitor.get(`/api/auth/telegram?${query}`)
    expect([byAddress.status, byAddress.headers.get('location')]).toEqual([303, '/account'])
    expect(byAddress.headers.get('referrer-policy')).toBe('no-referrer')
    expect(await visitor.userId()).toBe(ANNA)
    const other = visit(app)
    const fields = await widget()
    const byScript = await other.post('/api/auth/telegram', {
      ...fields,
      id: Number(fields.id),
      auth_date: Number(fields.auth_date),
    })
    expect([byScript.status, await byScript.json()]).toMatchObject([200, { user: { id: ANNA } }])
    expect(await other.userId()).toBe(ANNA)
  })

  test('all of them are devices of the same user', async () => {
    const visitor = visit(app)
    await visitor.post('/api/auth/telegram/webapp', { initData: await initData() })
    const { sessions } = (await (await visitor.get('/api/sessions')).json()) as { sessions: object[] }
    expect(sessions).toHaveLength(5)
  })
})

describe('a login works once', () => {
  test('initData, also in another order, and by another visitor', async () => {
    const data = await initData()
    expect((await visit(app).post('/api/auth/telegram/webapp', { initData: data })).status).toBe(200)
    await expectRefused(await visit(app).post('/api/auth/telegram/webapp', { initData: data }))
    const reordered = data.split('&').reverse().join('&')
    await expectRefused(await visit(app).post('/api/auth/telegram/webapp', { initData: reordered }))
    const respelled = data.replace('hash=', '%68ash=')
    await expectRefused(await visit(app).post('/api/auth/telegram/webapp', { initData: respelled }))
  })

  test('of many at the same moment one logs in', async () => {
    const data = await initData()
    const all = await Promise.all(
      Array.from({ length: 8 }, () => visit(app).post('/api/auth/telegram/webapp', { initData: data })),
    )
    expect(all.map(({ status }) => status).sort()).toEqual([200, ...Array(7).fill(401)])
  })

  test('the same user may reload a Mini App; without the session, or as another user, it is a replay', async () => {
    const visitor = visit(app)
    const data = await initData()
    await visitor.post('/api/auth/telegram/webapp', { initData: data })
    const cookie = visitor.cookies.get('sid')
    expect((await visitor.post('/api/auth/telegram/webapp', { initData: data })).status).toBe(200)
    expect(visitor.cookies.get('sid')).toBe(cookie)
    const old = await initData({ auth_date: seconds(Date.now() - 3_600_000) })
    expect((await visitor.post('/api/auth/telegram/webapp', { initData: old })).status).toBe(200)
    const user = JSON.stringify({ id: 43, first_name: 'Boris' })
    const boris = visit(app)
    await boris.post('/api/auth/telegram/webapp', { initData: await initData({ user }) })
    await expectRefused(await boris.post('/api/auth/telegram/webapp', { initData: data }))
    expect(await boris.userId()).toBe('telegram:43')
    await visitor.post('/api/logout')
    await expectRefused(await visitor.post('/api/auth/telegram/webapp', { initData: data }))
  })

  test('the widget, whichever way it comes', async () => {
    const fields = await widget()
    expect((await visit(app).post('/api/auth/telegram', fields)).status).toBe(200)
    await expectRefused(await visit(app).post('/api/auth/telegram', fields))
    const visitor = visit(app)
    const query = new URLSearchParams({ ...fields, attempt: await attemptOf(visitor) })
    await expectRefused(await visitor.get(`/api/auth/telegram?${query}`))
  })

  test('a callback, also for whoever kept the cookie', async () => {
    const visitor = visit(app)
    const callback = await callbackOf(visitor)
    const kept = new Map(visitor.cookies)
    expect((await visitor.get(callback)).status).toBe(303)
    const thief = visit(app)
    for (const [name, value] of kept) (thief.cookies as Map<string, string>).set(name, value)
    await expectRefused(await thief.get(callback))
  })
})

test('what was used before an outage of Redis is used during it, and the other way round', async () => {
  const redis = await startRedis()
  const alone = await startApp({ REDIS_URL: redis.url, ...PATIENCE, ...telegram.env })
  try {
    await alone.untilStatus('redis')
    const [before, during] = [await initData(), await initData()]
    const callback = visit(alone)
    const address = await callbackOf(callback)
    expect((await visit(alone).post('/api/auth/telegram/webapp', { initData: before })).status).toBe(200)
    await redis.kill()
    await expectRefused(await visit(alone).post('/api/auth/telegram/webapp', { initData: before }))
    expect((await visit(alone).post('/api/auth/telegram/webapp', { initData: during })).status).toBe(200)
    expect((await callback.get(address)).status).toBe(303) // a login under way is in its browser
    expect(await callback.userId()).toBe(ANNA)
    await redis.start()
    await alone.untilStatus('redis')
    for (const used of [before, during]) {
      await expectRefused(await visit(alone).post('/api/auth/telegram/webapp', { initData: used }))
    }
    expect(await callback.userId()).toBe(ANNA)
  } finally {
    await alone.close()
    await redis.stop()
  }
})

describe('refused with one code, whatever the reason', () => {
  test.each<[string, () => Promise<string>]>([
    ['forged', async () => (await initData()).replace('Anna', 'Anne')],
    ['truncated', async () => (await initData()).slice(0, -1)],
    ['cut in half', async () => (await initData()).slice(0, 60)],
    ['late', () => initData({ auth_date: seconds(Date.now() - 302_000) })],
    ['early', () => initData({ auth_date: seconds(Date.now() + 90_000) })],
    ['with a field twice', async () => `${await initData()}&auth_date=${seconds()}`],
    ['with a field more', async () => `admin=1&${await initData()}`],
    ['of another bot', () => signInitData(initDataFields(), `${BOT_TOKEN}x`)],
    ['empty', async () => ''],
    ['not initData at all', async () => '%%%&&&==='],
  ])('initData that is %s', async (_name, make) => {
    const visitor = visit(app)
    await expectRefused(await visitor.post('/api/auth/telegram/webapp', { initData: await make() }))
    expect(await visitor.userId()).toBeUndefined()
  })

  test.each<[string, () => Promise<Record<string, string>>]>([
    ['forged', async () => ({ ...(await widget()), id: '43' })],
    ['truncated', async () => ({ ...(await widget()), hash: '00' })],
    ['late', () => widget({ auth_date: seconds(Date.now() - 302_000) })],
    ['early', () => widget({ auth_date: seconds(Date.now() + 90_000) })],
    ['of another bot', () => signWidget(widgetFields(), `${BOT_TOKEN}x`)],
    ['empty', async () => ({})],
  ])('a widget login that is %s', async (_name, make) => {
    const fields = await make()
    await expectRefused(await visit(app).post('/api/auth/telegram', fields))
    const visitor = visit(app)
    const query = new URLSearchParams({ ...fields, attempt: await attemptOf(visitor) })
    await expectRefused(await visitor.get(`/api/auth/telegram?${query}`))
  })

  test('a widget login with a field twice', async () => {
    const query = `${new URLSearchParams(await widget())}&id=42`
    await expectRefused(await visit(app).get(`/api/auth/telegram?${query}`))
  })

  test('a widget login with a field that parsers like to lose', async () => {
    const body = JSON.stringify(await widget()).replace('{', '{"__proto__":"x",')
    await expectRefused(await visit(app).post('/api/auth/telegram', JSON.parse(body)))
  })

  test.each<BadToken>(['wrong nonce', 'wrong audience', 'expired', 'forged'])(
    'an ID token that is bad (%s)',
    async (bad) => {
      telegram.token = bad
      const visitor = visit(app)
      await expectRefused(await visitor.get(await callbackOf(visitor)))
      expect(await visitor.userId()).toBeUndefined()
    },
  )

  test('a person who says no at Telegram', async () => {
    telegram.denies = true
    const visitor = visit(app)
    await expectRefused(await visitor.get(await callbackOf(visitor)))
  })

  test('a callback in another browser, of another login, without a code, and with a cookie somebody made', async () => {
    const visitor = visit(app)
    const callback = await callbackOf(visitor)
    await expectRefused(await visit(app).get(callback))
    const other = visit(app)
    await callbackOf(other)
    await expectRefused(await other.get(callback))
    await expectRefused(await visit(app).get('/api/auth/telegram/callback'))
    await expectRefused(await visit(app).get('/api/auth/telegram/callback?code=a&code=b&state=c'))
    const [payload, mac] = (visitor.cookies.get('login') ?? '').split('.')
    const attempt = JSON.parse(Buffer.from(payload ?? '', 'base64url').toString())
    const forged = Buffer.from(JSON.stringify({ ...attempt, returnTo: '//evil.example' })).toString(
      'base64url',
    )
    for (const cookie of [`${forged}.${mac}`, `${payload}.`, `${payload}`, '.', 'x.y', '%']) {
      await expectRefused(await visit(app).get(callback, { cookie: `login=${cookie}` }))
    }
    expect((await visitor.get(callback)).status).toBe(303)
  })

  test.each([{}, { initData: 5 }, [], { init: '' }])('what is no login at all is 400: %j', async (body) => {
    const response = await visit(app).post('/api/auth/telegram/webapp', body)
    expect([response.status, await response.json()]).toMatchObject([400, { code: 'invalid_input' }])
  })

  test('a login that another site’s page sends', async () => {
    const fields = await widget()
    const response = await visit(app).post('/api/auth/telegram', fields, { 'sec-fetch-site': 'cross-site' })
    expect([response.status, await response.json()]).toMatchObject([403, { code: 'cross_site' }])
  })
})

describe('a login by the widget belongs to the browser that began it', () => {
  test('what another one signed is refused, whatever the link names, and is not used up by that', async () => {
    const fields = await widget()
    const [mallory, victim, idle] = [visit(app), visit(app), visit(app)]
    const theirs = await attemptOf(mallory)
    await victim.get('/api/auth/telegram/widget') // has begun a login, too
    const own = victim.cookies.get('widget-login') ?? ''
    expect(own).toMatch(/^[\w-]{22}$/)
    expect(victim.setCookies.get('widget-login')).toMatch(/Max-Age=600;.*HttpOnly.*SameSite=Lax/)
    const signed = new URLSearchParams(fields).toString()
    const links = [
      signed,
      `${signed}&attempt=`,
      `${signed}&attempt=${theirs}`,
      `${signed}&attempt=${theirs}&attempt=${own}`,
    ]
    for (const visitor of [victim, idle])
      for (const link of links) await expectRefused(await visitor.get(`/api/auth/telegram?${link}`))
    // As the script of /login sends what it finds in its address.
    for (const visitor of [victim, idle])
      for (const attempt of ['', theirs])
        await expectRefused(await visitor.post(`/api/auth/telegram?attempt=${attempt}`, fields))
    expect(await victim.userId()).toBeUndefined()
    expect((await mallory.get(`/api/auth/telegram?${signed}&attempt=${theirs}`)).status).toBe(303)
    expect(mallory.cookies.has('widget-login')).toBe(false)
  })

  test('two tabs begin one login; over HTTPS its cookie is this host’s alone', async () => {
    const visitor = visit(app, { https: true })
    const start = await visitor.get('/api/auth/telegram/widget?lang=ru')
    const cookie = visitor.setCookies.get('__Host-widget-login') ?? ''
    expect(cookie).toMatch(/Secure/)
    const back = new URL(new URL(start.headers.get('location') ?? '').searchParams.get('return_to') ?? '')
    expect([back.pathname, back.searchParams.get('lang')]).toEqual(['/login', 'ru'])
    expect(await attemptOf(visitor)).toBe(back.searchParams.get('attempt'))
    const attempt = back.searchParams.get('attempt')
    expect((await visitor.post(`/api/auth/telegram?attempt=${attempt}`, await widget())).status).toBe(200)
  })
})

test('names of Telegram’s are shown without what turns text around or is not seen', async () => {
  const visitor = visit(app)
  const names = { first_name: 'Anna\u202Etxt\u0000', last_name: '\u200B', username: 'anna' }
  const user = JSON.stringify({ id: 42, ...names })
  const response = await visitor.post('/api/auth/telegram/webapp', { initData: await initData({ user }) })
  expect(await response.json()).toMatchObject({ user: { name: 'Annatxt' } })
})

describe('the way back', () => {
  test.each([
    ['/account?lang=ru', '/account?lang=ru'],
    ['/', '/'],
    ['//evil.example', '/account'],
    ['/\\evil.example', '/account'],
    ['https://evil.example/', '/account'],
    ['javascript:alert(1)', '/account'],
  ])('of return=%s is %s', async (given, path) => {
    const visitor = visit(app)
    const callback = await callbackOf(visitor, `?return=${encodeURIComponent(given)}`)
    expect((await visitor.get(callback)).headers.get('location')).toBe(path)
  })
})

describe('over HTTPS', () => {
  test('cookies are for this host alone, and that of a Mini App works in Telegram’s frame', async () => {
    const visitor = visit(app, { https: true })
    const callback = await callbackOf(visitor)
    expect(callback).toMatch(/^https:/)
    expect(visitor.setCookies.get('__Host-login')).toMatch(
      /Max-Age=600; Path=\/;.*HttpOnly; Secure; SameSite=Lax$/,
    )
    expect((await visitor.get(callback)).status).toBe(303)
    expect(visitor.setCookies.get('__Host-sid')).toMatch(/Secure; SameSite=Lax$/)
    const framed = visit(app, { https: true })
    await framed.post('/api/auth/telegram/webapp', { initData: await initData() })
    const cookie = framed.setCookies.get('__Host-sid') ?? ''
    for (const part of ['HttpOnly', 'Secure', 'SameSite=None', 'Partitioned']) expect(cookie).toContain(part)
    expect(await framed.userId()).toBe(ANNA)
  })

  test('only the page of the Mini App may stand in a frame, and only in Telegram’s', async () => {
    const page = await app.get('/login/webapp')
    expect(page.headers.get('content-security-policy')).toContain(
      'frame-ancestors https://web.telegram.org https://*.telegram.org',
    )
    expect(page.headers.get('content-security-policy')).toContain("default-src 'self'")
    expect(page.headers.get('x-frame-options')).toBeNull()
    expect(await page.text()).not.toContain('telegram.org/js')
    for (const path of ['/login', '/account', '/']) {
      const other = await app.get(path)
      expect(other.headers.get('content-security-policy')).toContain("frame-ancestors 'none'")
    }
  })
})

describe('when Telegram fails', () => {
  test.each(['/token', '/.well-known/jwks.json'])('at %s it is 503, and then works again', async (path) => {
    const fresh = await startApp({ REDIS_URL: 'off', ...telegram.env })
    try {
      const visitor = visit(fresh)
      const callback = await callbackOf(visitor)
      telegram.broken = { path, how: 500 }
      const response = await visitor.get(callback)
      expect([response.status, response.headers.get('retry-after')]).toEqual([503, '5'])
      expect(await response.json()).toMatchObject({ code: 'telegram_unavailable' })
      telegram.broken = undefined
      expect((await visitor.get(await callbackOf(visitor))).status).toBe(303)
    } finally {
      await fresh.close()
    }
  })

  test('people get the page, with the reason and a way to try again', async () => {
    const html = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8', 'accept-language': 'ru' }
    const failing = await startFakeTelegram()
    const alone = await startApp({ REDIS_URL: 'off', ...failing.env })
    try {
      await failing.close()
      const down = await visit(alone).get('/api/auth/telegram/start', html)
      expect([down.status, down.headers.get('retry-after')]).toEqual([503, '5'])
      expect(await down.text()).toContain('Telegram сейчас не отвечает')
      expect(alone.lines.some((line) => JSON.stringify(line).includes('login failed'))).toBe(true)
      expect(JSON.stringify(alone.lines)).not.toContain(failing.env.TELEGRAM_CLIENT_SECRET)
    } finally {
      await alone.close()
    }
  })
})

describe('a login that Telegram sends back, and that is refused', () => {
  const html = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8', 'accept-language': 'en' }
  /** Where the browser is led, and what it reads there. */
  async function ledTo(visitor: Visitor, callback: string): Promise<[string, string]> {
    const answer = await visitor.get(callback, html)
    expect([answer.status, answer.headers.get('cache-control')]).toEqual([303, 'no-store'])
    const location = answer.headers.get('location') ?? ''
    return [location, await (await visitor.get(location, html)).text()]
  }
  const reasons = (from: number) => app.lines.slice(from).flatMap(({ fields }) => fields.reason ?? [])

  test('leads to /login with the reason, and on to where it was to lead', async () => {
    const visitor = visit(app)
    telegram.denies = true
    const denied = await callbackOf(visitor, '?return=/x%3Fy%3D1')
    const [location, page] = await ledTo(visitor, denied)
    expect(location).toBe('/login?notice=declined&return=%2Fx%3Fy%3D1')
    expect(page).toContain('You said no at Telegram')
    expect(page).toContain('start?return=%2Fx%3Fy%3D1')
    const [again] = await ledTo(visitor, denied) // reloaded: the attempt is forgotten
    expect(again).toBe('/login?notice=expired')
    telegram.denies = false
    telegram.token = 'forged'
    expect((await ledTo(visitor, await callbackOf(visitor)))[1]).toContain('did not confirm this login')
    telegram.token = undefined
    telegram.broken = { path: '/token', how: 500 }
    expect((await ledTo(visitor, await callbackOf(visitor)))[1]).toContain('does not answer')
  })

  test('by the widget as well: used, forged, too old, of another browser', async () => {
    const good = await widget()
    const tooOld = await widget({ auth_date: seconds(Date.now() - 302_000) })
    const visitor = visit(app)
    const back = async (fields: Record<string, string>) => {
      const query = new URLSearchParams({ ...fields, attempt: await attemptOf(visitor) })
      return `/api/auth/telegram?${query}`
    }
    expect((await visit(app).post('/api/auth/telegram', good)).status).toBe(200)
    const notice = async (callback: string) => (await ledTo(visitor, callback))[0]
    expect(await notice(await back(good))).toBe('/login?notice=expired')
    expect(await notice(await back({ ...(await widget()), id: '43' }))).toBe('/login?notice=refused')
    expect(await notice(await back(tooOld))).toBe('/login?notice=refused')
    expect(await notice('/api/auth/telegram?id=1&hash=2')).toBe('/login?notice=expired')
    await expectRefused(await visitor.get(await back(good), { accept: 'application/json' }))
    await expectRefused(await visitor.get(await back(good), { accept: '*/*' }))
    expect(await visitor.userId()).toBeUndefined()
    // Somebody who came in by it, and presses the button to go back.
    const callback = await back(await widget())
    for (let i = 0; i < 2; i += 1)
      expect((await visitor.get(callback, html)).headers.get('location')).toBe('/account')
  })

  test('comes back a second time for somebody who is logged in by then: they go on', async () => {
    const visitor = visit(app)
    const callback = await callbackOf(visitor)
    expect((await visitor.get(callback, html)).headers.get('location')).toBe('/account')
    expect((await visitor.get(callback, html)).headers.get('location')).toBe('/account')
    expect(await visitor.userId()).toBe(ANNA)
  })

  test('an address that names no notice of ours shows none', async () => {
    const page = await (await app.get('/login?lang=en&notice=%3Cb%3E')).text()
    expect(page).toContain('data-words')
    expect(page).not.toContain('<b>')
  })

  test('each leaves a line with its reason, and nothing of whose it was', async () => {
    const visitor = visit(app)
    const from = app.lines.length
    telegram.token = 'expired'
    await visitor.get(await callbackOf(visitor))
    telegram.token = 'unknown key'
    await visitor.get(await callbackOf(visitor))
    telegram.token = 'wrong audience'
    await visitor.get(await callbackOf(visitor))
    telegram.token = undefined
    await visitor.get('/api/auth/telegram/callback?code=x&state=y')
    const good = await widget()
    const tooOld = await signWidget(
      widgetFields({ ...once(), auth_date: String(Number(seconds()) - 412) }),
      BOT_TOKEN,
    )
    const ahead = await signWidget(
      widgetFields({ ...once(), auth_date: String(Number(seconds()) + 90) }),
      BOT_TOKEN,
    )
    for (const fields of [{ ...good, first_name: 'Eve' }, tooOld, ahead, good, good, { id: '1' }])
      await visitor.post('/api/auth/telegram', fields)
    await visitor.post('/api/auth/telegram/webapp', { initData: `${await initData()}0` })
    expect(reasons(from)).toEqual([
      ...['token_expired', 'key_unknown', 'token_not_ours', 'no_attempt'],
      ...['signature_differs', 'too_old', 'ahead', 'used', 'not_signed', 'signature_differs'],
    ])
    const fields = app.lines.slice(from).flatMap((line) => (line.fields.reason ? [line.fields] : []))
    expect(fields.find(({ reason }) => reason === 'too_old')?.offS).toBeGreaterThanOrEqual(412)
    expect(fields.find(({ reason }) => reason === 'ahead')?.offS).toBeLessThanOrEqual(-80)
    expect(fields.at(-1)?.way).toBe('mini_app')
    const said = JSON.stringify(app.lines.slice(from))
    for (const secret of [BOT_TOKEN, good.hash ?? '', 'Smirnova', 'telegram:42', '127.0.0.1'])
      expect(said).not.toContain(secret)
  })
})

describe('what is not set up', () => {
  const problem = async (response: Response) => [response.status, await response.json()]

  test('is 501 with the names of its variables, and /login says so', async () => {
    const bare = await startApp({ REDIS_URL: 'off' })
    try {
      const visitor = visit(bare)
      const bot = [501, { code: 'not_configured', detail: expect.stringContaining('TELEGRAM_BOT_TOKEN') }]
      const client = [
        501,
        {
          code: 'not_configured',
          detail: expect.stringContaining('TELEGRAM_CLIENT_ID and TELEGRAM_CLIENT_SECRET'),
        },
      ]
      expect(await problem(await visitor.get('/api/auth/telegram?id=1'))).toMatchObject(bot)
      expect(await problem(await visitor.post('/api/auth/telegram', {}))).toMatchObject(bot)
      expect(await problem(await visitor.post('/api/auth/telegram/webapp', { initData: '' }))).toMatchObject(
        bot,
      )
      expect(await problem(await visitor.get('/api/auth/telegram/start'))).toMatchObject(client)
      expect(await problem(await visitor.get('/api/auth/telegram/callback?code=a'))).toMatchObject(client)
      const page = await (await visitor.get('/login')).text()
      for (const name of ['TELEGRAM_CLIENT_ID', 'TELEGRAM_CLIENT_SECRET', 'TELEGRAM_BOT_TOKEN']) {
        expect(page).toContain(name)
      }
      expect(page).not.toContain('/api/auth/telegram/start')
    } finally {
      await bare.close()
    }
  })

  test('does not stand in the way of what is', async () => {
    const { TELEGRAM_BOT_TOKEN = '', TELEGRAM_ISSUER = '', TELEGRAM_CLIENT_ID = '' } = telegram.env
    const half = await startApp({ REDIS_URL: 'off', TELEGRAM_BOT_TOKEN, TELEGRAM_ISSUER, TELEGRAM_CLIENT_ID })
    try {
      expect((await visit(half).post('/api/auth/telegram', await widget())).status).toBe(200)
      const page = await (await half.get('/login')).text()
      expect(page).not.toContain('/api/auth/telegram/start')
      expect(page).toContain('href="/api/auth/telegram/widget?lang=en"')
      const begun = await visit(half).get('/api/auth/telegram/widget')
      const there = `${telegram.url}/auth?bot_id=${BOT_TOKEN.split(':')[0]}&origin=`
      expect(begun.headers.get('location')).toContain(there)
      expect(page).not.toContain(BOT_TOKEN)
    } finally {
      await half.close()
    }
  })
})

describe('the pages', () => {
  test('/account is for its user; everybody else is sent to /login', async () => {
    const nobody = await visit(app).get('/account?lang=ru')
    expect([nobody.status, nobody.headers.get('location')]).toEqual([303, '/login?lang=ru'])
    const user = JSON.stringify({ id: 77, first_name: '<b>Вера</b>' })
    const [here, there] = [visit(app), visit(app)]
    for (const visitor of [here, there]) {
      await visitor.post(
        '/api/auth/telegram/webapp',
        { initData: await initData({ user }) },
        { 'user-agent': '' },
      )
    }
    const page = await (await here.get('/account')).text()
    expect(page).toContain('&lt;b&gt;Вера&lt;/b&gt;')
    expect(page.match(/<li[ >]/g)).toHaveLength(2)
    const [action = ''] = /\/account\/revoke\?[^"]+/.exec(page) ?? []
    const revoked = await here.post(action.replaceAll('&amp;', '&'))
    expect([revoked.status, revoked.headers.get('location')]).toEqual([303, '/account?lang=en'])
    expect([await here.userId(), await there.userId()]).toEqual(['telegram:77', undefined])
    expect((await here.post(action.replaceAll('&amp;', '&'))).status).toBe(303) // it is gone: nothing to do
    await there.post('/api/auth/telegram/webapp', { initData: await initData({ user }) })
    await here.post('/account/revoke-others')
    expect([await here.userId(), await there.userId()]).toEqual(['telegram:77', undefined])
    await here.post('/account/logout')
    expect(await here.userId()).toBeUndefined()
    expect((await here.post('/account/logout')).status).toBe(303)
  })

  test('nobody revokes what is another user’s', async () => {
    const [anna, eve] = [visit(app), visit(app)]
    await anna.post('/api/auth/telegram/webapp', { initData: await initData() })
    const user = JSON.stringify({ id: 99, first_name: 'Eve' })
    await eve.post('/api/auth/telegram/webapp', { initData: await initData({ user }) })
    const { sessions } = (await (await anna.get('/api/sessions')).json()) as { sessions: { id: string }[] }
    for (const { id } of sessions) await eve.post(`/account/revoke?id=${id}`)
    expect(await anna.userId()).toBe(ANNA)
    const elsewhere = await anna.post('/account/logout', undefined, { 'sec-fetch-site': 'cross-site' })
    expect(elsewhere.status).toBe(403)
    expect(await anna.userId()).toBe(ANNA)
  })

  test('/login speaks the language of the browser, or the one that is asked for', async () => {
    const visitor = visit(app)
    const russian = await visitor.get('/login', { 'accept-language': 'ru,en;q=0.5' })
    expect([russian.headers.get('content-language'), russian.headers.get('cache-control')]).toEqual([
      'ru',
      'private, no-store',
    ])
    expect(await russian.text()).toContain('Войти через Telegram')
    const english = await (await visitor.get('/login?lang=en', { 'accept-language': 'ru' })).text()
    expect(english).toContain('Log in with Telegram')
    expect(english).not.toContain('older Telegram widget') // offered only when asked for
    expect(english).toContain('open the Mini App')
    expect(await (await visitor.get('/login?return=/x%26y')).text()).toContain('start?return=%2Fx%26y')
    expect([...visitor.cookies]).toEqual([]) // a visitor leaves no session behind
  })
})
