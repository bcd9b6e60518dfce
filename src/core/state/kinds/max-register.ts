// A number that only grows. In Redis it is written with its checksum behind so many zeros that every reader rounds it
// off: "7.00000000000000001234567890".

import { type Corrupt, corrupt } from '../../../lib/codec.ts'
import { script } from '../../redis/script-runner.ts'
import { crcUnder } from './checksum.ts'
import { type Kind, mergeBy } from './kind.ts'
import { onDiskAsText } from './text-on-disk.ts'

export interface MaxRegister {
  readonly kind: 'max-register'
  readonly number: number
}

const STORED_AS = 'mark'
const WHOLE = /^\d{1,16}$/
const SEALED = /^(\d{1,16})\.0{16}\d{10}$/
// Of the release before, and what is no whole number. Shorter than any with a checksum.
const PLAIN = /^-?\d+(\.\d+)?(e[+-]?\d+)?$/
const MOST_PLAIN_BYTES = 24

// What is no number counts as absent.
const MERGE = script(`
local there = redis.call('GET', KEYS[1])
local mine, number = tonumber(there or ''), tonumber(ARGV[2])
if mine and mine > number then return { 0, there } end
local leftMs = tonumber(ARGV[1])
if mine == number then leftMs = math.max(leftMs, redis.call('PTTL', KEYS[1])) end
if there ~= ARGV[2] or leftMs == tonumber(ARGV[1]) then redis.call('SET', KEYS[1], ARGV[2], 'PX', leftMs) end
if there and there ~= ARGV[2] and (not mine or mine == number) then return { 1, there } end
return 1`)

function textOf(number: number, key: string): string {
  const text = String(number)
  if (!WHOLE.test(text)) return text
  return `${text}.${'0'.repeat(16)}${String(crcUnder(STORED_AS, key, text)).padStart(10, '0')}`
}

function numberIn(text: string, key: string): number | Corrupt {
  const [, whole] = SEALED.exec(text) ?? []
  if (whole !== undefined) return textOf(Number(whole), key) === text ? Number(whole) : corrupt
  const number = text.length <= MOST_PLAIN_BYTES && PLAIN.test(text) ? Number(text) : Number.NaN
  return Number.isFinite(number) ? number : corrupt
}

function decode(text: string, key: string): MaxRegister | Corrupt {
  const number = numberIn(text, key)
  return number === corrupt ? corrupt : { kind: 'max-register', number }
}

export const maxRegister: Kind<MaxRegister> = {
  name: 'max-register',
  storedAs: STORED_AS,
  merge: mergeBy((a, b) => a.number > b.number),
  script: MERGE,
  toArguments: ({ number }, key) => [textOf(number, key)],
  inRedis: {
    type: 'string',
    encode: ({ number }, key) => Buffer.from(textOf(number, key)),
    decode: (bytes, key) => decode(bytes.toString(), key),
    isCurrent: (bytes) => bytes.length > MOST_PLAIN_BYTES,
  },
  onDisk: onDiskAsText(STORED_AS, ({ number }) => String(number), decode),
  sizeOf: () => 40,
}
