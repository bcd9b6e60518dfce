// Something that happens once: the earliest version counts.

import { type Corrupt, corrupt } from '../../../lib/codec.ts'
import { script } from '../../redis/script-runner.ts'
import { type Kind, mergeBy, type Timestamp } from './kind.ts'
import {
  decodeTimestamped,
  encodeTimestamped,
  encodeWithEnd,
  headInLua,
  isSealed,
  seal,
  sizeOfTimestamped,
} from './timestamped.ts'

export interface FirstWriteWinsRegister {
  readonly kind: 'first-write-wins-register'
  readonly timestamp: Timestamp
  readonly bytes: Buffer
}

const HEAD = headInLua({ hasTombstones: false })
const STORED_AS = 'claim'

// Bytes that differ under one head are damaged there: the head has their checksum, and ours were checked.
const MERGE = script(`${HEAD}
local there = redis.call('GET', KEYS[1])
local mine, other = head(there), head(ARGV[2])
if there == ARGV[2] then
  if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
  return { 1, there }
end
if mine and mine < other then return { 0, there } end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[1])
if there then return { 1, there } end
return 1`)

// Claims a key that nobody has claimed.
//   KEYS[1] register    ARGV[1] time left, ms, [2] the claim    returns the claim that is there now
export const CLAIM = script(`${HEAD}
local there = redis.call('GET', KEYS[1])
if head(there) then return there end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[1])
return ARGV[2]`)

/** A claim that can be stored under this key. */
export const claimOf = (key: string, timestamp: Timestamp, bytes: Buffer): FirstWriteWinsRegister => ({
  kind: 'first-write-wins-register',
  timestamp: seal(STORED_AS, key, { timestamp, bytes }),
  bytes,
})

function decode(bytes: Buffer, key: string): (FirstWriteWinsRegister & { endsAtMs?: number }) | Corrupt {
  const found = decodeTimestamped(STORED_AS, key, bytes)
  if (found === corrupt || found.bytes === undefined) return corrupt
  return { kind: 'first-write-wins-register', ...found, bytes: found.bytes }
}

export const firstWriteWinsRegister: Kind<FirstWriteWinsRegister> = {
  name: 'first-write-wins-register',
  storedAs: STORED_AS,
  merge: mergeBy((a, b) => a.timestamp < b.timestamp),
  script: MERGE,
  toArguments: (value) => [encodeTimestamped(value)],
  inRedis: {
    type: 'string',
    encode: encodeTimestamped,
    decode(bytes, key) {
      const found = decode(bytes, key)
      return found === corrupt ? corrupt : claimIn(found)
    },
    isCurrent: isSealed,
  },
  onDisk: {
    encode: ({ value, expiresAtMs }, key) => encodeWithEnd(STORED_AS, key, value, expiresAtMs),
    decode(bytes, key, columnMs) {
      const found = decode(bytes, key)
      if (found === corrupt) return corrupt
      return { value: claimIn(found), expiresAtMs: found.endsAtMs ?? columnMs }
    },
  },
  sizeOf: sizeOfTimestamped,
}

const claimIn = ({ kind, timestamp, bytes }: FirstWriteWinsRegister): FirstWriteWinsRegister => ({
  kind,
  timestamp,
  bytes,
})
