// Makes the request of a seed and a number: a route of the app, credentials or none, and what is changed in them.
import { randomBytes } from 'node:crypto'
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import { Webhook } from 'standardwebhooks'
import type { AppRoute } from '../helpers/app-routes.ts'
import { changeOne, METHODS } from '../helpers/odd-values.ts'
import { createRandom, type Random } from '../helpers/random.ts'
import type { Insiders, MadeRequest, Proof } from './made.ts'
import { HEADERS, json, object, oddJson, text } from './values.ts'
import { frames, handshakeHeaders } from './web-socket.ts'

const TYPES = [
  'text/plain',
  'application/xml',
  'multipart/form-data; boundary=x',
  'application/json; charset=x',
  '/',
]
const BODY_LIMIT = 100 * 1024

export interface Parts {
  readonly routes: readonly AppRoute[]
  readonly sockets: ReadonlySet<string>
  readonly names: readonly string[]
  readonly insiders: Insiders
}

interface Draft {
  method: string
  target: string
  headers: [name: string, value: string][]
  body: Buffer
  proofs: Set<Proof>
  wrong: string[]
  isCut: boolean
  frames: Buffer | undefined
}

export function makeRequest(seed: number, index: number, parts: Parts): MadeRequest {
  const random = createRandom(Math.imul(seed, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b))
  const route = parts.routes[index % parts.routes.length] as AppRoute
  const draft: Draft = {
    method: route.method === 'ALL' ? 'GET' : route.method,
    target: targetOf(route, random, parts),
    // Nobody is limited because of others, but for some.
    headers: [
      [
        'X-Forwarded-For',
        random.chance(0.04)
          ? '203.0.113.9'
          : `2001:db8:${(index % 65_536).toString(16)}:${Math.floor(index / 65_536).toString(16)}::1`,
      ],
    ],
    body: Buffer.alloc(0),
    proofs: new Set(),
    wrong: [],
    isCut: false,
    frames: undefined,
  }
  addProofs(draft, random, parts)
  if (parts.sockets.has(route.path) && random.chance(0.8)) {
    draft.headers.push(...handshakeHeaders(random))
    draft.frames = frames(random, () => JSON.stringify(object(random, [...parts.names, 'type'])))
  } else if (route.method !== 'GET' || random.chance(0.03)) addBody(draft, random, parts)
  if (route.path.startsWith('/api/webhooks/')) sign(draft, random, parts)
  if (random.chance(0.1)) draft.method = random.pick(METHODS)
  while (random.chance(0.35)) addHeader(draft, random)
  if (random.chance(0.06)) spoilTarget(draft, random)
  return { index, ...draft, ...write(draft, random) }
}

function targetOf({ method, path }: AppRoute, random: Random, { names }: Parts): string {
  const filled = path.replace(/:\w+/g, () => encodeURIComponent(text(random)) || '-')
  const target =
    method === 'ALL'
      ? `${filled}/${random.pick(['', 'site.css', '../', '%2e%2e/', encodeURIComponent(text(random))])}`
      : filled
  if (random.chance(0.4)) return target
  const pair = () => `${random.pick(names)}=${random.chance(0.9) ? encodeURIComponent(text(random)) : '%zz'}`
  return `${target}?${Array.from({ length: 1 + random.below(4) }, pair).join('&')}`
}

function addProofs(draft: Draft, random: Random, { insiders: { cookies, adminToken } }: Parts): void {
  if (random.chance(0.5)) {
    const cookie = random.pick(cookies)
    const isForged = random.chance(0.3)
    draft.headers.push(['Cookie', isForged ? changeOne(cookie.slice(0, -6), random) : cookie])
    if (!isForged) draft.proofs.add('user')
  } else if (random.chance(0.1))
    draft.headers.push(['Cookie', `sid=${text(random)}`.replace(/[^\x20-\x7e]/g, '?')])
  if (random.chance(0.25)) {
    const isForged = random.chance(0.5)
    const token = isForged
      ? random.pick([changeOne(adminToken, random), adminToken.slice(1), `${adminToken}x`, ''])
      : adminToken
    const basic = `Basic ${Buffer.from(`admin:${token}`).toString('base64')}`
    draft.headers.push(['Authorization', random.chance(0.7) ? `Bearer ${token}` : basic])
    if (!isForged) draft.proofs.add('admin')
  }
}

