// What a stranger may learn from a refusal: nothing of which sources there are, neither from its words nor from its cost.

import { decodeAnswer, encodeAnswer } from '../../src/features/webhooks/answers.ts'
import { createJudge, type Source } from '../../src/features/webhooks/judge.ts'
import { type AddressList, addressList, isPrivateAddress } from '../../src/lib/webhooks/address-list.ts'
import {
  answerWith,
  badSignature,
  bytesOfBase64,
  bytesOfHex,
  defineScheme,
  isSignedBy,
  type Signed,
} from '../../src/lib/webhooks/webhook-scheme.ts'
import { recordLog } from '../helpers/log.ts'

const delivery = (headers: Signed['headers']): Omit<Signed, 'secrets'> => ({
  headers,
  body: Buffer.from('{}'),
  url: '',
  nowMs: 0,
  toleranceMs: 0,
})

function open() {
  const tried: string[] = []
  const scheme = (name: string, signatureHeaders: string[]) =>
    defineScheme({
      name,
      signatureHeaders,
      verify: ({ secrets }) => {
        tried.push(`${name} ${secrets.length}`)
        if (secrets.includes('throws')) throw new TypeError('a bug that quotes a secret')
        return secrets.includes('good') ? {} : badSignature('differs')
      },
      idOf: () => 'id',
    })
  const [one, two, bare] = [scheme('one', ['x-one']), scheme('two', ['x-two', 'x-two-b']), scheme('bare', [])]
  const sources = new Map<string, Source>([
    ['first', { scheme: one, secrets: ['a', 'b', 'c'] }],
    ['second', { scheme: two, secrets: ['a'] }],
    ['good', { scheme: one, secrets: ['good'] }],
    ['buggy', { scheme: one, secrets: ['throws'] }],
    ['bare', { scheme: bare, secrets: ['a'], from: addressList(['192.0.2.0/24']) as AddressList }],
    ['far', { scheme: bare, secrets: ['good'], from: addressList(['192.0.2.0/24']) as AddressList }],
  ])
  const { log, lines } = recordLog()
  const { judge, judgeEarly } = createJudge({ schemes: [one, two, bare], sources, log })
  return {
    lines,
    judgeEarly,
    judge(source: string, headers: Signed['headers'], address = '192.0.2.1') {
      tried.length = 0
      const verdict = judge(sources.get(source), delivery(headers), address)
      return { verdict, tried: [...tried] }
    },
  }
}

test('a refusal costs the same for each source and for none: as many trials, with as many secrets', () => {
  const { judge } = open()
  const bodies = [{ 'x-one': 'a' }, { 'x-two': 'a' }, { 'x-one': 'a', 'x-two': 'a' }, {}]
  for (const headers of bodies) {
    const unknown = judge('nobody', headers)
    expect(unknown.tried.length).toBeGreaterThan(0)
    for (const name of ['first', 'second', 'bare', 'constructor'])
      expect(judge(name, headers).tried).toEqual(unknown.tried)
    expect(unknown.tried.every((one) => one.endsWith(' 3'))).toBe(true)
  }
})

test('which check failed is said for the log alone', () => {
  const { judge, judgeEarly, lines } = open()
  expect(judge('first', { 'x-one': 'a' }).verdict).toMatchObject({ reason: 'differs' })
  expect(judge('first', { 'x-two': 'a' }).verdict).toMatchObject({
    reason: 'no signature header of its scheme',
  })
  expect(judge('nobody', { 'x-one': 'a' }).verdict).toMatchObject({ reason: 'no such source' })
  expect(judge('far', {}, '198.51.100.1').verdict).toMatchObject({
    reason: expect.stringContaining('not its sender'),
  })
  expect(judge('far', {}, '10.0.0.1').verdict).toMatchObject({
    reason: expect.stringContaining('TRUST_PROXY'),
  })
  expect(judge('far', {}, '::ffff:192.0.2.9').verdict).toEqual({})
  expect(judge('good', { 'x-one': 'a' }).verdict).toEqual({})
  expect(judgeEarly({}, '198.51.100.1')).toMatchObject({ reason: 'no signature header' })
  expect(judgeEarly({}, '192.0.2.1')).toBe('unsigned')
  expect(judgeEarly({ 'x-two': '' }, undefined)).toBe('signed')
  expect(judgeEarly({ 'x-one': 'a', 'x-two': 'a', 'x-two-b': 'a' }, undefined)).toMatchObject({
    refused: 'bad_signature',
  })
  expect(judge('buggy', { 'x-one': 'a' }).verdict).toMatchObject({
    refused: 'bad_signature',
    reason: 'the scheme failed',
  })
  expect(lines).toMatchObject([{ level: 'error', fields: { problem: 'one', error: 'TypeError' } }])
  expect(JSON.stringify(lines)).not.toContain('quotes')
})

test('all secrets are compared, also behind the one that is right', () => {
  const seen: string[] = []
  const sign = (secret: string) => {
    seen.push(secret)
    return Buffer.from(secret)
  }
  expect(isSignedBy(['a', 'b', 'c'], [Buffer.from('a')], sign)).toBe(true)
  expect(isSignedBy(['a', 'b', 'c'], [Buffer.from('long')], sign)).toBe(false)
  expect(seen).toEqual(['a', 'b', 'c', 'a', 'b', 'c'])
})

