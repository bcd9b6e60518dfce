// The senders of docs/webhooks.md, as they are: their own libraries sign in a process of their own and send to the
// running app; those without a library are signed here as they document it.
import { type ChildProcess, execFile, fork } from 'node:child_process'
import { createHash, createHmac, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import cryptoBotApi from 'crypto-bot-api'
import { features } from '../../src/app.ts'
import { defineFeature } from '../../src/feature.ts'
import { webhooks } from '../../src/features/webhooks/feature.ts'
import type { Handler } from '../../src/features/webhooks/webhooks.ts'
import { install } from '../../src/host/wiring.ts'
import {
  answerWith,
  badSignature,
  bytesOfHex,
  defineScheme,
  headerOf,
  isSignedBy,
} from '../../src/lib/webhooks/webhook-scheme.ts'
import { startApp, type TestApp } from '../helpers/app.ts'
import { type FakeYookassa, startYookassa } from '../helpers/fake-yookassa.ts'
import type { Answered, Library, Told } from '../helpers/sender-libraries.ts'

const docs = readFileSync(join(import.meta.dirname, '../../docs/webhooks.md'), 'utf8')

const base64 = (bytes: number, fill: number) => Buffer.alloc(bytes, fill).toString('base64')
const SVIX = `whsec_${base64(24, 1)}`
const OLD_SVIX = `whsec_${base64(24, 2)}`
const SUPABASE = `v1,whsec_${base64(66, 3)}`
const STRIPE = 'whsec_4f2b8c1d9e7a6b5c4d3e2f1a'
const GITHUB = "It's a Secret to Everybody"
const SLACK = '8f742231b10e8888abcd99yyyzzz85a5'
const SHOPIFY = 'shpss_1f2e3d4c5b6a79881f2e3d4c'
const TBANK = 'usaf8fw8fsw21g'
const CLOUD = '9a8b7c6d5e4f3a2b1c0d9e8f7a6b5c4d'
const CRYPTO = '12345:AAzQcZWQqQAbsfgPnOLr4FHC8Doa4L7KryC'
const BOT = '110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw'
const SHOP = '12345:live_a-secret-key-of-the-shop'
const YOOKASSA_ADDRESS = '185.71.76.5'

const hmac = (secret: string | Buffer, text: string, encoding: 'hex' | 'base64') =>
  createHmac('sha256', secret).update(text).digest(encoding)

/** A scheme of users' code: as a sender of ours has it. */
const mine = defineScheme({
  name: 'mine',
  signatureHeaders: ['x-mine'],
  handlerHeaders: ['x-mine-kind'],
  verify(signed) {
    const given = bytesOfHex(headerOf(signed, 'x-mine'))
    const sign = (secret: string) =>
      createHmac('sha256', secret).update(signed.url).update(signed.body).digest()
    return given && isSignedBy(signed.secrets, [given], sign) ? {} : badSignature('signature differs')
  },
  idOf: ({ body }) => /^[\w-]+/.exec(body.toString())?.[0],
})

type Delivery = Parameters<Handler>[0]
let seen: Delivery[] = []
let reply: (delivery: Delivery) => unknown = () => undefined

const shop = defineFeature({
  name: 'shop',
  needs: ['webhooks'],
  schemes: [mine],
  setup(_context, { on }: { on: (source: string, handler: Handler) => void }) {
    for (const source of [
      'svix',
      'stripe',
      'repo',
      'kassa',
      'tbank',
      'cloud',
      'crypto',
      'own',
      'shopify',
      'slack',
    ])
      on(source, async (delivery) => {
        seen.push(delivery)
        return reply(delivery)
      })
    return {}
  },
})

let app: TestApp
let sender: ChildProcess
let kassa: FakeYookassa
const logOf = (source: string) =>
  app.lines.filter(({ message, fields }) => message === 'webhook refused' && fields.source === source)

beforeAll(async () => {
  kassa = await startYookassa()
  sender = fork(join(import.meta.dirname, '../helpers/sender-libraries.ts'), {
    execArgv: ['--disable-warning=ExperimentalWarning'],
  })
  const isReady = once(sender, 'message')
  app = await startApp(
    {
      REDIS_URL: 'off',
      TELEGRAM_BOT_TOKEN: BOT,
      WEBHOOK_SECRETS: [
        `svix=${OLD_SVIX}|${SVIX}`,
        `supabase=${SUPABASE}`,
        `stripe=${STRIPE}`,
        `repo:github=${GITHUB}`,
        'bot:telegram',
        `slack=${SLACK}`,
        `shopify=${SHOPIFY}`,
        `kassa:yookassa=${SHOP}`,
        `tbank=${TBANK}`,
        `cloud:cloudpayments=${CLOUD}`,
        `crypto:crypto-pay=${CRYPTO}`,
        'own:mine=a-secret-of-mine',
      ].join(','),
      WEBHOOK_API_URLS: `kassa=${kassa.url}`,
    },
    [...features, install(shop, ({ needed }) => ({ on: needed(webhooks).on }))],
  )
  await isReady
})
beforeEach(() => {
  seen = []
  reply = () => undefined
})
afterAll(async () => {
  sender.disconnect()
  await app.close()
  await kassa.close()
})

const urlOf = (source: string) => `${app.url}/api/webhooks/${source}`

/** What the process with the libraries was answered, one after the other. */
async function send(
  source: string,
  told: Omit<Told, 'url' | 'id' | 'body'> & Partial<Told>,
): Promise<Answered[]> {
  sender.send({ url: urlOf(source), id: `msg_${randomUUID()}`, body: '{"type":"user.created"}', ...told })
  const [answers] = (await once(sender, 'message')) as [Answered[]]
  return answers
}

const post = async (
  source: string,
  body: string,
  headers: Record<string, string> = {},
): Promise<Answered> => {
  const [answer] = await send(source, { library: 'none', secret: '', body, headers })
  if (!answer) throw new Error('no answer')
  return answer
}

describe('with their own libraries', () => {
  const event = (n: number) => `{"id":"evt_${n}","object":"event","type":"invoice.paid","pending_webhooks":2}`
  test.each<[string, string, Library, string, string, string]>([
    ['Svix, Clerk and Resend', 'svix', 'svix', SVIX, `whsec_${base64(24, 9)}`, '{"type":"user.created"}'],
    ['the old secret, while it is changed', 'svix', 'svix', OLD_SVIX, `whsec_${base64(24, 9)}`, '{"a":"ж"}'],
    ['Standard Webhooks', 'svix', 'standardwebhooks', SVIX, `whsec_${base64(24, 9)}`, '{"type":"x"}'],
    ['Supabase', 'supabase', 'standardwebhooks', SUPABASE.slice(3), `whsec_${base64(24, 9)}`, '{"user":{}}'],
    ['Stripe', 'stripe', 'stripe', STRIPE, 'whsec_another-secret-of-it', event(1)],
    ['GitHub', 'repo', 'octokit', GITHUB, 'another secret', '{"zen":"Keep it logically awesome."}'],
  ])('%s: taken, once for 20 attempts together; forged, changed and old ones are not', async (...args) => {
    const [, source, library, secret, forged, body] = args
    const id = `msg_${randomUUID()}`
    const answers = await send(source, { library, secret, id, body, times: 20 })
    expect(new Set(answers.map(({ status }) => status))).not.toContain(401)
    expect(answers.filter(({ status, replayed }) => status === 204 && replayed === null)).toHaveLength(1)
    expect(await send(source, { library, secret, id, body })).toMatchObject([
      { status: 204, replayed: 'true' },
    ])
    if (source !== 'supabase') expect(seen.map((one) => one.body.toString())).toEqual([body])
    expect(await send(source, { library, secret: forged, id, body })).toMatchObject([{ status: 401 }])
    expect(logOf(source).at(-1)?.fields).toMatchObject({
      outcome: 'bad_signature',
      reason: 'signature differs',
    })
    if (library === 'octokit') return
    expect(await send(source, { library, secret, id, body, ageS: 400 })).toMatchObject([{ status: 400 }])
    const { fields } = logOf(source).at(-1) ?? {}
    expect(fields).toMatchObject({ outcome: 'outside_tolerance', reason: 'timestamp off' })
    expect(Number(fields?.offS)).toBeGreaterThanOrEqual(400)
  })

  test('Stripe tries again with other bytes under the same id: it is the same event', async () => {
    const told = { library: 'stripe' as const, secret: STRIPE }
    expect(await send('stripe', { ...told, body: event(2) })).toMatchObject([{ status: 204, replayed: null }])
    const later = event(2).replace(':2', ':1')
    expect(await send('stripe', { ...told, body: later })).toMatchObject([{ status: 204, replayed: 'true' }])
    expect(seen).toHaveLength(1)
  })

  test('handlers see the headers that matter, and no others', async () => {
    const headers = { 'x-github-event': 'push', authorization: 'Bearer x', cookie: 'a=b', 'x-other': 'y' }
    const id = randomUUID()
    await send('repo', { library: 'octokit', secret: GITHUB, id, headers })
    expect(seen[0]?.headers).toEqual({ 'x-github-event': 'push', 'x-github-delivery': id })
  })

  test('Crypto Pay: signed as its library checks', async () => {
    const update = {
      update_id: 5,
      update_type: 'invoice_paid',
      request_date: '2026-11-28T10:00:00Z',
      payload: { invoice_id: 77, status: 'paid' },
    }
    const signed = (body: string) => ({
      'crypto-pay-api-signature': hmac(createHash('sha256').update(CRYPTO).digest(), body, 'hex'),
    })
    const body = JSON.stringify(update)
    // Its types name what it exports otherwise.
    const Library = cryptoBotApi as unknown as new (token: string) => { middleware(): RequestListener }
    const library = createServer(new Library(CRYPTO).middleware())
    library.listen(0, '127.0.0.1')
    await once(library, 'listening')
    const at = `http://127.0.0.1:${(library.address() as AddressInfo).port}`
    const judged = async (text: string) => {
      const headers = { 'content-type': 'application/json', ...signed(body) }
      return (await fetch(at, { method: 'POST', headers, body: text })).status
    }
    expect([await judged(body), await judged(body.replace('77', '78'))]).toEqual([200, 401])
    library.closeAllConnections()
    library.close()
    expect(await post('crypto', body, signed(body))).toMatchObject({ status: 200, text: '', replayed: null })
    const again = JSON.stringify({ ...update, update_id: 6, request_date: '2026-11-28T10:05:00Z' })
    expect(await post('crypto', again, signed(again))).toMatchObject({ status: 200, replayed: 'true' })
    expect(seen).toHaveLength(1)
  })
})

describe('as they document it', () => {
  const slack = (body: string) => {
    const at = String(Math.floor(Date.now() / 1_000))
    return {
      'x-slack-request-timestamp': at,
      'x-slack-signature': `v0=${hmac(SLACK, `v0:${at}:${body}`, 'hex')}`,
    }
  }

  test('Slack: the challenge comes back as it is, events and commands are taken', async () => {
    const challenge =
      '{"token":"x","challenge":"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P","type":"url_verification"}'
    expect(await post('slack', challenge, slack(challenge))).toEqual({
      status: 200,
      type: 'text/plain; charset=utf-8',
      replayed: null,
      text: '3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P',
    })
    expect(
      await post('slack', challenge, { ...slack(challenge), 'x-slack-signature': 'v0=00' }),
    ).toMatchObject({ status: 401 })
    expect(seen).toEqual([])
    const event = '{"type":"event_callback","event_id":"Ev08MFMKH6","event":{"type":"app_mention"}}'
    const headers = { ...slack(event), 'x-slack-retry-num': '1' }
    expect(await post('slack', event, headers)).toMatchObject({ status: 200, text: '', replayed: null })
    expect(await post('slack', event, slack(event))).toMatchObject({ status: 200, replayed: 'true' })
    expect(seen.map(({ headers: { 'x-slack-retry-num': number } }) => number)).toEqual(['1'])
    reply = () => ({ response_type: 'ephemeral', text: 'Hello' })
    const command = 'command=%2Fweather&trigger_id=13345224609.738474920.8088930838d88f008e0'
    const form = { ...slack(command), 'content-type': 'application/x-www-form-urlencoded' }
    expect(await post('slack', command, form)).toMatchObject({
      status: 200,
      text: '{"response_type":"ephemeral","text":"Hello"}',
    })
  })

  test('Shopify: once by its webhook id', async () => {
    const body = '{"id":820982911946154508,"email":"jon@example.com"}'
    const headers = {
      'x-shopify-topic': 'orders/create',
      'x-shopify-shop-domain': 'example.myshopify.com',
      'x-shopify-webhook-id': randomUUID(),
      'x-shopify-hmac-sha256': hmac(SHOPIFY, body, 'base64'),
    }
    expect(await post('shopify', body, headers)).toMatchObject({ status: 200, replayed: null })
    expect(await post('shopify', body, headers)).toMatchObject({ status: 200, replayed: 'true' })
    expect(seen.map(({ headers: { 'x-shopify-topic': topic } }) => topic)).toEqual(['orders/create'])
    expect(await post('shopify', `${body} `, headers)).toMatchObject({ status: 401 })
  })

  test('T-Bank: answered OK and nothing else, each time', async () => {
    const fields = {
      TerminalKey: '1DEMO',
      OrderId: '21050',
      Success: true,
      Status: 'CONFIRMED',
      PaymentId: 13660,
      Amount: 100000,
    }
    const notice = (password: string, changed = {}) => {
      const all: Record<string, unknown> = { ...fields, ...changed, Password: password }
      const text = Object.keys(all)
        .sort()
        .map((name) => String(all[name]))
        .join('')
      return JSON.stringify({
        ...fields,
        ...changed,
        Token: createHash('sha256').update(text).digest('hex'),
        Receipt: {},
      })
    }
    const ok = { status: 200, type: 'text/plain; charset=utf-8', text: 'OK' }
    expect(await post('tbank', notice(TBANK))).toEqual({ ...ok, replayed: null })
    expect(await post('tbank', notice(TBANK))).toEqual({ ...ok, replayed: 'true' })
    expect(await post('tbank', notice(TBANK, { Status: 'REFUNDED' }))).toEqual({ ...ok, replayed: null })
    expect(seen.map(({ id }) => id.split('.').slice(0, 2).join())).toEqual([
      '13660,CONFIRMED',
      '13660,REFUNDED',
    ])
    expect(await post('tbank', notice('another-password'))).toMatchObject({ status: 401 })
    expect(await post('tbank', '')).toMatchObject({ status: 401 })
    expect(logOf('tbank').map(({ fields: { reason } }) => reason)).toEqual([
      'Token differs',
      'body is not JSON',
    ])
    expect(await post('tbank', `{"Token":"${'a'.repeat(70_000)}"}`)).toMatchObject({ status: 413 })
  })

  test('CloudPayments: {"code":0}, or what the handler says', async () => {
    const pay = 'TransactionId=504&Amount=10.00&Currency=RUB&Name=%D0%9F%D1%91%D1%82%D1%80&Status=Completed'
    const signed = (body: string) => ({
      'content-type': 'application/x-www-form-urlencoded',
      'content-hmac': hmac(CLOUD, body, 'base64'),
      'x-content-hmac': hmac(CLOUD, decodeURIComponent(body), 'base64'),
    })
    const done = { status: 200, type: 'application/json; charset=utf-8', text: '{"code":0}' }
    expect(await post('cloud', pay, signed(pay))).toEqual({ ...done, replayed: null })
    expect(await post('cloud', pay, signed(pay))).toEqual({ ...done, replayed: 'true' })
    reply = () => ({ code: 10 })
    const check = '{"TransactionId":505,"InvoiceId":"unknown"}'
    expect(await post('cloud', check, signed(check))).toMatchObject({ status: 200, text: '{"code":10}' })
    expect(await post('cloud', pay, signed(check))).toMatchObject({ status: 401 })
  })

  test('Telegram: the secret follows from the bot’s token, as the command in the docs says it', async () => {
    const [, command = ''] = /^```sh\n(.*?setWebhook.*?)^```/ms.exec(docs) ?? []
    const asked: URLSearchParams[] = []
    const botApi = createServer(async (req, res) => {
      let body = ''
      for await (const part of req) body += part
      asked.push(new URLSearchParams(`${body}&path=${encodeURIComponent(req.url ?? '')}`))
      res.end('{"ok":true}')
    })
    botApi.listen(0, '127.0.0.1')
    await once(botApi, 'listening')
    const at = `http://127.0.0.1:${(botApi.address() as AddressInfo).port}`
    const env = { PATH: process.env.PATH ?? '', TELEGRAM_BOT_TOKEN: BOT }
    const script = command.replace('https://api.telegram.org', at)
    await new Promise<void>((resolve, reject) => {
      execFile('bash', ['--norc', '-euo', 'pipefail', '-c', script], { env }, (error) =>
        error ? reject(error) : resolve(),
      )
    })
    botApi.close()
    botApi.closeAllConnections()
    expect(asked.map((one) => one.get('path'))).toEqual([`/bot${BOT}/setWebhook`])
    const token = asked[0]?.get('secret_token') ?? ''
    expect(token).toMatch(/^[A-Za-z0-9_-]{1,256}$/)
    const update = `{"update_id":${Math.floor(Math.random() * 1e9)},"message":{}}`
    expect(await post('bot', update, { 'x-telegram-bot-api-secret-token': token })).toMatchObject({
      status: 204,
    })
    expect(await post('bot', update, { 'x-telegram-bot-api-secret-token': token })).toMatchObject({
      replayed: 'true',
    })
    expect(await post('bot', update, { 'x-telegram-bot-api-secret-token': BOT })).toMatchObject({
      status: 401,
    })
    expect(await post('bot', update)).toMatchObject({ status: 401 })
    expect(JSON.stringify(app.lines)).not.toContain(token)
  })
})

describe('YooKassa', () => {
  let number = 0
  function payment(status = 'succeeded') {
    number += 1
    const object = {
      id: `2${number}d6d597-000f-5000-9000`,
      status,
      amount: { value: '2.00', currency: 'RUB' },
      metadata: {},
    }
    const body = JSON.stringify({ type: 'notification', event: `payment.${status}`, object })
    return { object, body, path: `payments/${object.id}` }
  }
  const from = (address: string) => ({ 'x-forwarded-for': address })
  beforeEach(() => {
    kassa.objects = {}
    kassa.requests.length = 0
    kassa.trouble = 'none'
  })

  test('counts once its API has confirmed it, from its addresses; 200 and nothing else', async () => {
    const { object, body, path } = payment()
    kassa.objects = { [path]: { ...object, paid: true } }
    expect(await post('kassa', body, from(YOOKASSA_ADDRESS))).toMatchObject({
      status: 200,
      text: '',
      replayed: null,
    })
    expect(await post('kassa', body, from('2a02:5180::17'))).toMatchObject({ status: 200, replayed: 'true' })
    expect(seen).toMatchObject([
      { id: `payment.succeeded.${object.id}`, confirmed: { paid: true, status: 'succeeded' } },
    ])
    const authorization = `Basic ${Buffer.from(SHOP).toString('base64')}`
    expect(kassa.requests[0]).toEqual({ path, authorization })
  })

  test('from elsewhere it is refused without asking, as a source that is not there', async () => {
    const { object, body, path } = payment()
    kassa.objects = { [path]: object }
    const [elsewhere, nobody] = [
      await post('kassa', body, from('198.51.100.7')),
      await post('nobody', body, from('198.51.100.7')),
    ]
    const withoutId = ({ text, ...rest }: Answered) => ({
      ...rest,
      text: text.replace(/"requestId":"[^"]+"/, ''),
    })
    expect(withoutId(elsewhere)).toEqual(withoutId(nobody))
    expect(elsewhere.status).toBe(401)
    expect(await post('nobody', body, from(YOOKASSA_ADDRESS))).toMatchObject({ status: 401 })
    await post('kassa', body, from('10.0.0.9'))
    expect(kassa.requests).toEqual([])
    expect(logOf('kassa').map(({ fields: { reason } }) => reason)).toEqual([
      'came from an address that is not its sender’s',
      'came from a private address, which is not its sender’s: see TRUST_PROXY',
    ])
  })

  test.each(['500', '429', 'cut', 'garbage'] as const)(
    'while its API has trouble (%s) the delivery waits',
    async (trouble) => {
      const { object, body, path } = payment()
      kassa.objects = { [path]: object }
      kassa.trouble = trouble
      const refused = await post('kassa', body, from(YOOKASSA_ADDRESS))
      expect([refused.status, refused.text.includes('sender_unavailable')]).toEqual([503, true])
      expect(seen).toEqual([])
      kassa.trouble = 'none'
      expect(await post('kassa', body, from(YOOKASSA_ADDRESS))).toMatchObject({ status: 200, replayed: null })
      expect(seen).toHaveLength(1)
      expect(JSON.stringify(app.lines)).not.toContain('live_a-secret-key')
    },
  )

  test('what its API does not confirm is not handled', async () => {
    const { object, body, path } = payment()
    expect(await post('kassa', body, from(YOOKASSA_ADDRESS))).toMatchObject({ status: 401 })
    kassa.objects = { [path]: { ...object, status: 'pending' } }
    expect(await post('kassa', body, from(YOOKASSA_ADDRESS))).toMatchObject({ status: 401 })
    kassa.trouble = '401'
    expect(await post('kassa', body, from(YOOKASSA_ADDRESS))).toMatchObject({ status: 401 })
    expect(
      logOf('kassa')
        .slice(-3)
        .map(({ fields: { reason } }) => reason),
    ).toEqual(['the API does not know it', 'the API says otherwise', 'the API refuses the key of the shop'])
    expect(seen).toEqual([])
  })
})

describe('a scheme of users’ code', () => {
  const signed = (body: string, secret = 'a-secret-of-mine') => ({
    'x-mine': createHmac('sha256', secret).update(urlOf('own')).update(body).digest('hex'),
    'x-mine-kind': 'order',
  })

  test('is one line in the manifest of a feature', async () => {
    const body = `${randomUUID()} and more`
    expect(await post('own', body, signed(body))).toMatchObject({ status: 204, replayed: null })
    expect(await post('own', body, signed(body))).toMatchObject({ status: 204, replayed: 'true' })
    expect(seen.map(({ headers }) => headers)).toEqual([{ 'x-mine-kind': 'order' }])
    expect(await post('own', body, signed(body, 'another'))).toMatchObject({ status: 401 })
  })

  test('its handler answers any bytes and status, also to repeats', async () => {
    reply = () =>
      answerWith({ status: 418, contentType: 'image/gif', body: Buffer.from([71, 73, 70, 0, 255]) })
    const body = `${randomUUID()} raw`
    const ask = async () => {
      const response = await fetch(urlOf('own'), { method: 'POST', headers: signed(body), body })
      return [
        response.status,
        response.headers.get('content-type'),
        Buffer.from(await response.arrayBuffer()).toString('hex'),
      ]
    }
    expect(await ask()).toEqual([418, 'image/gif', '47494600ff'])
    expect(await ask()).toEqual([418, 'image/gif', '47494600ff'])
    expect(seen).toHaveLength(1)
  })
})