function addBody(draft: Draft, random: Random, { names }: Parts): void {
  const [type, body] = random.pick<() => [string, Buffer | string]>([
    () => ['application/json', JSON.stringify(object(random, names))],
    () => ['application/json', JSON.stringify(object(random, names))],
    () => ['application/json', JSON.stringify(json(random, names, 6))],
    () => ['application/json', oddJson(random)],
    () => [
      'application/json',
      JSON.stringify({ x: 'x'.repeat(random.pick([1_000, 99_000, 103_000, 300_000])) }),
    ],
    () => [
      'application/x-www-form-urlencoded',
      `${random.pick(names)}=${encodeURIComponent(text(random))}&a[b]=%zz`,
    ],
    () => [random.pick(TYPES), JSON.stringify(object(random, names))],
    () => [
      'application/json',
      Buffer.from(Array.from({ length: random.below(200) }, () => random.below(256))),
    ],
  ])()
  const plain = Buffer.from(body)
  if (plain.length > 0) draft.headers.push(['Content-Type', type])
  const isJson = type === 'application/json'
  if (isJson && plain.length > 0 && !isParsable(plain)) draft.wrong.push('not JSON')
  if (TYPES.includes(type)) draft.wrong.push('type of the body')
  if (plain.length > BODY_LIMIT) draft.wrong.push('size')
  draft.body = encode(draft, plain, random)
}

function isParsable(bytes: Buffer): boolean {
  try {
    JSON.parse(bytes.toString().replace(/^\ufeff/, ''))
    return true
  } catch {
    return false
  }
}

function encode({ headers, wrong }: Draft, plain: Buffer, random: Random): Buffer {
  if (plain.length === 0 || random.chance(0.85)) return plain
  const encoded = random.pick<() => [string, Buffer]>([
    () => ['gzip', gzipSync(plain)],
    () => ['br', brotliCompressSync(plain)],
    () => ['deflate', deflateSync(plain)],
    () => ['gzip', plain],
    () => ['x-odd', plain],
    () => ['gzip', gzipSync(plain).subarray(0, -5)],
  ])
  const [encoding, bytes] = encoded()
  headers.push(['Content-Encoding', encoding])
  if (bytes === plain) wrong.push(`not ${encoding}`)
  return bytes
}

/** What is signed here may be as odd as it likes: it is the sender's own. */
function sign(draft: Draft, random: Random, { insiders: { webhookSecret } }: Parts): void {
  if (!random.chance(0.7)) return
  if (random.chance(0.6)) draft.target = '/api/webhooks/payments'
  const [id, at] = [`fuzz-${random.below(2 ** 31)}`, new Date()]
  const isForged = random.chance(0.5)
  const right = new Webhook(webhookSecret).sign(id, at, draft.body)
  const value = isForged ? `v1,${changeOne(right.slice(3), random)}` : right
  draft.headers.push(
    ['Webhook-Id', id],
    ['Webhook-Timestamp', String(Math.floor(at.getTime() / 1_000))],
    ['Webhook-Signature', value],
  )
  if (!isForged) draft.proofs.add('signature')
}

function addHeader({ headers, method, wrong }: Draft, random: Random): void {
  const [name, ...values] = random.pick(HEADERS)
  const value = random.pick(values)
  headers.push([name, value])
  const isOfOthers = (name === 'Sec-Fetch-Site' && value === 'cross-site') || value === 'https://evil.example'
  if (isOfOthers && name !== 'Referer' && !['GET', 'HEAD'].includes(method)) wrong.push('another site')
}

function spoilTarget(draft: Draft, random: Random): void {
  const { target } = draft
  draft.target = random.pick([
    () => target.toUpperCase(),
    () => `/${target}`,
    () => `${target}/`,
    () => target.replace(/.$/, (last) => `%${last.charCodeAt(0).toString(16)}`),
    () => `http://evil.example${target}`,
    () => `${target}%00`,
    () => `${target}?${'a=1&'.repeat(2_000)}`,
    () => `/./x/..${target}`,
    () => target.replace('/', '/%2f'),
    () => `${target}#x`,
    () => target.slice(1),
  ])()
}

function write(draft: Draft, random: Random): { bytes: Buffer; isCut: boolean } {
  const { method, target, headers, body, wrong, frames: sent } = draft
  const own = headers.map(([name, value]) => `${name}: ${value}`)
  const framing: string[] = body.length > 0 ? [`Content-Length: ${body.length}`] : []
  let isCut = false
  if (random.chance(0.03)) {
    const odd = random.pick([
      ['Host: samovar.example', 'two hosts'],
      ['Content-Length: 3', 'two lengths'],
      ['Transfer-Encoding: chunked', 'length and chunks'],
      ['Transfer-Encoding: gzip, chunked', 'length and chunks'],
      ['Content-Length: -1', 'length'],
      ['X y: z', 'name of a header'],
    ])
    framing.push(odd[0] as string)
    headers.push(odd[0]?.split(': ') as [string, string])
    if (odd[1] !== 'two hosts' && odd[1] !== 'name of a header') isCut = true
    if (body.length > 0 || !isCut) wrong.push(odd[1] as string)
  }
  const lines = [
    `${method} ${target} HTTP/1.1`,
    'Host: samovar.example',
    ...own,
    ...framing,
    ...(sent === undefined ? ['Connection: close'] : []),
  ]
  const isHeaderCut = random.chance(0.01)
  const bytes = Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`), body])
  return isHeaderCut ? { bytes: bytes.subarray(0, 40), isCut: true } : { bytes, isCut }
}

/** For tests that need one of their own. */
export const randomSeed = () => randomBytes(4).readUInt32BE()