test.each([
  [
    'in hex',
    bytesOfHex,
    'ab'.repeat(32),
    ['AB'.repeat(32), 'ab'.repeat(31), 'ab'.repeat(33), 'zz'.repeat(32), ''],
  ],
  [
    'in base64',
    bytesOfBase64,
    Buffer.alloc(32, 7).toString('base64'),
    [
      Buffer.alloc(31).toString('base64'),
      Buffer.alloc(33).toString('base64'),
      `${'A'.repeat(42)}==`,
      'A'.repeat(44),
      `${'A'.repeat(43)}_`,
      '',
    ],
  ],
] as const)('bytes %s are read strictly', (_name, read, good, bad) => {
  expect(read(good)?.length).toBe(32)
  for (const text of bad) expect(read(text)).toBeUndefined()
})

describe('addresses', () => {
  test('of networks, of both versions', () => {
    const list = addressList(['185.71.76.0/27', '77.75.156.11', '2a02:5180::/32']) as AddressList
    for (const good of [
      '185.71.76.31',
      '::ffff:185.71.76.1',
      '77.75.156.11',
      '2a02:5180::1',
      '2A02:5180:1::',
    ])
      expect([good, list.has(good)]).toEqual([good, true])
    for (const bad of [
      '185.71.76.32',
      '77.75.156.12',
      '2a02:5181::1',
      '',
      'x',
      undefined,
      '185.71.76.1, 1.1.1.1',
    ])
      expect([bad, list.has(bad)]).toEqual([bad, false])
  })

  test.each([
    '',
    'x',
    '1.2.3',
    '1.2.3.4/',
    '1.2.3.4/33',
    '1.2.3.4/-1',
    '1.2.3.4/8/8',
    '::/129',
    'fe80::1%eth0',
    '1.2.3.4/1e1',
  ])('%j is none', (entry) => expect(addressList(['192.0.2.1', entry])).toEqual({ wrong: 2 }))

  test('a proxy’s own address is told apart from others', () => {
    expect(['10.1.2.3', '::ffff:192.168.0.1', '::1', 'fd00::1'].map(isPrivateAddress)).toEqual([
      true,
      true,
      true,
      true,
    ])
    expect([isPrivateAddress('8.8.8.8'), isPrivateAddress(undefined)]).toEqual([false, false])
  })
})

describe('answers', () => {
  const bytes = (answer: { body?: string | Uint8Array }) => Buffer.from(answer.body as Uint8Array)

  test('JSON as before, and nothing as the scheme says', () => {
    expect(encodeAnswer({ a: 1 }).toString()).toBe('{"a":1}')
    expect(decodeAnswer(Buffer.from('"!x"'))).toMatchObject({
      status: 200,
      contentType: 'application/json; charset=utf-8',
    })
    expect(decodeAnswer(encodeAnswer(undefined))).toEqual({ status: 204 })
    expect(decodeAnswer(Buffer.alloc(0), { status: 200, body: 'OK' })).toEqual({ status: 200, body: 'OK' })
  })

  test('any bytes and status survive being kept as text', () => {
    const body = Buffer.from([0, 255, 254, 128, 33])
    const kept = encodeAnswer(answerWith({ status: 418, contentType: 'application/octet-stream', body }))
    const answer = decodeAnswer(Buffer.from(kept.toString()))
    expect([answer.status, answer.contentType]).toEqual([418, 'application/octet-stream'])
    expect(bytes(answer)).toEqual(body)
    expect(bytes(decodeAnswer(encodeAnswer(answerWith({ status: 200, body: 'ОК!' })))).toString()).toBe('ОК!')
    // An object that looks like one is JSON.
    expect(encodeAnswer({ status: 200, body: 'x' }).toString()).toBe('{"status":200,"body":"x"}')
  })

  test.each([
    { status: 99 },
    { status: 101 },
    { status: 600 },
    { status: 200.5 },
    { status: 204, body: 'x' },
    { status: 200, contentType: 'text/plain\r\nX: y' },
  ])('%j is refused as it is made', (answer) => expect(() => answerWith(answer)).toThrow(RangeError))
})

describe('a scheme with a mistake ends the start', () => {
  const good = { name: 'mine', signatureHeaders: ['x-mine'], verify: () => ({}), idOf: () => 'id' }
  test.each([
    [{ name: 'My scheme' }, 'a-z, 0-9 and -'],
    [{ signatureHeaders: ['X-Mine'] }, 'lower case'],
    [{ handlerHeaders: ['X-Mine'] }, 'lower case'],
    [{ signatureHeaders: ['a', 'b', 'c'] }, 'more than 2'],
    [{ confirm: async () => ({ confirmed: 1 }) }, 'no apiUrl'],
    [{ answer: { status: 99 } }, 'status'],
  ])('%j', (changed, sentence) => {
    expect(() => defineScheme({ ...good, ...changed })).toThrow(sentence)
    expect(Object.isFrozen(defineScheme(good))).toBe(true)
  })
})
