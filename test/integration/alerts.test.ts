// Alerts over HTTP, a real Redis and real SQLite: what users may do, and how a crossing reaches them.

import { Webhook } from 'standardwebhooks'
import { WebSocket } from 'ws'
import { AppError } from '../../src/errors.ts'
import { type AlertsApp, fresh, openAlertsApp } from '../helpers/alerts-app.ts'
import { createClock } from '../helpers/clock.ts'
import { eventually } from '../helpers/eventually.ts'
import { BOT_TOKEN, type FakeBotApi, startFakeBotApi } from '../helpers/fake-bot-api.ts'
import { startRedis, type TestRedis } from '../helpers/redis-server.ts'
import { startWebhookReceiver, type WebhookReceiver } from '../helpers/webhook-receiver.ts'

const TELEGRAM_LIMIT_MS = 5_000 // of a message

let redis: TestRedis
let bot: FakeBotApi
let hooks: WebhookReceiver
let app: AlertsApp
const prices = new Map<string, number>()
const asked: (readonly string[])[] = []
let isAway = false
const clock = createClock(Date.now())
let people = 0
let me: string

beforeAll(async () => {
  ;[redis, bot, hooks] = await Promise.all([startRedis(), startFakeBotApi(), startWebhookReceiver()])
  app = await openAlertsApp({
    redisUrl: redis.url,
    botUrl: bot.url,
    ca: hooks.ca,
    now: clock.now,
    async pricesOf(coins) {
      asked.push(coins)
      if (isAway) throw new AppError('prices_unavailable', 503, 'away')
      return new Map(
        coins.flatMap((coin) => (prices.has(coin) ? [[coin, fresh(prices.get(coin) ?? 0)]] : [])),
      )
    },
  })
  await eventually(() => expect(app.status()).toBe('redis'))
})
afterAll(async () => {
  await app.close()
  await Promise.all([redis.stop(), bot.close(), hooks.close()])
})
beforeEach(() => {
  people += 1
  me = String(1_000 + people)
  prices.clear()
  prices.set('bitcoin', 90)
  Object.assign(bot, { fault: undefined, asked: 0 })
  bot.chats.clear()
  bot.messages.length = 0
  hooks.received.length = 0
  hooks.status = 204
  isAway = false
})
afterEach(async () => {
  for (const { id } of (await json(await get('/api/alerts'))).alerts)
    await app.send('DELETE', `/api/alerts/${id}`, undefined, me)
})

/** What the answers of these tests have in them. */
interface Answer {
  readonly id: string
  readonly status: string
  readonly value: number
  readonly rings: number
  readonly code: string
  readonly detail: string
  readonly url: string | null
  readonly secret: string
  readonly alerts: readonly Answer[]
  readonly crossings: readonly { readonly deliveries: Readonly<Record<string, unknown>> }[]
}
const json = async (response: Response) => (await response.json()) as Answer
const get = (path: string) => app.send('GET', path, undefined, me)
const make = (body: object = {}) =>
  app.send('POST', '/api/alerts', { coin: 'bitcoin', when: 'above', value: 100, ...body }, me)
const made = async (body?: object) => json(await make(body))
const patch = (id: string, body: object) => app.send('PATCH', `/api/alerts/${id}`, body, me)
const crossings = async () => (await json(await get('/api/alerts/crossings'))).crossings
const outcome = (way: string, expected: unknown) =>
  eventually(async () => expect((await crossings())[0]?.deliveries[way]).toEqual(expected))
async function cross(price = 101) {
  prices.set('bitcoin', price)
  await app.check()
}

