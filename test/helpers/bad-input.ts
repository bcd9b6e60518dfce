// Requests as an attacker would write them, byte by byte, because fetch refuses to send most of them. Each is made from
// a seed and its number alone, so that one that fails can be made again. Every second one is rightly signed, or carries
// a real cookie or token, and is wrong in one thing: it gets past the first check. None may log anybody in: where the
// wrong thing is not in the login itself, the login in it has been used before.
import { type Draft, type Insider, type Route, routes } from './bad-routes.ts'
import { changeOne, METHODS, ODD_JSON, ODD_TEXTS } from './odd-values.ts'
import { createRandom, type Random } from './random.ts'
import type { RawRequest } from './raw-request.ts'

export interface BadInput extends RawRequest {
  readonly index: number
  readonly route: string
  readonly wrong: string
  /** Status and code, where there can be but one answer; 429 apart. */
  readonly expected: string | undefined
}

const ODD_HOSTS = ['x', 'x:99999', '[', '[::1', '1.2.3.4.5', '256.256.256.256', 'x@y', 'x:y@z', '%', 'xn--a']
const ODD_TARGETS = [
  ...[
    '?',
    '?a',
    '?=',
    '?%',
    '?a=%zz',
    '?a[]=1&a[b]=2',
    '?__proto__=1',
    '?id=1&id=2',
    '?others=true&others=false',
  ],
  ...[
    '%00',
    '%ff',
    '%',
    '%2f..%2f..',
    '/..',
    '/./',
    '//',
    ';a=b',
    '\\',
    '%0d%0aX-Injected:%20yes',
    '#x',
    '?#',
  ],
  ...[
    '?lang=xx',
    '?lang[]=ru',
    '?return=//evil.example',
    `?${'a=1&'.repeat(1_500)}`,
    `/${'x'.repeat(3_000)}`,
  ],
]
const ODD_METHODS = [...METHODS, 'get', '']

// Added to what is there: two of some headers, then.
const ODD_HEADERS: readonly string[] = [
  ...[
    'no colon here',
    ': no name',
    'Name : value',
    'N\u0000me: x',
    'X-Null: a\u0000b',
    'X-Bare: a\rb',
    ' folded',
  ],
  ...['Host: evil.example', 'Host:', 'Content-Length: 5', 'Content-Length: -1', 'Content-Length: 1e1'],
  ...[
    'Content-Length: 99999999999999999999',
    'Transfer-Encoding: chunked',
    'Transfer-Encoding: gzip, chunked',
  ],
  ...['Transfer-Encoding: \u000bchunked', 'Expect: 100-continue', 'Expect: nothing', 'Upgrade: websocket'],
  ...['Content-Encoding: gzip', 'Content-Encoding: br', 'Content-Encoding: x', 'Content-Type: text/html'],
  ...['Content-Type: application/json; charset=x', 'Content-Type: application/json;;;=', 'Content-Type: /'],
  ...[
    'X-Forwarded-Proto: https',
    'X-Forwarded-Proto: javascript',
    'X-Forwarded-Host: evil.example"><script>',
  ],
  ...[
    'X-Forwarded-Host: [',
    'X-Forwarded-For: ::::',
    `X-Forwarded-For: ${'1,'.repeat(3_000)}`,
    'Origin: null',
  ],
  ...['Origin: [', 'Origin: https://evil.example', 'Sec-Fetch-Site: cross-site', 'Sec-Fetch-Site: same-site'],
  ...[
    'Accept: text/html',
    'Accept: ,;q=',
    `Accept: ${'a/b;q=0.1,'.repeat(800)}`,
    'Accept-Language: ;;;ru;q=x',
  ],
  ...[
    `Accept-Language: ${'x-'.repeat(3_000)}`,
    'Range: bytes=9-1',
    'If-None-Match: "',
    'Authorization: Bearer x',
  ],
  ...[
    'Authorization: Bearer',
    `Authorization: Bearer ${' '.repeat(5_000)}x`,
    'X-Request-Id: <b>',
    'TE: trailers',
  ],
  ...[`X-Request-Id: ${'x'.repeat(500)}`, `User-Agent: ${'Mac '.repeat(2_000)}`, 'User-Agent: \u00ff\u00fe'],
  ...['Idempotency-Key: \u00e9', `X-Large: ${'x'.repeat(20_000)}`, 'X-Many: 1\r\n'.repeat(2_500).trimEnd()],
  ...['Webhook-Id: a.b', 'X-Github-Delivery: ', 'Forwarded: for="_x', 'X-HTTP-Method-Override: DELETE'],
]
const ODD_COOKIES = [
  ...[
    'sid',
    'sid=',
    'sid=s:',
    'sid=s:.',
    'sid=s:x.y',
    'sid=s%3Ax.y',
    'sid=j:{"a":1}',
    'sid=%',
    'sid=%ff',
    'sid="',
  ],
  ...[
    '=',
    ';',
    ';;;=;',
    '__proto__=1',
    '__Host-sid=s:x.y',
    'login=.',
    'login=x.y',
    'login=%00',
    'sid=[object Object]',
  ],
  ...[
    'a=b; '.repeat(1_500),
    `sid=s:${'x'.repeat(200_000)}.y`,
    `sid=${'s:'.repeat(4_000)}`,
    'sid=s:\u00ff.\u00ff',
  ],
]

