// The schemes of senders, by the vectors that they publish, and by everything that must not pass.
import { createHash, createHmac } from 'node:crypto'
import { builtInSchemes } from '../../src/features/webhooks/schemes/built-in.ts'
import { cloudpayments } from '../../src/features/webhooks/schemes/cloudpayments.ts'
import { cryptoPay } from '../../src/features/webhooks/schemes/crypto-pay.ts'
import { github } from '../../src/features/webhooks/schemes/github.ts'
import { shopify } from '../../src/features/webhooks/schemes/shopify.ts'
import { slack } from '../../src/features/webhooks/schemes/slack.ts'
import { standard } from '../../src/features/webhooks/schemes/standard.ts'
import { stripe } from '../../src/features/webhooks/schemes/stripe.ts'
import { tbank } from '../../src/features/webhooks/schemes/tbank.ts'
import { telegram } from '../../src/features/webhooks/schemes/telegram.ts'
import { yookassa } from '../../src/features/webhooks/schemes/yookassa.ts'
import type { Signed, WebhookScheme } from '../../src/lib/webhooks/webhook-scheme.ts'
import { judged } from '../helpers/judged.ts'

const NOW_S = 1_800_000_000
const hmac = (secret: string | Buffer, text: string | Buffer, encoding: 'hex' | 'base64' = 'hex') =>
  createHmac('sha256', secret).update(text).digest(encoding)

interface Sample {
  readonly scheme: WebhookScheme
  readonly secret: string
  readonly body: string
  readonly id: string
  /** The headers of its signature, for any body and time. */
  sign(secret: string, body: string | Buffer, atS: number): Record<string, string>
  /** Its signature has a time in it. */
  readonly isTimed?: true
  /** Its signature is the secret itself, or is in the body. */
  readonly isUnsigned?: true
}

const whsec = `whsec_${Buffer.alloc(24, 5).toString('base64')}`
const standardOf = (set: string): Sample => ({
  scheme: standard,
  secret: whsec,
  body: '{"a":1}',
  id: 'msg_1',
  isTimed: true,
  sign: (secret, body, atS) => ({
    [`${set}-id`]: 'msg_1',
    [`${set}-timestamp`]: String(atS),
    [`${set}-signature`]: `v1,${hmac(
      Buffer.from(secret.slice(6), 'base64'),
      Buffer.concat([Buffer.from(`msg_1.${atS}.`), Buffer.from(body as string)]),
      'base64',
    )}`,
  }),
})

const samples: Record<string, Sample> = {
  standard: standardOf('webhook'),
  svix: standardOf('svix'),
  stripe: {
    scheme: stripe,
    secret: 'whsec_0123456789abcdef0123',
    body: '{"id":"evt_1","pending_webhooks":2}',
    id: 'evt_1',
    isTimed: true,
    sign: (secret, body, atS) => ({
      'stripe-signature': `t=${atS},v0=${'0'.repeat(64)},v1=${hmac(secret, Buffer.concat([Buffer.from(`${atS}.`), Buffer.from(body as string)]))}`,
    }),
  },
  github: {
    scheme: github,
    secret: 'a secret of GitHub',
    body: '{}',
    id: 'a-b-c',
    sign: (secret, body) => ({
      'x-github-delivery': 'a-b-c',
      'x-hub-signature-256': `sha256=${hmac(secret, body)}`,
    }),
  },
  telegram: {
    scheme: telegram,
    secret: 'a-token_of-Telegram',
    body: '{"update_id":7}',
    id: '7',
    isUnsigned: true,
    sign: (secret) => ({ 'x-telegram-bot-api-secret-token': secret }),
  },
  slack: {
    scheme: slack,
    secret: '8f742231b10e8888abcd99yyyzzz85a5',
    body: '{"type":"event_callback","event_id":"Ev1"}',
    id: 'Ev1',
    isTimed: true,
    sign: (secret, body, atS) => ({
      'x-slack-request-timestamp': String(atS),
      'x-slack-signature': `v0=${hmac(secret, Buffer.concat([Buffer.from(`v0:${atS}:`), Buffer.from(body as string)]))}`,
    }),
  },
  shopify: {
    scheme: shopify,
    secret: 'shpss_0123456789abcdef',
    body: '{"id":1}',
    id: 'b54557e4-bdd9-4b37-8a5f-bf7d70bcd043',
    sign: (secret, body) => ({
      'x-shopify-webhook-id': 'b54557e4-bdd9-4b37-8a5f-bf7d70bcd043',
      'x-shopify-hmac-sha256': hmac(secret, body, 'base64'),
    }),
  },
  cloudpayments: {
    scheme: cloudpayments,
    secret: '0123456789abcdef0123456789abcdef',
    body: 'TransactionId=504&Amount=10.00&Name=CARDHOLDER',
    id: `504.${createHash('sha256').update('TransactionId=504&Amount=10.00&Name=CARDHOLDER').digest('hex').slice(0, 32)}`,
    sign: (secret, body) => ({ 'content-hmac': hmac(secret, body, 'base64') }),
  },
  'crypto-pay': {
    scheme: cryptoPay,
    secret: '12345:AAzQcZWQqQAbsfgPnOLr4FHC8Doa4L7KryC',
    body: '{"update_id":1,"update_type":"invoice_paid","request_date":"2026-01-01","payload":{"invoice_id":9}}',
    id: 'invoice_paid.9',
    sign: (secret, body) => ({
      'crypto-pay-api-signature': hmac(createHash('sha256').update(secret).digest(), body),
    }),
  },
}