describe('what users may do', () => {
  test('an alert is made, read, changed and deleted', async () => {
    const response = await make({
      repeat: 'always',
      cooldownMinutes: 5,
      expiresAt: '2099-01-01T00:00:00+02:00',
    })
    expect(response.status).toBe(201)
    const alert = await json(response)
    expect(response.headers.get('location')).toBe(`/api/alerts/${alert.id}`)
    expect(response.headers.get('cache-control')).toBe('private, no-store')
    expect(alert).toEqual({
      id: expect.stringMatching(/^[\w-]{16}$/),
      coin: 'bitcoin',
      vs: 'usd',
      when: 'above',
      value: 100,
      repeat: 'always',
      cooldownMinutes: 5,
      expiresAt: '2098-12-31T22:00:00.000Z',
      notify: ['telegram', 'webhook'],
      status: 'open',
      referencePrice: null,
      rings: 0,
      lastRangAt: null,
      createdAt: new Date(clock.now()).toISOString(),
    })
    expect(await json(await get('/api/alerts'))).toEqual({ alerts: [alert] })
    expect(await json(await get(`/api/alerts/${alert.id}`))).toEqual(alert)
    const changed = await patch(alert.id, { value: 120, expiresAt: null, notify: [], paused: true })
    expect([changed.status, await json(changed)]).toEqual([
      200,
      { ...alert, value: 120, expiresAt: null, notify: [], status: 'paused' },
    ])
    expect((await app.send('DELETE', `/api/alerts/${alert.id}`, undefined, me)).status).toBe(204)
    expect((await get(`/api/alerts/${alert.id}`)).status).toBe(404)
  })

  test.each([
    ['no coin', { coin: undefined }, 'coin'],
    ['a coin that is no id', { coin: 'bit,coin' }, 'coin'],
    ['an unknown currency', { vs: 'gbp' }, 'vs: must be one of usd, eur'],
    ['an unknown direction', { when: 'near' }, 'when: must be one of above, below, changes'],
    ['no value', { value: undefined }, 'value'],
    ['a value of nothing', { value: 0 }, 'value: must be more than 0'],
    ['a value in words', { value: '100' }, 'value'],
    ['a value that is no number', { value: Number.POSITIVE_INFINITY }, 'value'],
    ['half a minute', { cooldownMinutes: 0.5 }, 'cooldownMinutes'],
    ['a day without a time', { expiresAt: '2099-01-01' }, 'expiresAt'],
    ['another way', { notify: ['pigeon'] }, 'notify'],
    ['a field that there is not', { colour: 'red' }, 'colour'],
  ])('refuses %s', async (_name, body, words) => {
    const response = await make(body)
    const { code, detail } = await json(response)
    expect([response.status, code]).toEqual([400, 'invalid_input'])
    expect(detail).toContain(words)
  })

  test.each([
    ['a coin without a price', { coin: 'no-such-coin' }, 'unknown_coin'],
    ['an end in the past', { expiresAt: '2020-01-01T00:00:00Z' }, 'expires_in_past'],
  ])('refuses %s', async (_name, body, code) => {
    const response = await make(body)
    expect([response.status, (await json(response)).code]).toEqual([422, code])
  })

  test('a body that is no JSON, an empty patch, and a method that there is not', async () => {
    const { id } = await made()
    expect((await patch(id, {})).status).toBe(400)
    expect((await patch(id, { vs: 'gbp' })).status).toBe(400)
    expect((await patch(id, { coin: 'no-such-coin' })).status).toBe(422)
    const response = await app.send('PUT', `/api/alerts/${id}`, {}, me)
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'GET, HEAD, PATCH, DELETE'])
    const text = await fetch(`${app.url}/api/alerts`, {
      method: 'POST',
      headers: { 'x-user': me, 'content-type': 'application/json' },
      body: '{',
    })
    expect(text.status).toBe(400)
  })

  test('one whose time is over is opened again only with another time', async () => {
    const { id } = await made({ expiresAt: new Date(clock.now() + 60_000).toISOString() })
    clock.turn(60_000)
    expect((await json(await get(`/api/alerts/${id}`))).status).toBe('expired')
    const refused = await patch(id, { paused: false })
    expect([refused.status, (await json(refused)).code]).toEqual([422, 'expires_in_past'])
    expect((await json(await patch(id, { paused: false, expiresAt: null }))).status).toBe('open')
  })

  test('nobody without a login, and nobody but its user', async () => {
    const { id } = await made()
    const paths = ['/api/alerts', `/api/alerts/${id}`, '/api/alerts/crossings', '/api/alerts/webhook']
    for (const path of paths) expect((await app.send('GET', path, undefined, '')).status).toBe(401)
    for (const method of ['GET', 'PATCH', 'DELETE']) {
      const response = await app.send(
        method,
        `/api/alerts/${id}`,
        method === 'PATCH' ? { value: 1 } : undefined,
        '7',
      )
      expect([method, response.status]).toEqual([method, 404])
    }
    expect((await json(await get(`/api/alerts/${id}`))).value).toBe(100)
  })

  test('a hundred and not one more, also when they are made at once', async () => {
    const answers = await Promise.all(Array.from({ length: 110 }, () => make()))
    const refused = answers.filter(({ status }) => status === 409)
    expect([answers.filter(({ status }) => status === 201).length, refused.length]).toEqual([100, 10])
    expect((await json(refused[0] as Response)).code).toBe('too_many_alerts')
    const { alerts } = await json(await get('/api/alerts'))
    expect(alerts).toHaveLength(100)
    await app.send('DELETE', `/api/alerts/${alerts[0]?.id}`, undefined, me)
    expect((await make()).status).toBe(201)
  })

  test('while there are no prices, a coin is believed and the first look comes later', async () => {
    isAway = true
    const { id } = await made({ coin: 'bitcoin' })
    await cross(101)
    isAway = false
    await app.check()
    await app.check()
    await eventually(() => expect(asked.length).toBeGreaterThan(3))
    expect((await json(await get(`/api/alerts/${id}`))).rings).toBe(0)
  })
})