/** The request of that number. */
export async function makeBadInput(seed: number, index: number, insider: Insider): Promise<BadInput> {
  const random = createRandom(Math.imul(seed, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b))
  const route = routes[index % routes.length] as Route
  const isNearlyValid = Math.floor(index / routes.length) % 2 === 0
  // One of them in a while comes from where all those come from, so that limits are met as well.
  const address = random.chance(0.06)
    ? '203.0.113.9'
    : `2001:db8:${index.toString(16)}:${(seed % 0xffff).toString(16)}::1`
  const draft = isNearlyValid ? await spoilt(route, random, insider) : wild(route, random)
  const sent = written(draft, address, random)
  const { wrong, expected } = draft
  return { index, route: route.name, wrong, expected: sent.isCut ? undefined : expected, ...sent }
}

async function spoilt(route: Route, random: Random, insider: Insider): Promise<Draft> {
  if (random.chance(0.6)) return route.nearly(random, insider)
  const draft = route.harmless(insider, random)
  random.pick([spoilMethod, spoilTarget, spoilHeader, spoilCookie, spoilBody])(draft, random)
  return draft
}

function wild(route: Route, random: Random): Draft {
  const draft: Draft = {
    method: route.method,
    target: route.path.replace(':id', 'AAAAAAAAAAAAAAAAAAAAAA'),
    headers: [],
    wrong: 'wild',
  }
  if (route.method === 'POST') draft.headers.push(['Content-Type', 'application/json'])
  for (const spoil of [spoilTarget, spoilHeader, spoilCookie, spoilBody, spoilFields])
    if (random.chance(0.45)) spoil(draft, random)
  if (random.chance(0.08)) spoilMethod(draft, random)
  return draft
}

function spoilMethod(draft: Draft, random: Random): void {
  draft.method = random.pick(ODD_METHODS)
  draft.wrong = `method ${draft.method}`
}

function spoilTarget(draft: Draft, random: Random): void {
  const { target } = draft
  const odd = random.pick(ODD_TARGETS)
  const made = random.pick([
    () => target + odd,
    () => `${target}${odd}`,
    () => (target.includes('?') ? `${target}&${odd.slice(1)}` : target + odd),
    () => `/${target}`,
    () => target.toUpperCase(),
    () => target.replace(/.$/, (last) => `%${last.charCodeAt(0).toString(16)}`),
    () => `${target}/`,
    () => `http://${random.pick(ODD_HOSTS)}${target}`,
    () => target.slice(1),
    () => `${target}\u0000`,
    () => `${target}?\u00e9`,
    () => `${target} `,
  ])()
  draft.target = made
  draft.wrong = `target ${made.slice(0, 60)}`
}

function spoilHeader(draft: Draft, random: Random): void {
  const line = random.pick(ODD_HEADERS)
  const colon = line.indexOf(':')
  draft.headers.push([
    line.slice(0, colon < 0 ? undefined : colon),
    colon < 0 ? NO_COLON : line.slice(colon + 1).trimStart(),
  ])
  draft.wrong = `header ${line.slice(0, 60)}`
}
const NO_COLON = '\u0000no colon'

