// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references of shells and templates, as people leave them
import { cleanName, cleanValue, isInjected, unreplacedIn } from '../../src/lib/environment/clean-value.ts'

const textOf = (raw: string, isFree = false) => cleanValue(raw, 'NAME', { isFree }).text

test.each<[string, string, string]>([
  ['a line break', '8080\n', '8080'],
  ['a line break of Windows', '8080\r\n', '8080'],
  ['what is left of CRLF', '8080\r', '8080'],
  ['spaces', '  8080\t', '8080'],
  ['a no-break space', '\u00a08080\u202f', '8080'],
  ['a byte order mark', '\ufeff8080', '8080'],
  ['a space without width', '8080\u200b', '8080'],
  ['double quotes', '"8080"', '8080'],
  ['single quotes', "'8080'", '8080'],
  ['backticks', '`8080`', '8080'],
  ['quotes of an editor', '“8080”', '8080'],
  ['German and Russian quotes', '«8080»', '8080'],
  ['quotes and a line break', '"8080"\r\n', '8080'],
  ['a line break in the quotes', '"8080\n"', '8080'],
  ['a line break in the quotes, as letters', '"8080\\n"', '8080'],
  ['spaces inside the quotes', '" 8080\t"', '8080'],
  ['spaces inside quotes in quotes', `"' 8080 '"`, '8080'],
  ['quotes in quotes', `"'8080'"`, '8080'],
  ['empty quotes', "''", ''],
  ['a comment', '8080 # the port', '8080'],
  ['a comment without a space', '8080 #port', '8080'],
  ['a comment after a tab', '8080\t# port', '8080'],
  ['a comment after quotes', '"8080" # the "port"', '8080'],
  ['a comment that touches the quotes', "'8080'#port", '8080'],
  ['nothing but a comment', '# the port', ''],
  ['nothing but a comment, after spaces', '   # the port', ''],
  ['its own name', 'NAME=8080', '8080'],
  ['a whole line of a shell', 'export NAME="8080" # port', '8080'],
  ['null of Laravel', 'null', ''],
  ['a template’s nothing', 'undefined', ''],
])('without %s', (_name, raw, text) => {
  expect(textOf(raw)).toBe(text)
})

test.each<[string, string]>([
  ['a # in a password', 'redis://:p#ss@redis:6379'],
  ['a # at the end', 'secret#'],
  ['a # at the beginning', 'redis://#x@h'],
  ['a quote inside', "it's"],
  ['a quote that nothing closes', '"secret'],
  ['two values in quotes', '"a","b"'],
  ['an equals sign', 'OTHER=8080'],
  ['JSON', '[{"urls":"stun:x"}]'],
  ['spaces inside', 'one two'],
])('%s stays', (_name, raw) => {
  expect(textOf(raw)).toBe(raw)
})

test('where a value may have spaces, a comment has one on both sides; quotes keep all of it', () => {
  expect(textOf('my #1 secret', true)).toBe('my #1 secret')
  expect(textOf('secret # of the session', true)).toBe('secret')
  expect(textOf('"my # secret"', true)).toBe('my # secret')
  expect(textOf('#secret', true)).toBe('#secret')
  expect(textOf('" padded "', true)).toBe(' padded ')
  expect(textOf('"[{\\"urls\\":\\"stun:x\\"}]"')).toBe('[{"urls":"stun:x"}]')
})

test('what was around is named, never what was inside', () => {
  expect(cleanValue('"sentinel" # sentinel\n', 'NAME').without).toEqual([
    'line breaks',
    'quotes',
    'a comment',
  ])
  expect(cleanValue('plain', 'NAME').without).toEqual([])
})

test.each([
  ['redis://:${REDIS_PASSWORD}@redis', '${REDIS_PASSWORD}'],
  ['${{ secrets.REDIS_URL }}', '${{ secrets.REDIS_URL }}'],
  ['redis://:$(REDIS_PASSWORD)@redis', '$(REDIS_PASSWORD)'],
  ['{{ .Values.redis.url }}', '{{ .Values.redis.url }}'],
  ["'${LITERAL}'", undefined],
  ['pa$$word$1', undefined],
])('%s has the reference %s that nothing has replaced', (raw, found) => {
  expect(unreplacedIn(cleanValue(raw, 'NAME'))).toBe(found)
})

test('names as files carry them, and values that nobody set', () => {
  expect(['export PORT', '\ufeffPORT', ' PORT ', 'PORT'].map(cleanName)).toEqual(Array(4).fill('PORT'))
  expect(['tcp://10.0.0.2:6379', 'udp://10.0.0.2:53', 'tcp://[fd00::2]:6379'].map(isInjected)).toEqual([
    true,
    true,
    true,
  ])
  expect(['redis://10.0.0.2:6379', '6379', 'tcp'].map(isInjected)).toEqual([false, false, false])
})