const given = (sample: Sample, changed: Partial<Signed> = {}): Signed => ({
  headers: sample.sign(sample.secret, changed.body ?? sample.body, NOW_S),
  body: Buffer.from(sample.body),
  url: 'https://example.com/api/webhooks/x',
  secrets: [sample.secret],
  nowMs: NOW_S * 1_000,
  toleranceMs: 300_000,
  ...changed,
})

test('each scheme is tried here', () => {
  const tried = new Set([...Object.values(samples).map(({ scheme }) => scheme.name), 'tbank', 'yookassa'])
  expect([...tried].sort()).toEqual(builtInSchemes.map(({ name }) => name).sort())
})

describe.each(Object.entries(samples))('%s', (_name, sample) => {
  const { scheme } = sample
  const verdict = (changed: Partial<Signed> = {}) => judged(scheme, given(sample, changed))
  const reasonOf = (changed: Partial<Signed> = {}) => scheme.verify(given(sample, changed))
  const mainHeader = scheme.signatureHeaders.find((name) => name in given(sample).headers) ?? ''
  const withHeader = (value: string | string[] | undefined, name = mainHeader) => ({
    headers: { ...given(sample).headers, [name]: value },
  })
  const other = `${sample.secret.slice(0, -4)}AAAA`

  test('is taken, with any active secret', () => {
    const timed = sample.isTimed ? { sentAtMs: NOW_S * 1_000 } : {}
    expect(verdict()).toEqual({ id: sample.id, ...timed })
    expect(verdict({ secrets: [other, sample.secret] })).toEqual({ id: sample.id, ...timed })
    expect(scheme.checkSecret?.(sample.secret)).toBeUndefined()
  })

  test('is refused with another secret, and with none', () => {
    expect(verdict({ secrets: [other] })).toEqual({ refused: 'bad_signature' })
    expect(verdict({ secrets: [] })).toEqual({ refused: 'bad_signature' })
    expect(reasonOf({ secrets: [other] })).toMatchObject({ reason: expect.stringContaining('differs') })
  })

  test('a secret of any form is tried without throwing: sources that nobody knows are given one', () => {
    for (const secret of ['', '=', ':', 'a'.repeat(10_000), '\u0000\ud800', 'AAAA'.repeat(11)])
      expect(verdict({ secrets: [secret] })).toEqual({ refused: 'bad_signature' })
  })

  test.each<[string, (value: string) => string | string[] | undefined]>([
    ['missing', () => undefined],
    ['empty', () => ''],
    ['sent twice', (value) => `${value}, ${value}x`],
    ['a list', (value) => [value, value]],
    ['cut short', (value) => value.slice(0, -1)],
    ['in capitals', (value) => value.toUpperCase()],
    ['longer than any', (value) => value.slice(0, -1) + 'A'.repeat(15_000)],
    ['of other bytes', () => '\u0000\u00ff\u00e9'],
    ['url-safe base64', (value) => `${value.slice(0, -3)}-_=`],
    ['with a space', (value) => ` ${value.slice(1)}`],
  ])('with its header %s it is refused', (_how, change) => {
    const value = String(given(sample).headers[mainHeader])
    const changed = change(value)
    if (changed === value) return
    expect(verdict(withHeader(changed))).toEqual({ refused: 'bad_signature' })
  })

  test('of an empty body, and of bytes that are no text, the signature is that of the bytes', () => {
    for (const body of [Buffer.alloc(0), Buffer.from([0xff, 0xfe, 0x00, 0xc3, 0x28])]) {
      const signed = scheme.verify(given(sample, { body }))
      expect(signed.refused).toBeUndefined()
      if (sample.isUnsigned) continue
      const headers = sample.sign(sample.secret, body.toString('latin1'), NOW_S)
      if (body.length > 0) expect(verdict({ body, headers })).toEqual({ refused: 'bad_signature' })
    }
  })

  test('an id that is none is none, and nothing throws', () => {
    for (const body of [
      '',
      'null',
      '[]',
      '{',
      '0',
      '"x"',
      '{"id":{}}',
      '{"id":"a b"}',
      '{"payload":null}',
      '%zz=%',
    ])
      expect(() => scheme.idOf(given(sample, { body: Buffer.from(body) }))).not.toThrow()
  })

  if (!sample.isUnsigned)
    test('a changed body is refused', () => {
      const headers = given(sample).headers
      expect(verdict({ headers, body: Buffer.from(`${sample.body} `) })).toEqual({ refused: 'bad_signature' })
    })

  if (sample.isTimed) {
    test.each([
      [300, undefined],
      [-300, undefined],
      [301, 301], // behind our clock
      [-301, -301],
      [86_400, 86_400],
    ])('received %d s after it was signed', (afterS, offS) => {
      const found = reasonOf({ nowMs: (NOW_S + afterS) * 1_000 })
      expect(found).toEqual(
        offS === undefined
          ? { sentAtMs: NOW_S * 1_000 }
          : { refused: 'outside_tolerance', reason: 'timestamp off', offS },
      )
    })

    test('the time is not told to who has no secret', () => {
      expect(verdict({ secrets: [other], nowMs: 0 })).toEqual({ refused: 'bad_signature' })
    })
  }
})

