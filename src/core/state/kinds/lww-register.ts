// Last writer wins: the newest version counts, until a tombstone takes its place, which stays until it expires.

import { corrupt } from '../../../lib/codec.ts'
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
  type Timestamped,
} from './timestamped.ts'

export interface LwwRegister {
  readonly kind: 'lww-register'
  readonly timestamp: Timestamp
  /** Undefined: a tombstone. */
  readonly bytes: Buffer | undefined
}

const HEAD = headInLua({ hasTombstones: true })
const STORED_AS = 'record'

// Bytes that differ under one head are damaged there: the head has their checksum, and ours were checked.
const MERGE = script(`${HEAD}
local there = redis.call('GET', KEYS[1])
local mine, other = head(there), head(ARGV[2])
if there == ARGV[2] then
  if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
  return 1
end
if mine and mine ~= other then
  local isDead, isOtherDead = string.sub(mine, -1) == '!', string.sub(other, -1) == '!'
  if (isDead and not isOtherDead) or (isDead == isOtherDead and mine > other) then return { 0, there } end
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[1])
if there and (not mine or mine == other or isOfOneTime(mine, other)) then return { 1, there } end
return 1`)

// Writes only over the version that the caller has seen.
//   KEYS[1] register    ARGV[1] time left, ms, [2] its new version, [3] the head that was seen, '' for none
//   returns 1 when written, else { 0, the register that is there, if any }
export const REPLACE = script(`${HEAD}
local there = redis.call('GET', KEYS[1])
if (head(there) or '') ~= ARGV[3] then return { 0, there or '' } end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[1])
return 1`)

const isTombstone = ({ bytes }: LwwRegister) => bytes === undefined

/** What REPLACE compares: the timestamp, marked where it is a tombstone's. */
export const headOf = (register: LwwRegister) => `${register.timestamp}${isTombstone(register) ? '!' : ''}`

/** A version that can be stored under this key. */
export const lwwRegisterOf = (key: string, value: Timestamped): LwwRegister => ({
  kind: 'lww-register',
  timestamp: seal(STORED_AS, key, value),
  bytes: value.bytes,
})

export const lwwRegister: Kind<LwwRegister> = {
  name: 'lww-register',
  storedAs: STORED_AS,
  merge: mergeBy((a, b) => (isTombstone(a) === isTombstone(b) ? a.timestamp > b.timestamp : isTombstone(a))),
  script: MERGE,
  toArguments: (value) => [encodeTimestamped(value)],
  inRedis: {
    type: 'string',
    encode: encodeTimestamped,
    decode(bytes, key) {
      const found = decodeTimestamped(STORED_AS, key, bytes)
      return found === corrupt
        ? corrupt
        : { kind: 'lww-register', timestamp: found.timestamp, bytes: found.bytes }
    },
    isCurrent: isSealed,
  },
  onDisk: {
    encode: ({ value, expiresAtMs }, key) => encodeWithEnd(STORED_AS, key, value, expiresAtMs),
    decode(bytes, key, columnMs) {
      const found = decodeTimestamped(STORED_AS, key, bytes)
      if (found === corrupt) return corrupt
      const { timestamp, bytes: own, endsAtMs = columnMs } = found
      return { value: { kind: 'lww-register', timestamp, bytes: own }, expiresAtMs: endsAtMs }
    },
  },
  sizeOf: sizeOfTimestamped,
}
