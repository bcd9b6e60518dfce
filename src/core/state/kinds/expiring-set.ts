// Names, each until its own end. Of many, those that end last stay.

import { type Corrupt, corrupt, isArrayOf, isNumber, isShape, isText, parseJson } from '../../../lib/codec.ts'
import { script } from '../../redis/script-runner.ts'
import { type DecodedPairs, type Kind, mergeWith, type Pairs } from './kind.ts'
import { checkTimes, sealTime } from './sealed-times.ts'
import { onDiskAsText } from './text-on-disk.ts'

export interface Member {
  readonly id: string
  /** The part below a millisecond is its checksum (sealed-times.ts). */
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
for i = 3, #ARGV, 2 do
  local known = redis.call('ZSCORE', KEYS[1], ARGV[i + 1]) -- ZADD's GT is of Redis 6.2
  if not known or tonumber(known) < tonumber(ARGV[i]) then redis.call('ZADD', KEYS[1], ARGV[i], ARGV[i + 1]) end
end
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - tonumber(ARGV[2]))
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return 1`)

const isMembers = isArrayOf(isShape<Member>({ id: isText, untilMs: isNumber }))

const STORED_AS = 'members'

/** Members that can be stored under this key. */
export const membersOf = (key: string, members: readonly Member[]): ExpiringSet => ({
  kind: 'expiring-set',
  members: members.map(({ id, untilMs }) => ({ id, untilMs: sealTime(STORED_AS, key, id, untilMs) })),
})

function fromPairs(pairs: Pairs, key: string): DecodedPairs<ExpiringSet> {
  const { sound, damaged, isCurrent } = checkTimes(STORED_AS, key, pairs)
  return {
    value: { kind: 'expiring-set', members: sound.map(([id, untilMs]) => ({ id, untilMs })) },
    damaged,
    isCurrent,
  }
}

function fromText(text: string, key: string): ExpiringSet | Corrupt {
  const members = parseJson(text, isMembers)
  if (members === corrupt) return corrupt
  const pairs = members.map(({ id, untilMs }) => [id, untilMs] as const)
  const { value, damaged } = fromPairs(pairs, key)
  return damaged.length > 0 ? corrupt : value
}

export const expiringSet: Kind<ExpiringSet> = {
  name: 'expiring-set',
  storedAs: STORED_AS,
  merge: mergeWith(unionOf),
  script: MERGE,
  toArguments: ({ members }) => [MOST_MEMBERS, ...members.flatMap(({ untilMs, id }) => [untilMs, id])],
  inRedis: { type: 'zset', decode: fromPairs },
  onDisk: onDiskAsText(STORED_AS, ({ members }) => JSON.stringify(members), fromText),
  sizeOf: ({ members }) => members.length * 160,
}

/** Whether the first has all members of the second, as long at least. */
export function hasMembers({ members: all }: ExpiringSet, { members }: ExpiringSet): boolean {
  const ends = new Map(all.map(({ id, untilMs }) => [id, untilMs]))
  return members.every(({ id, untilMs }) => (ends.get(id) ?? 0) >= untilMs)
}

function unionOf(a: ExpiringSet, b: ExpiringSet): ExpiringSet {
  const ends = new Map<string, number>()
  for (const { id, untilMs } of [...a.members, ...b.members])
    ends.set(id, Math.max(untilMs, ends.get(id) ?? 0))
  const members = [...ends].map(([id, untilMs]) => ({ id, untilMs }))
  const lastFirst = (x: Member, y: Member) => y.untilMs - x.untilMs || (x.id < y.id ? 1 : -1)
  return { kind: 'expiring-set', members: members.sort(lastFirst).slice(0, MOST_MEMBERS) }
}