describe('Stripe', () => {
  const sample = samples.stripe as Sample
  const header = (value: string) =>
    judged(stripe, { ...given(sample), headers: { 'stripe-signature': value } })
  const v1 = /v1=(\w+)/.exec(String(given(sample).headers['stripe-signature']))?.[1] ?? ''

  test('one of several signatures will do, as while a secret is rolled', () => {
    expect(header(`t=${NOW_S},v1=${'0'.repeat(64)},v1=${v1}`)).toMatchObject({ id: 'evt_1' })
    expect(header(`t=${NOW_S}, v1=${v1}`)).toMatchObject({ id: 'evt_1' })
  })

  test.each([
    `v1=${v1}`,
    `t=${NOW_S}`,
    `t=${NOW_S},v0=${v1}`,
    `t=${NOW_S},t=${NOW_S + 1},v1=${v1}`,
    `t=${NOW_S + 1},v1=${v1}`,
    `t=${NOW_S}.0,v1=${v1}`,
    `t=,v1=${v1}`,
    `${'a=b,'.repeat(12)}t=${NOW_S},v1=${v1}`,
  ])('refuses %s', (value) => expect(header(value)).toEqual({ refused: 'bad_signature' }))
})

describe('Slack', () => {
  // docs.slack.dev/authentication/verifying-requests-from-slack
  const secret = '8f742231b10e8888abcd99yyyzzz85a5'
  const body =
    'token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&' +
    'channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&' +
    'response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN' +
    '&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c'
  const atS = 1_531_420_618
  const signed = (text = body, headers: Record<string, string> = {}): Signed => ({
    headers: {
      'x-slack-request-timestamp': String(atS),
      'x-slack-signature': 'v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503',
      ...headers,
    },
    body: Buffer.from(text),
    url: '',
    secrets: [secret],
    nowMs: atS * 1_000,
    toleranceMs: 300_000,
  })

  test('the published vector', () => {
    const id = '398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c'
    expect(judged(slack, signed())).toEqual({ id, sentAtMs: atS * 1_000 })
    expect(judged(slack, { ...signed(), nowMs: (atS + 301) * 1_000 })).toEqual({
      refused: 'outside_tolerance',
    })
  })

  test('a button’s trigger is in its payload; what has no id is told apart by its bytes', () => {
    const button = `payload=${encodeURIComponent('{"type":"block_actions","trigger_id":"1.2.a"}')}`
    expect(slack.idOf(signed(button))).toBe('1.2.a')
    expect(slack.idOf(signed('ssl_check=1'))).toMatch(/^[0-9a-f]{64}$/)
  })

  test('the challenge is answered, anything else is not', () => {
    expect(
      slack.answerAlone?.(signed('{"type":"url_verification","challenge":"3eZbrw1aB","token":"x"}')),
    ).toEqual({
      status: 200,
      contentType: 'text/plain; charset=utf-8',
      body: '3eZbrw1aB',
    })
    for (const text of ['{"type":"event_callback","challenge":"x"}', '{"type":"url_verification"}', 'x'])
      expect(slack.answerAlone?.(signed(text))).toBeUndefined()
  })
})