describe('a crossing', () => {
  test('is told once, and the alert is done', async () => {
    const { id } = await made()
    await cross(101)
    await eventually(() => expect(bot.messages).toHaveLength(1))
    expect(bot.messages[0]).toMatchObject({ chatId: Number(me), text: 'bitcoin is above 100 USD: 101 USD' })
    await cross(90)
    await cross(105)
    await eventually(async () =>
      expect(await json(await get(`/api/alerts/${id}`))).toMatchObject({ status: 'done', rings: 1 }),
    )
    expect(bot.messages).toHaveLength(1)
    expect(await crossings()).toEqual([
      expect.objectContaining({
        id: `alert:${id}:1`,
        price: 101,
        deliveries: { page: 'sent', telegram: 'sent' },
      }),
    ])
  })

  test('leaves nothing in Redis: the records alone know that it is told', async () => {
    const { id } = await made()
    await cross(101)
    await outcome('telegram', 'sent')
    await outcome('page', 'sent')
    expect(await redis.command('KEYS', `*${id}*`)).toBe('*0\r\n')
  })

  test('of a paused alert there is none, nor of one that is paused and goes on past the line', async () => {
    const { id } = await made()
    await patch(id, { paused: true })
    await cross(101)
    await eventually(() => expect(asked.length).toBeGreaterThan(0))
    expect((await json(await patch(id, { paused: false }))).status).toBe('open')
    await app.check()
    await cross(90)
    await eventually(async () =>
      expect((await app.alerts.find(`telegram:${me}`, id))?.watch.armed).toBe(true),
    )
    expect(await crossings()).toEqual([])
    await cross(101)
    await eventually(() => expect(bot.messages).toHaveLength(1))
  })

  test('all coins of a currency are asked for together', async () => {
    prices.set('ethereum', 5)
    await Promise.all([made(), made({ coin: 'ethereum', value: 7 }), made({ value: 200 })])
    asked.length = 0
    await app.check()
    await eventually(() => expect(asked).toHaveLength(1))
    expect([...(asked[0] as string[])].sort()).toEqual(['bitcoin', 'ethereum'])
  })

  test('a page that is open sees it; a page of somebody else does not', async () => {
    const told: string[] = []
    const other: string[] = []
    const [mine, others] = await Promise.all([openPage(me, told), openPage('7', other)])
    await made({ notify: [] })
    await cross(101)
    await eventually(() => expect(told).toHaveLength(1))
    expect(JSON.parse(told[0] as string)).toMatchObject({
      type: 'crossing',
      text: 'bitcoin is above 100 USD: 101 USD',
      crossing: { coin: 'bitcoin', price: 101 },
    })
    expect(other).toEqual([])
    mine.close()
    others.close()
  })

  test('the socket refuses strangers and pages of other sites', async () => {
    await expect(openPage('', [])).rejects.toThrow('401')
    await expect(openPage(me, [], { origin: 'https://evil.example' })).rejects.toThrow('403')
  })
})

/** Crosses, and waits until a delivery has failed: when it is due again is decided by the clock as it is. */
async function crossAndFail(price: number): Promise<void> {
  const failed = () => app.lines.filter(({ message }) => message === 'an alert is not delivered').length
  const before = failed()
  await cross(price)
  await eventually(() => expect(failed()).toBeGreaterThan(before))
}

