// Methods, texts and bodies that have surprised somebody before.
import type { Random } from './random.ts'

export const METHODS = [
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
  'TRACE',
  'PROPFIND',
  'QUERY',
  'BREW',
]

export const ODD_TEXTS = [
  ...['', ' ', '0', '-1', '1e309', 'NaN', 'null', 'undefined', 'true', '[object Object]', '__proto__'],
  ...['constructor', 'toString', '../../etc/passwd', '..%2f..', '<script>alert(1)</script>', "' OR 1=1 --"],
  ...[
    '//evil.example',
    '/\\evil.example',
    'javascript:alert(1)',
    '{{7*7}}',
    '$' + '{7*7}',
    'a:b:c',
    '*',
    '%',
  ],
  ...[
    'x'.repeat(300),
    'x'.repeat(5_000),
    'Ж'.repeat(100),
    '\u202e\u{1f600}',
    'a\tb',
    '9'.repeat(40),
    '٣',
    '１２',
  ],
]
export const ODD_JSON = [
  ...[
    '',
    '{',
    '[]',
    'null',
    'true',
    '5',
    '"text"',
    '{}',
    '[[]]',
    '{"":""}',
    '{"a":1,"a":2}',
    '{"a":}',
    "{'a':1}",
  ],
  ...['{"__proto__":{"isAdmin":true}}', '{"constructor":{"prototype":{"isAdmin":true}}}', '{"toJSON":1}'],
  ...['{"a":"\\ud800"}', '{"a":"\\u0000"}', '{"a":1e999}', '\ufeff{}', '{"a":"\u2028"}', '{"length":1e9}'],
  `${'['.repeat(20_000)}${']'.repeat(20_000)}`,
  `${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`,
  `{${Array.from({ length: 3_000 }, (_, i) => `"f${i}":[]`).join()}}`,
]

/** One letter or digit of it is another one; not of an escape, where another case is no change. */
export function changeOne(text: string, random: Random): string {
  const places = [...text.matchAll(/%[0-9a-f]{2}|[a-z0-9]/gi)].filter(([found]) => found.length === 1)
  const at = random.pick(places).index
  return `${text.slice(0, at)}${text[at] === 'a' ? 'b' : 'a'}${text.slice(at + 1)}`
}