describe('T-Bank', () => {
  const signed = (body: string, secret: string): Signed => ({
    headers: {},
    body: Buffer.from(body),
    url: '',
    secrets: [secret],
    nowMs: 0,
    toleranceMs: 0,
  })
  const verdict = (body: string, secret: string) => tbank.verify(signed(body, secret))

  test('the published vector: numbers as text, objects left out', () => {
    // developer.tbank.ru, "Токен"
    const body = (token: string) =>
      `{"TerminalKey":"MerchantTerminalKey","Amount":19200,"OrderId":"21090","DATA":{"Phone":"+71234567890"},` +
      `"Description":"Подарочная карта на 1000 рублей","Receipt":{"Items":[{"Price":1}]},"Token":"${token}"}`
    const token = '0024a00af7c350a3a67ca168ce06502aa72772456662e38696d48b56ee9c97d9'
    expect(verdict(body(token), 'usaf8fw8fsw21g')).toEqual({})
    expect(verdict(body(token.toUpperCase()), 'usaf8fw8fsw21g')).toEqual({})
    expect(verdict(body(token), 'usaf8fw8fsw21h')).toMatchObject({ reason: 'Token differs' })
    expect(verdict(body(token).replace('19200', '19201'), 'usaf8fw8fsw21g')).toMatchObject({
      reason: 'Token differs',
    })
  })

  const notice = (changed: Record<string, unknown> = {}, password = 'a-password-1') => {
    const fields: Record<string, unknown> = {
      TerminalKey: '1DEMO',
      OrderId: '21050',
      Success: true,
      Status: 'CONFIRMED',
      PaymentId: 13660,
      ErrorCode: '0',
      Amount: 100000,
      CardId: 867911,
      Pan: '430000******0777',
      ExpDate: '1122',
      ...changed,
    }
    const all: Record<string, unknown> = { ...fields, Password: password }
    const text = Object.keys(all)
      .sort()
      .map((name) => String(all[name]))
      .join('')
    return JSON.stringify({ ...fields, Token: createHash('sha256').update(text).digest('hex') })
  }

  test('a notification, whose id is of the payment, its status and its values', () => {
    const id = judged(tbank, signed(notice(), 'a-password-1'))
    expect(id).toEqual({ id: expect.stringMatching(/^13660\.CONFIRMED\.[0-9a-f]{32}$/) })
    expect(judged(tbank, signed(notice({}, 'another-password'), 'another-password'))).toEqual(id)
    expect(judged(tbank, signed(notice({ Amount: 1 }), 'a-password-1'))).not.toEqual(id)
  })

  test('a payment’s number keeps all of its digits', () => {
    const body = notice({ PaymentId: 'N' }).replace('"N"', '12345678901234567890')
    const text = [
      '100000',
      '867911',
      '0',
      '1122',
      '21050',
      '430000******0777',
      'a-password-1',
      '12345678901234567890',
      'CONFIRMED',
      'true',
      '1DEMO',
    ].join('')
    const token = createHash('sha256').update(text).digest('hex')
    expect(verdict(body.replace(/"Token":"\w+"/, `"Token":"${token}"`), 'a-password-1')).toEqual({})
  })

  test.each([
    ['', 'body is not JSON'],
    ['null', 'body is not JSON'],
    ['[]', 'body is not JSON'],
    ['{', 'body is not JSON'],
    ['\ufffd\u0000', 'body is not JSON'],
    ['{}', 'no Token in the body'],
    ['{"Token":null}', 'Token malformed'],
    ['{"Token":["a"]}', 'Token malformed'],
    [`{"Token":"${'a'.repeat(63)}"}`, 'Token malformed'],
    [`{"Token":"${'a'.repeat(64)}"}`, 'Token differs'],
    [`{"__proto__":{"Token":"x"}}`, 'no Token in the body'],
  ])('refuses %j', (body, reason) => {
    expect(verdict(body, 'a-password-1')).toEqual({ refused: 'bad_signature', reason })
  })
})

