// The three ways a sender proves who it is: published vectors, and everything that must not pass.
import { createHmac } from 'node:crypto'
import { Webhook } from 'standardwebhooks'
import { github } from '../../src/features/webhooks/schemes/github.ts'
import { standard } from '../../src/features/webhooks/schemes/standard.ts'
import { secretTokenOf, telegram } from '../../src/features/webhooks/schemes/telegram.ts'
import type { Signed } from '../../src/lib/webhooks/webhook-scheme.ts'
import { judged } from '../helpers/judged.ts'

const refused = (reason: string) => ({ refused: reason })

describe('Standard Webhooks', () => {
  // The vector that the libraries of Standard Webhooks are tested with.
  const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
  const id = 'msg_p5jXN8AQM9LWM0D4loKWxJek'
  const sentS = 1_614_265_330
  const sentAtMs = sentS * 1_000
  const body = '{"test": 2432232314}'
  const signature = 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE='
  const headers = { 'webhook-id': id, 'webhook-timestamp': String(sentS), 'webhook-signature': signature }
  const other = `whsec_${Buffer.alloc(24, 7).toString('base64')}`

  const verify = (changed: Partial<Signed> = {}, changedHeaders: Record<string, string | undefined> = {}) =>
    judged(standard, {
      url: '',
      body: Buffer.from(body),
      secrets: [secret],
      nowMs: sentS * 1_000,
      toleranceMs: 300_000,
      ...changed,
      headers: { ...headers, ...changedHeaders },
    })
  const signed = (list: string) => verify({}, { 'webhook-signature': list })
  const sign = (key: string, name: string, timestamp: string, payload: string | Buffer) =>
    `v1,${createHmac('sha256', Buffer.from(key.slice(6), 'base64'))
      .update(`${name}.${timestamp}.`)
      .update(payload)
      .digest('base64')}`

  test('the published vector', () => {
    expect(verify()).toEqual({ id, sentAtMs })
    expect(verify({ secrets: [secret.slice(6)] })).toEqual({ id, sentAtMs })
  })

  test('the same headers under the names of Svix; the set that is signed counts', () => {
    const none = { 'webhook-id': undefined, 'webhook-timestamp': undefined, 'webhook-signature': undefined }
    const svix = { 'svix-id': id, 'svix-timestamp': String(sentS), 'svix-signature': signature }
    expect(verify({}, { ...none, ...svix })).toEqual({ id, sentAtMs })
    const forged = { 'webhook-id': 'msg_forged', 'webhook-signature': `v1,${'A'.repeat(43)}=` }
    expect(verify({}, { ...svix, ...forged })).toEqual({ id, sentAtMs })
    expect(verify({}, { ...none, 'svix-id': id, 'svix-signature': signature })).toEqual(
      refused('bad_signature'),
    )
  })

  test('a secret as Supabase writes it', () => {
    expect(verify({ secrets: [`v1,${secret}`] })).toEqual({ id, sentAtMs })
  })

  test('whatever the package signs', () => {
    for (const payload of ['', '{}', 'что угодно', 'x'.repeat(100_000)]) {
      const given = new Webhook(other).sign('msg_1', new Date(sentS * 1_000), payload)
      const list = { 'webhook-id': 'msg_1', 'webhook-signature': given }
      expect(verify({ body: Buffer.from(payload), secrets: [other] }, list)).toEqual({
        id: 'msg_1',
        sentAtMs,
      })
    }
  })

  test('bytes that are not text', () => {
    const bytes = Buffer.from([0, 255, 254, 10, 128])
    expect(verify({ body: bytes }, { 'webhook-signature': sign(secret, id, String(sentS), bytes) })).toEqual({
      id,
      sentAtMs,
    })
    expect(
      verify({ body: bytes }, { 'webhook-signature': sign(secret, id, String(sentS), bytes.toString()) }),
    ).toEqual(refused('bad_signature'))
  })

  test('any signature with any active secret', () => {
    const second = sign(other, id, String(sentS), body)
    expect(verify({ secrets: [other, secret] })).toEqual({ id, sentAtMs })
    expect(signed(`v1a,abc ${second} v2,${signature.slice(3)} ${signature}`)).toEqual({ id, sentAtMs })
    expect(signed(`${signature} ${signature}`)).toEqual({ id, sentAtMs })
  })

  test.each<[string, string | undefined]>([
    ['no list', undefined],
    ['an empty list', ''],
    ['a list of spaces', '   '],
    ['no version', signature.slice(3)],
    ['an unknown version', `v2,${signature.slice(3)}`],
    ['an asymmetric one', `v1a,${signature.slice(3)}`],
    ['a truncated one', signature.slice(0, -2)],
    ['nothing behind the comma', 'v1,'],
    ['something behind it', `${signature}x`],
    ['reordered', `g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=,v1`],
    ['in hex', `v1,${Buffer.from(signature.slice(3), 'base64').toString('hex')}`],
    ['url-safe base64', signature.replaceAll('+', '-').replaceAll('/', '_')],
    ['divided by commas', `v1,aaaa,${signature}`],
    ['of another key', sign(other, id, String(sentS), body)],
    ['of another id', sign(secret, 'msg_2', String(sentS), body)],
    ['of another time', sign(secret, id, String(sentS + 1), body)],
    ['of another body', sign(secret, id, String(sentS), `${body} `)],
    ['of the parts in another order', sign(secret, String(sentS), id, body)],
    ['behind ten others', `${`v1,${'A'.repeat(43)}= `.repeat(10)}${signature}`],
  ])('refuses %s', (_name, list) => {
    expect(verify({}, { 'webhook-signature': list })).toEqual(refused('bad_signature'))
  })

  test.each<[string, string | undefined]>([
    ['none', undefined],
    ['a fraction', `${sentS}.5`],
    ['an exponent', '1.614265330e9'],
    ['digits and more', `${sentS}abc`],
    ['hex', '0x60381f72'],
    ['a sign', `+${sentS}`],
    ['a space', ` ${sentS}`],
    ['too many digits', '1'.repeat(30)],
  ])('a timestamp must be digits: refuses %s', (_name, timestamp) => {
    const list = sign(secret, id, timestamp ?? '', body)
    expect(verify({}, { 'webhook-timestamp': timestamp, 'webhook-signature': list })).toEqual(
      refused('bad_signature'),
    )
  })

  test.each<[string, string | undefined]>([
    ['none', undefined],
    ['an empty one', ''],
    ['one with a full stop', 'msg.1'],
    ['one with a space', 'msg 1'],
    ['two of them', 'msg_1, msg_1'],
    ['one that is too long', 'a'.repeat(256)],
  ])('an id must be a word: refuses %s', (_name, name) => {
    const list = sign(secret, name ?? '', String(sentS), body)
    expect(verify({}, { 'webhook-id': name, 'webhook-signature': list })).toEqual(refused('bad_signature'))
  })

  test.each([
    [300, { id, sentAtMs }],
    [-300, { id, sentAtMs }],
    [301, refused('outside_tolerance')],
    [-301, refused('outside_tolerance')],
  ])('received %d s after it was signed', (afterS, verdict) => {
    expect(verify({ nowMs: (sentS + afterS) * 1_000 })).toEqual(verdict)
  })

  test('the tolerance can be set, and is not told to whoever has no secret', () => {
    expect(verify({ nowMs: (sentS + 301) * 1_000, toleranceMs: 600_000 })).toEqual({ id, sentAtMs })
    const forged = sign(other, id, String(sentS), body)
    expect(verify({ nowMs: 0 }, { 'webhook-signature': forged })).toEqual(refused('bad_signature'))
  })
})