function spoilCookie(draft: Draft, random: Random): void {
  const own = draft.headers.find(([name]) => name === 'Cookie')
  const odd = random.pick(ODD_COOKIES)
  if (!own) draft.headers.push(['Cookie', odd])
  else {
    own[1] = random.pick([
      () => `${odd}; ${own[1]}`,
      () => `${own[1]}; ${odd}`,
      () => own[1].replace('sid=', '__Host-sid='),
      () => own[1].replace(/\.[^;]*/, ''),
      () => changeOne(own[1], random),
      () => `${own[1]}; ${own[1]}`,
    ])()
  }
  draft.wrong = 'cookie'
}

function spoilBody(draft: Draft, random: Random): void {
  const { body = '' } = draft
  if (!draft.headers.some(([name]) => name === 'Content-Type'))
    draft.headers.push(['Content-Type', 'application/json'])
  draft.body = random.pick<() => Buffer | string>([
    () => random.pick(ODD_JSON),
    () => random.pick(ODD_JSON),
    () => body.slice(0, random.below(body.length)),
    () => Buffer.from([0x7b, 0xff, 0xfe, random.below(256), 0x7d]),
    () => Buffer.from(random.pick(ODD_JSON), 'utf16le'),
    () => '{'.repeat(1 + random.below(110_000)),
    () => `{"initData":${random.pick(ODD_JSON) || 0}}`,
    () => JSON.stringify({ initData: random.pick(ODD_TEXTS) }),
  ])()
  draft.wrong = 'body'
}

/** Fields of the right names with anything in them. */
function spoilFields(draft: Draft, random: Random): void {
  const odd = () => random.pick(ODD_TEXTS)
  if (draft.target.startsWith('/api/webhooks')) {
    for (const name of [
      'webhook-id',
      'webhook-timestamp',
      'webhook-signature',
      'x-hub-signature-256',
      'x-github-delivery',
      'x-telegram-bot-api-secret-token',
    ])
      if (random.chance(0.5)) draft.headers.push([name, odd()])
  } else if (draft.method === 'POST') {
    const fields = ['id', 'first_name', 'auth_date', 'hash', 'initData', 'prefix', 'tag', odd()]
    draft.body = JSON.stringify(
      Object.fromEntries(fields.filter(() => random.chance(0.5)).map((name) => [name, odd()])),
    )
  } else {
    const fields = ['id', 'auth_date', 'hash', 'code', 'state', 'return', 'lang', 'others']
    const pairs = fields.filter(() => random.chance(0.5)).map((name): [string, string] => [name, odd()])
    draft.target = `${draft.target.split('?')[0]}?${new URLSearchParams(pairs)}`
  }
  draft.wrong = 'fields'
}

/** The bytes, with what frames them right or, at times, wrong. */
function written({ method, target, headers, body }: Draft, address: string, random: Random): RawRequest {
  const payload = Buffer.from(body ?? '')
  const framing = payload.length > 0 && random.chance(0.08) ? random.below(4) : undefined
  const declared =
    framing === 0 ? payload.length + 10 : framing === 1 ? Math.max(1, payload.length - 5) : payload.length
  const isChunked = framing === 2
  const lines = [
    `${method} ${target} HTTP/1.1`,
    'Host: samovar.example',
    `X-Forwarded-For: ${address}`,
    ...headers.map(([name, value]) => (value === NO_COLON ? name : `${name}: ${value}`)),
    ...(isChunked
      ? ['Transfer-Encoding: chunked']
      : payload.length > 0
        ? [`Content-Length: ${declared}`]
        : []),
    'Connection: close',
  ]
  const head = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`)
  const chunk = isChunked ? Buffer.from(`${(payload.length + 3).toString(16)}\r\n`) : Buffer.alloc(0)
  const whole = Buffer.concat([
    head,
    chunk,
    framing === 3 ? payload.subarray(0, payload.length / 2) : payload,
  ])
  const isHeaderCut = random.chance(0.02)
  return {
    bytes: isHeaderCut ? whole.subarray(0, random.below(head.length)) : whole,
    isCut: isHeaderCut || framing !== undefined || headers.some(([name]) => FRAMING.has(name.toLowerCase())),
  }
}
const FRAMING = new Set(['content-length', 'transfer-encoding'])
