// Names, each until its own end. Of many, those that end last stay.

import { corrupt, isArrayOf, isNumber, isShape, isText, parseJson } from '../../../lib/codec.ts'
import { script } from '../../redis/script-runner.ts'
import { type Kind, mergeWith } from './kind.ts'

export interface Member {
  readonly id: string
  readonly untilMs: number
}

/** At most MOST_MEMBERS. */
export interface ExpiringSet {
  readonly kind: 'expiring-set'
  readonly members: readonly Member[]
}

const MOST_MEMBERS = 200

//   ARGV[2] how many stay, then end and name of each
const MERGE = script(`
for i = 3, #ARGV, 2 do redis.call('ZADD', KEYS[1], 'GT', ARGV[i], ARGV[i + 1]) end
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - tonumber(ARGV[2]))
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return 1`)

const isMembers = isArrayOf(isShape<Member>({ id: isText, untilMs: isNumber }))

export const expiringSet: Kind<ExpiringSet> = {
  name: 'expiring-set',
  storedAs: 'members',
  merge: mergeWith(unionOf),
  script: MERGE,
  toArguments: ({ members }) => [MOST_MEMBERS, ...members.flatMap(({ untilMs, id }) => [untilMs, id])],
  encode: ({ members }) => Buffer.from(JSON.stringify(members)),
  decode(bytes) {
    const members = parseJson(bytes, isMembers)
    return members === corrupt ? corrupt : { kind: 'expiring-set', members }
  },
  inRedis: {
    type: 'zset',
    decode: (pairs) => ({ kind: 'expiring-set', members: pairs.map(([id, untilMs]) => ({ id, untilMs })) }),
  },
  sizeOf: ({ members }) => members.length * 160,
}

function unionOf(a: ExpiringSet, b: ExpiringSet): ExpiringSet {
  const ends = new Map<string, number>()
  for (const { id, untilMs } of [...a.members, ...b.members])
    ends.set(id, Math.max(untilMs, ends.get(id) ?? 0))
  const members = [...ends].map(([id, untilMs]) => ({ id, untilMs }))
  const lastFirst = (x: Member, y: Member) => y.untilMs - x.untilMs || (x.id < y.id ? 1 : -1)
  return { kind: 'expiring-set', members: members.sort(lastFirst).slice(0, MOST_MEMBERS) }
}
