// A number that only grows.

import { corrupt } from '../../../lib/codec.ts'
import { script } from '../../redis/script-runner.ts'
import { type Kind, mergeBy } from './kind.ts'

export interface MaxRegister {
  readonly kind: 'max-register'
  readonly number: number
}

// What is no number counts as absent.
const MERGE = script(`
local mine, number = tonumber(redis.call('GET', KEYS[1]) or ''), tonumber(ARGV[2])
if mine and mine > number then return 0 end
if mine == number and redis.call('PTTL', KEYS[1]) >= tonumber(ARGV[1]) then return 1 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[1])
return 1`)

export const maxRegister: Kind<MaxRegister> = {
  name: 'max-register',
  storedAs: 'mark',
  merge: mergeBy((a, b) => a.number > b.number),
  script: MERGE,
  toArguments: ({ number }) => [number],
  encode: ({ number }) => Buffer.from(String(number)),
  decode(bytes) {
    const text = bytes.toString().trim()
    const number = Number(text)
    return text !== '' && Number.isFinite(number) ? { kind: 'max-register', number } : corrupt
  },
  inRedis: { type: 'string' },
  sizeOf: () => 40,
}
