// Something that happens once: the earliest version counts.

import { corrupt } from '../../../lib/codec.ts'
import { script } from '../../redis/script-runner.ts'
import { type Kind, mergeBy, type Timestamp } from './kind.ts'
import { decodeTimestamped, encodeTimestamped, headInLua, sizeOfTimestamped } from './timestamped.ts'

export interface FirstWriteWinsRegister {
  readonly kind: 'first-write-wins-register'
  readonly timestamp: Timestamp
  readonly bytes: Buffer
}

const HEAD = headInLua({ hasTombstones: false })

// Returns the version that was there, or false when there was none.
const MERGE = script(`${HEAD}
local there = redis.call('GET', KEYS[1])
local mine, other = head(there), head(ARGV[2])
if mine == other then
  if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
elseif not mine or mine > other then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[1])
end
return mine and there`)

// Claims a key that nobody has claimed.
//   KEYS[1] register    ARGV[1] time left, ms, [2] the claim    returns the claim that is there now
export const CLAIM = script(`${HEAD}
local there = redis.call('GET', KEYS[1])
if head(there) then return there end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[1])
return ARGV[2]`)

export const firstWriteWinsRegister: Kind<FirstWriteWinsRegister> = {
  name: 'first-write-wins-register',
  storedAs: 'claim',
  merge: mergeBy((a, b) => a.timestamp < b.timestamp),
  script: MERGE,
  toArguments: (value) => [encodeTimestamped(value)],
  encode: encodeTimestamped,
  decode(bytes) {
    const found = decodeTimestamped(bytes)
    if (found === corrupt || found.bytes === undefined) return corrupt
    return { kind: 'first-write-wins-register', timestamp: found.timestamp, bytes: found.bytes }
  },
  inRedis: { type: 'string' },
  sizeOf: sizeOfTimestamped,
}
