// One changed byte, wherever it is, never makes another value: what is decoded is corrupt, or what was written.

import { sealText, unsealText } from '../../src/core/state/kinds/checksum.ts'
import { membersOf } from '../../src/core/state/kinds/expiring-set.ts'
import { claimOf } from '../../src/core/state/kinds/first-write-wins-register.ts'
import type { Pairs } from '../../src/core/state/kinds/kind.ts'
import { kinds, type StateValue } from '../../src/core/state/kinds/kinds.ts'
import { lwwRegisterOf } from '../../src/core/state/kinds/lww-register.ts'
import { entriesOf } from '../../src/core/state/kinds/sliding-window-log.ts'
import { corrupt } from '../../src/lib/codec.ts'

const TIME = '1732798000000000.0123456789'
const END_MS = 1_732_798_360_000
const KEY = 'word:1'
const values: StateValue[] = [
  lwwRegisterOf(KEY, { timestamp: TIME, bytes: Buffer.from('{"user":"telegram:71"}') }),
  lwwRegisterOf(KEY, { timestamp: TIME, bytes: undefined }),
  claimOf(KEY, TIME, Buffer.from('done')),
  { kind: 'max-register', number: 1_732_798_000_123 },
  { kind: 'max-register', number: 0 },
  membersOf(KEY, [{ id: 'ab01', untilMs: END_MS }]),
  { kind: 'sliding-window-log', hits: entriesOf(KEY, { id: 'ab', nowMs: END_MS, cost: 2 }) },
  { kind: 'max-register-map', fields: new Map([['all', 5]]) },
]
const named = values.map((value, i) => [`${value.kind} ${i}`, value] as const)

/** The bytes with each byte in turn as each other byte. */
function* flipsOf(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += 1) {
    const flipped = Buffer.from(bytes)
    const was = bytes[at] as number
    for (let byte = 0; byte < 256; byte += 1) {
      flipped[at] = byte
      if (byte !== was) yield flipped
    }
  }
}

const plain = (value: unknown) => JSON.stringify(value, (_, part) => (part instanceof Map ? [...part] : part))

test.each(named)('%s in Redis', (_, value) => {
  const { inRedis } = kinds[value.kind]
  if (inRedis.type !== 'string') return
  const bytes = inRedis.encode(value, KEY)
  expect(inRedis.decode(bytes, KEY)).toEqual(value)
  expect(inRedis.isCurrent(bytes)).toBe(true)
  expect(inRedis.decode(bytes, 'word:2')).toBe(corrupt)
  const believed = [...flipsOf(bytes)].map((flipped) => inRedis.decode(flipped, KEY))
  expect(believed.filter((found) => found !== corrupt && plain(found) !== plain(value))).toEqual([])
  expect(believed.filter((found) => found !== corrupt)).toEqual([])
})

test.each(named)('%s on disk', (_, value) => {
  const { onDisk } = kinds[value.kind]
  const entry = { value, expiresAtMs: END_MS }
  const bytes = onDisk.encode(entry, KEY)
  expect(onDisk.decode(bytes, KEY, END_MS)).toEqual(entry)
  expect(onDisk.decode(bytes, 'word:2', END_MS)).toBe(corrupt)
  const otherEnd = onDisk.decode(bytes, KEY, END_MS + 1)
  if (otherEnd !== corrupt) expect(otherEnd).toEqual(entry)
  for (const flipped of flipsOf(bytes)) expect(onDisk.decode(flipped, KEY, END_MS)).toBe(corrupt)
})

describe('an entry of a set', () => {
  const { inRedis } = kinds['expiring-set']
  if (inRedis.type === 'string') throw new Error('a set')
  const read = (pairs: Pairs, key = KEY) => inRedis.decode(pairs, key)
  const [{ id, untilMs } = { id: '', untilMs: 0 }] = membersOf(KEY, [
    { id: '1f5b0c', untilMs: END_MS },
  ]).members

  test('its name, its time and its key', () => {
    expect(read([[id, untilMs]])).toMatchObject({ damaged: [], isCurrent: true })
    expect(read([[id, untilMs]], 'word:2').damaged).toHaveLength(1)
    for (const flipped of flipsOf(Buffer.from(id)))
      expect(read([[flipped.toString(), untilMs]]).damaged).toHaveLength(1)
    for (const flipped of flipsOf(Buffer.from(String(untilMs)))) {
      const time = Number(flipped.toString())
      if (Number.isNaN(time) || time === untilMs) continue // Redis takes no such score
      const { value, damaged } = read([[id, time]])
      if (damaged.length === 0) expect(value).toEqual(membersOf(KEY, [{ id, untilMs: END_MS }]))
    }
  })

  test('one of the release before gets its checksum', () => {
    const { value, damaged, isCurrent } = read([[id, END_MS]])
    expect({ value, damaged, isCurrent }).toEqual({
      value: membersOf(KEY, [{ id, untilMs: END_MS }]),
      damaged: [],
      isCurrent: false,
    })
  })
})

test('values of the release before are taken as they are, and get their checksums', () => {
  const { inRedis } = kinds['lww-register']
  if (inRedis.type !== 'string') throw new Error('a string')
  const before = Buffer.from(`${TIME}\n{"user":"telegram:71"}`)
  expect(inRedis.isCurrent(before)).toBe(false)
  expect(inRedis.decode(before, KEY)).toEqual(values[0])
  expect(kinds['max-register'].onDisk.decode(Buffer.from('7'), KEY, END_MS)).toMatchObject({
    value: { number: 7 },
  })
})

test('a text with what is stored beside it', () => {
  const sealed = sealText('job 1', '{"a":1}')
  expect(JSON.parse(sealed)).toEqual({ a: 1 })
  expect(unsealText('job 1', sealed)).toBe('{"a":1}')
  expect(unsealText('job 2', sealed)).toBe(corrupt)
  expect(unsealText('job 1', '{"a":1}')).toBe('{"a":1}')
})