describe('Telegram', () => {
  test('429: nothing is sent before it says so, then everything, once', async () => {
    bot.fault = 429
    await Promise.all([made(), made({ value: 100.5 })])
    await cross(101)
    const held = () => app.lines.filter(({ fields }) => fields.reason === 'telegram_429')
    await eventually(() => expect(held()).toHaveLength(2))
    const { refusedAtMs } = bot
    bot.fault = undefined
    const timer = setInterval(() => clock.turn(100), 100)
    await eventually(() => expect(bot.messages).toHaveLength(2))
    clearInterval(timer)
    for (const { atMs } of bot.messages) expect(atMs - refusedAtMs).toBeGreaterThan(1_500)
  })

  test.each([400, 403] as const)('%d: the alert is blocked until its user says otherwise', async (fault) => {
    bot.fault = fault
    const { id } = await made({ repeat: 'always', cooldownMinutes: 0 })
    await cross(101)
    await outcome('telegram', 'telegram_blocked')
    expect((await json(await get(`/api/alerts/${id}`))).status).toBe('blocked')
    await cross(90)
    await cross(101)
    expect((await json(await patch(id, { paused: false }))).status).toBe('open')
    await cross(90)
    await eventually(async () =>
      expect((await app.alerts.find(`telegram:${me}`, id))?.watch.armed).toBe(true),
    )
    expect(await crossings()).toHaveLength(1)
    expect(bot.messages).toHaveLength(0)
  })

  const chat = () => Number(me)
  const notStarted = { status: 403, description: "Forbidden: bot can't initiate conversation with a user" }
  const tooMany = (retryAfterS: number) => ({
    status: 429,
    description: `Too Many Requests: retry after ${retryAfterS}`,
    parameters: { retry_after: retryAfterS },
  })

  test('a bot that was not started: the page says where to, and once it is, everything goes on', async () => {
    bot.chats.set(chat(), notStarted)
    const [once, always] = [await made(), await made({ repeat: 'always', cooldownMinutes: 0 })]
    await cross(101)
    const statusOf = async (id: string) => (await json(await get(`/api/alerts/${id}`))).status
    await eventually(async () => expect(await statusOf(always.id)).toBe('blocked'))
    const ask = async () => json(await app.send('POST', '/api/alerts/bot', undefined, me))
    const startUrl = 'https://t.me/samovar_bot?start=alerts'
    expect(await ask()).toEqual({ startUrl, mayWrite: false })
    expect(await statusOf(always.id)).toBe('blocked')
    bot.chats.delete(chat())
    expect(await ask()).toEqual({ startUrl, mayWrite: true })
    expect([await statusOf(once.id), await statusOf(always.id)]).toEqual(['done', 'open'])
    await eventually(() => expect(bot.messages.map(({ chatId }) => chatId)).toEqual([chat(), chat()])) // missed
    await outcome('telegram', 'sent')
  })

  test('a user who lets the bot write again without coming here is noticed by a check', async () => {
    bot.chats.set(chat(), { status: 403, description: 'Forbidden: bot was blocked by the user' })
    const { id } = await made({ repeat: 'always' })
    await cross(101)
    await outcome('telegram', 'telegram_blocked')
    await cross(90)
    bot.chats.delete(chat())
    const opened = async () => expect((await json(await get(`/api/alerts/${id}`))).status).toBe('open')
    await eventually(async () => {
      await app.check()
      await opened()
    })
    await eventually(() => expect(bot.messages).toHaveLength(1))
  })

  test('429 of a chat: the others get theirs', async () => {
    const mine = chat()
    bot.chats.set(mine, tooMany(3_600))
    await made()
    await cross(101)
    await eventually(() =>
      expect(app.lines.some(({ fields }) => fields.reason === 'telegram_429')).toBe(true),
    )
    people += 1
    me = String(1_000 + people)
    prices.set('bitcoin', 90)
    await made()
    await cross(101)
    await eventually(() => expect(bot.messages.map(({ chatId }) => chatId)).toEqual([chat()]))
    const { asked: askedBefore } = bot
    me = String(mine)
    await made({ value: 100.5 }).then(() => cross(90))
    await cross(101)
    await eventually(async () => expect((await crossings())[0]?.deliveries.page).toBe('sent'))
    expect(bot.asked).toBe(askedBefore) // not before it says so
  })

  test('a group that has become a supergroup gets it under its new id', async () => {
    bot.chats.set(chat(), {
      status: 400,
      description: 'Bad Request: group chat was upgraded to a supergroup chat',
      parameters: { migrate_to_chat_id: -1_001_234_567_890 },
    })
    await made()
    await cross(101)
    await outcome('telegram', 'sent')
    expect(bot.messages.map(({ chatId }) => chatId)).toEqual([-1_001_234_567_890])
  })

  test.each([500, 'garbage'] as const)('%s: it is tried again', async (fault) => {
    bot.fault = fault
    await made()
    await crossAndFail(101)
    bot.fault = undefined
    clock.turn(6_000)
    await app.check()
    await eventually(() => expect(bot.messages).toHaveLength(1))
    await outcome('telegram', 'sent')
  })

  test('silence is given up after five seconds, and the token is in no log', async () => {
    bot.fault = 'hangs'
    await made()
    await cross(101)
    await eventually(
      () => expect(app.lines.some(({ fields }) => fields.reason === 'telegram_unreachable')).toBe(true),
      2 * TELEGRAM_LIMIT_MS,
    )
    expect(JSON.stringify(app.lines)).not.toContain(BOT_TOKEN.split(':')[1])
  })
})