describe('YooKassa', () => {
  const body = (changed: object = {}, event = 'payment.succeeded') =>
    JSON.stringify({
      type: 'notification',
      event,
      object: {
        id: '22d6d597-000f',
        status: 'succeeded',
        amount: { value: '2.00', currency: 'RUB' },
        ...changed,
      },
    })
  const signed = (text: string, secrets = ['12345:live_secret-of-it']): Signed => ({
    headers: {},
    body: Buffer.from(text),
    url: '',
    secrets,
    nowMs: 0,
    toleranceMs: 0,
  })
  const known = { id: '22d6d597-000f', status: 'succeeded', amount: { value: '2.00', currency: 'RUB' } }
  const confirm = (text: string, answer: { status: number; json?: unknown }, secrets?: string[]) => {
    const asked: [string, unknown][] = []
    const get = async (path: string, headers = {}) => {
      asked.push([path, headers])
      return { json: undefined, ...answer }
    }
    return { asked, said: yookassa.confirm?.(signed(text, secrets), { get }) }
  }

  test('its id is of the event and the object; the API is asked with the key of the shop', async () => {
    expect(judged(yookassa, signed(body()))).toEqual({ id: 'payment.succeeded.22d6d597-000f' })
    const { asked, said } = confirm(body(), { status: 200, json: known })
    expect(await said).toEqual({ confirmed: known })
    const authorization = `Basic ${Buffer.from('12345:live_secret-of-it').toString('base64')}`
    expect(asked).toEqual([['payments/22d6d597-000f', { authorization }]])
  })

  test.each<[string, object, { status: number; json?: unknown }, string | undefined]>([
    ['the same', {}, { status: 200, json: known }, undefined],
    ['another status', {}, { status: 200, json: { ...known, status: 'pending' } }, 'the API says otherwise'],
    ['canceled', {}, { status: 200, json: { ...known, status: 'canceled' } }, 'the API says otherwise'],
    [
      'another amount',
      {},
      { status: 200, json: { ...known, amount: { value: '1.00', currency: 'RUB' } } },
      'the API says otherwise',
    ],
    ['no amount', {}, { status: 200, json: { id: known.id, status: 'succeeded' } }, 'the API says otherwise'],
    ['another id', {}, { status: 200, json: { ...known, id: 'x' } }, 'the API says otherwise'],
    ['nothing', {}, { status: 404 }, 'the API does not know it'],
    ['that the key is wrong', {}, { status: 401 }, 'the API refuses the key of the shop'],
  ])('the API says %s', async (_what, changed, answer, reason) => {
    const said = await confirm(body(changed), answer).said
    expect(said).toEqual(reason === undefined ? { confirmed: known } : { refused: 'bad_signature', reason })
  })

  test('an earlier state, told late, was so: it counts', async () => {
    const text = body(
      { status: 'waiting_for_capture', amount: { value: '3.00', currency: 'RUB' } },
      'payment.waiting_for_capture',
    )
    expect(await confirm(text, { status: 200, json: known }).said).toEqual({ confirmed: known })
  })

  test('an answer that is none is no verdict', async () => {
    for (const json of [undefined, null, [], {}, { id: 1 }])
      await expect(confirm(body(), { status: 200, json }).said).rejects.toThrow('the API')
  })

  test('the second secret is asked with where the first is refused', async () => {
    const { asked, said } = confirm(body(), { status: 403 }, ['1:first-secret', '2:second-secret'])
    expect(await said).toMatchObject({ refused: 'bad_signature' })
    expect(asked).toHaveLength(2)
  })

  test.each([
    '',
    'null',
    '[]',
    '{}',
    '{"type":"notification"}',
    body({ id: '../payouts/1' }),
    body({ id: '' }),
    body({ id: 1 }),
    body({ status: 'pending' }),
    body({ amount: 1 }),
    body({}, 'payment'),
    body({}, 'toString.succeeded'),
    body({}, 'payment.succeeded.x'),
    body().replace('notification', 'other'),
  ])('%s is no notification', (text) => {
    expect(judged(yookassa, signed(text))).toEqual({ refused: 'bad_signature' })
    expect(yookassa.idOf(signed(text))).toBeUndefined()
  })
})