describe('GitHub', () => {
  // docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries: "Testing the webhook payload validation"
  const secret = "It's a Secret to Everybody"
  const signature = 'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17'
  const id = '72d3162e-cc78-11e3-81ab-4c9367dc0958'
  const headers = { 'x-hub-signature-256': signature, 'x-github-delivery': id }
  const verify = (changedHeaders: Record<string, string | undefined> = {}, secrets = [secret]) =>
    judged(github, {
      url: '',
      body: Buffer.from('Hello, World!'),
      secrets,
      nowMs: 0,
      toleranceMs: 0,
      headers: { ...headers, ...changedHeaders },
    })

  test('the published vector, with any active secret', () => {
    expect(verify()).toEqual({ id })
    expect(verify({}, ['another one', secret])).toEqual({ id })
  })

  test.each<[string, Record<string, string | undefined>, string[]]>([
    ['none', { 'x-hub-signature-256': undefined }, [secret]],
    ['an empty one', { 'x-hub-signature-256': '' }, [secret]],
    ['a truncated one', { 'x-hub-signature-256': signature.slice(0, -1) }, [secret]],
    ['no algorithm', { 'x-hub-signature-256': signature.slice(7) }, [secret]],
    ['SHA-1', { 'x-hub-signature-256': signature.replace('sha256', 'sha1') }, [secret]],
    ['two of them', { 'x-hub-signature-256': `${signature}, ${signature}` }, [secret]],
    ['one of another secret', {}, ['another one']],
  ])('refuses %s', (_name, changed, secrets) => {
    expect(verify(changed, secrets)).toEqual(refused('bad_signature'))
  })

  test('a delivery without an id cannot be told from others', () => {
    expect(verify({ 'x-github-delivery': undefined })).toEqual(refused('no_id'))
    expect(verify({ 'x-github-delivery': 'a b' })).toEqual(refused('no_id'))
  })
})

describe('Telegram', () => {
  const verify = (token: string | undefined, body = '{"update_id":10000,"message":{}}') =>
    judged(telegram, {
      url: '',
      body: Buffer.from(body),
      secrets: ['old-token', 'new-token'],
      nowMs: 0,
      toleranceMs: 0,
      headers: { 'x-telegram-bot-api-secret-token': token },
    })

  test('the id is that of the update', () => {
    expect(verify('old-token')).toEqual({ id: '10000' })
    expect(verify('new-token')).toEqual({ id: '10000' })
  })

  test('of a bot’s token the secret follows, and the token itself is none', () => {
    const botToken = '110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw'
    const secretToken = secretTokenOf(botToken)
    expect(secretToken).toMatch(/^[0-9a-f]{64}$/)
    const headers = (token: string) => ({ headers: { 'x-telegram-bot-api-secret-token': token } })
    const given = { body: Buffer.from('{"update_id":1}'), url: '', nowMs: 0, toleranceMs: 0 }
    const secrets = ['another-token', botToken]
    expect(judged(telegram, { ...given, ...headers(secretToken), secrets })).toEqual({ id: '1' })
    expect(judged(telegram, { ...given, ...headers(botToken), secrets })).toEqual(refused('bad_signature'))
  })

  test.each([undefined, '', 'old', 'old-token ', 'old-token, old-token', 'OLD-TOKEN'])(
    'refuses %j',
    (token) => {
      expect(verify(token)).toEqual(refused('bad_signature'))
    },
  )

  test.each(['', 'null', '[]', '{}', '{"update_id":"1"}', '{"update_id":1.5}', '{"update_id":'])(
    'no id in %j',
    (body) => {
      expect(verify('old-token', body)).toEqual(refused('no_id'))
    },
  )
})
