// What is put into paths, queries, fields and headers.
import { ODD_JSON, ODD_TEXTS } from '../helpers/odd-values.ts'
import type { Random } from '../helpers/random.ts'

/** What gets past a schema: so that what is behind it is reached. */
const PLAUSIBLE = [
  ...[
    'bitcoin',
    'ethereum',
    'usd',
    'eur',
    'rub',
    '1',
    '7',
    '30',
    '100',
    'ru',
    'en',
    'DE',
    'ru-RU',
    'above',
    'below',
  ],
  ...[
    'telegram',
    'webhook',
    'https://example.com/hook',
    'payments',
    'repo',
    'true',
    '/account',
    'bitcoin,ethereum',
  ],
  ...['AAAAAAAAAAAAAAAAAAAAAA', '00000000-0000-4000-8000-000000000000', String(Date.UTC(2026, 0, 1) / 1_000)],
]

export const text = (random: Random) => random.pick(random.chance(0.55) ? PLAUSIBLE : ODD_TEXTS)

/** Any JSON, not deeper than `depth`. */
export function json(random: Random, names: readonly string[], depth = 3): unknown {
  const value = () => json(random, names, depth - 1)
  const simple = [
    () => text(random),
    () => random.below(2 ** 31) - 2 ** 20,
    () => random.chance(0.5),
    () => null,
    () => Number(text(random)) || 1.5,
  ]
  if (depth === 0 || random.chance(0.6)) return random.pick(simple)()
  if (random.chance(0.4)) return Array.from({ length: random.below(4) }, value)
  return Object.fromEntries(Array.from({ length: random.below(5) }, () => [random.pick(names), value()]))
}

/** An object of names that the app knows. */
export const object = (random: Random, names: readonly string[]) =>
  Object.fromEntries(
    Array.from({ length: 1 + random.below(8) }, () => [random.pick(names), json(random, names)]),
  )

export const oddJson = (random: Random) => random.pick(ODD_JSON)

export const HEADERS: readonly (readonly [name: string, ...values: string[]])[] = [
  ['Accept', '*/*', 'text/html', 'application/json', 'image/*;q=9', ',;q=', 'x'.repeat(3_000)],
  ['Accept-Language', 'ru', 'en;q=0', 'xx-YY', ';;;', 'x-'.repeat(2_000)],
  ['Accept-Encoding', 'gzip', 'br', 'identity;q=0', '*;q=0'],
  ['If-None-Match', '*', '"x"', 'W/"x"', '"'],
  ['If-Modified-Since', 'Thu, 01 Jan 1970 00:00:00 GMT', 'yesterday'],
  ['Range', 'bytes=0-0', 'bytes=9-1', 'bytes=-5', 'lines=1-2', `bytes=${'0-1,'.repeat(500)}0-1`],
  ['Origin', 'null', 'http://samovar.example', 'https://evil.example', '['],
  ['Sec-Fetch-Site', 'cross-site', 'same-site', 'same-origin', 'none', 'x'],
  ['Referer', 'https://evil.example/', 'http://samovar.example/account'],
  ['Expect', '100-continue', 'nothing'],
  ['Upgrade', 'websocket', 'h2c', 'TLS/1.0'],
  ['Idempotency-Key', 'x', 'a key', '\u00e9', 'k'.repeat(300)],
  ['X-Forwarded-Proto', 'https', 'javascript'],
  ['X-Forwarded-Host', 'evil.example', '['],
  ['X-Forwarded-For', '::::', '127.0.0.1', '1,'.repeat(500)],
  ['X-HTTP-Method-Override', 'DELETE', 'POST'],
  ['X-Request-Id', '<b>', 'x'.repeat(100), 'plain'],
  ['User-Agent', '', 'Mozilla/5.0', 'Mac '.repeat(1_000), '\u00ff'],
  ['Cache-Control', 'no-cache', 'only-if-cached'],
  ['TE', 'trailers', 'gzip'],
  ['Forwarded', 'for="_x";proto=https', ';;'],
]