describe('the user’s webhook', () => {
  const name = (url = hooks.url) => app.send('POST', '/api/alerts/webhook', { url }, me)

  test('is signed as Standard Webhooks say, and its secret is told once', async () => {
    const response = await name()
    const { url, secret } = await json(response)
    expect([response.status, url]).toEqual([201, hooks.url])
    expect(await json(await get('/api/alerts/webhook'))).toEqual({ url: hooks.url })
    const { id } = await made({ notify: ['webhook'] })
    await cross(101)
    await outcome('webhook', 'sent')
    const [{ headers, body }] = hooks.received as [(typeof hooks.received)[0]]
    expect(headers['webhook-id']).toBe(`alert:${id}:1`)
    expect(new Webhook(secret).verify(body, headers as Record<string, string>)).toMatchObject({
      type: 'alert.crossed',
      data: { alertId: id, coin: 'bitcoin', vs: 'usd', when: 'above', value: 100, price: 101 },
    })
    expect(bot.messages).toEqual([])
    expect(JSON.stringify(app.lines)).not.toContain(secret)
    await app.send('DELETE', '/api/alerts/webhook', undefined, me)
    expect(await json(await get('/api/alerts/webhook'))).toEqual({ url: null })
  })

  test('500: again, with the same id; 302 and 410: never again', async () => {
    await name()
    hooks.status = 500
    await made({ notify: ['webhook'] })
    await crossAndFail(101)
    expect(hooks.received).toHaveLength(1)
    hooks.status = 204
    clock.turn(6_000)
    await app.check()
    await outcome('webhook', 'sent')
    const [first, second] = hooks.received.map(({ headers }) => headers['webhook-id'])
    expect(second).toBe(first)
    for (const status of [302, 410]) {
      hooks.status = status
      await cross(90)
      await made({ notify: ['webhook'] })
      await cross(101)
      await eventually(async () =>
        expect(
          (await crossings()).map((one: { deliveries: object }) => Object.values(one.deliveries)),
        ).toContainEqual(expect.arrayContaining([`webhook_${status}`])),
      )
    }
  })

  test.each([
    'http://hooks.example.com/',
    'https://127.0.0.1/',
    'https://[::ffff:169.254.169.254]/',
    'https://localhost/',
    'no url',
  ])('refuses %s', async (url) => {
    const response = await name(url)
    expect([response.status, (await json(response)).code]).toEqual([422, 'unsafe_url'])
  })
})

function openPage(user: string, told: string[], headers: Record<string, string> = {}): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${app.port}/ws/alerts`, {
    headers: { ...(user && { 'x-user': user }), ...headers },
  })
  return new Promise((resolve, reject) => {
    socket.on('error', reject)
    socket.on('message', (data) => {
      if (String(data).includes('listening')) resolve(socket)
      else told.push(String(data))
    })
  })
}
