import { decodeEntry, decodeHead, encodeEntry } from '../../src/core/cache/cache-entry.ts'

const head = {
  generation: 7,
  storedAtMs: 1,
  freshUntilMs: 2,
  staleUntilMs: 3,
  etag: '"tag"',
  tags: ['a', 'б'],
  absent: false,
}

test('what is encoded is decoded, body byte for byte', () => {
  const body = Buffer.from('{"a":"line\\nbreak","б":"\u2028"}')
  expect(decodeEntry(encodeEntry(head, body))).toMatchObject({ ...head, body })
  expect(decodeHead(encodeEntry(head, body).subarray(0, 200))).toMatchObject(head)
})

describe('anything else is no entry', () => {
  test.each([
    ['nothing', ''],
    ['other people’s text', 'hello'],
    ['JSON of others', '{"a":1}\n{}'],
    ['a line that is no JSON', '{"samovar":1,\n{}'],
    ['null', 'null\n'],
    ['a later format', '{"samovar":2}\n{}'],
    ['times that are no numbers', `${JSON.stringify({ samovar: 1, ...head, freshUntilMs: 'x' })}\n{}`],
    ['tags that are no strings', `${JSON.stringify({ samovar: 1, ...head, tags: [1] })}\n{}`],
  ])('%s', (_name, text) => {
    expect(decodeEntry(Buffer.from(text))).toBeUndefined()
  })
})
