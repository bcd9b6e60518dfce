// Last writer wins: the newest version counts, until a tombstone takes its place, which stays until it expires.

import { corrupt } from '../../../lib/codec.ts'
import { script } from '../../redis/script-runner.ts'
import { type Kind, mergeBy, type Timestamp } from './kind.ts'
import { decodeTimestamped, encodeTimestamped, headInLua, sizeOfTimestamped } from './timestamped.ts'

export interface LwwRegister {
  readonly kind: 'lww-register'
  readonly timestamp: Timestamp
  /** Undefined: a tombstone. */
  readonly bytes: Buffer | undefined
}

const HEAD = headInLua({ hasTombstones: true })

const MERGE = script(`${HEAD}
local mine, other = head(redis.call('GET', KEYS[1])), head(ARGV[2])
if mine == other then
  if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
  return 1
end
if mine then
  local isDead, isOtherDead = string.sub(mine, -1) == '!', string.sub(other, -1) == '!'
  if (isDead and not isOtherDead) or (isDead == isOtherDead and mine > other) then return 0 end
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[1])
return 1`)

// Writes only over the version that the caller has seen.
//   KEYS[1] register    ARGV[1] time left, ms, [2] its new version, [3] the head that was seen, '' for none
//   returns 1 when written, else 0
export const REPLACE = script(`${HEAD}
if (head(redis.call('GET', KEYS[1])) or '') ~= ARGV[3] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[1])
return 1`)

const isTombstone = ({ bytes }: LwwRegister) => bytes === undefined

/** What REPLACE compares: the timestamp, marked where it is a tombstone's. */
export const headOf = (register: LwwRegister) => `${register.timestamp}${isTombstone(register) ? '!' : ''}`

export const lwwRegister: Kind<LwwRegister> = {
  name: 'lww-register',
  storedAs: 'record',
  merge: mergeBy((a, b) => (isTombstone(a) === isTombstone(b) ? a.timestamp > b.timestamp : isTombstone(a))),
  script: MERGE,
  toArguments: (value) => [encodeTimestamped(value)],
  encode: encodeTimestamped,
  decode(bytes) {
    const found = decodeTimestamped(bytes)
    return found === corrupt ? corrupt : { kind: 'lww-register', ...found }
  },
  inRedis: { type: 'string' },
  sizeOf: sizeOfTimestamped,
}
