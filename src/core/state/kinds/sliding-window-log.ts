// The sliding-window log of a limiter: never more than `limit` hits in any window of that length. Each hit is in it
// once.

import { type Corrupt, corrupt, isArrayOf, isNumber, isShape, isText, parseJson } from '../../../lib/codec.ts'
import { script } from '../../redis/script-runner.ts'
import { type DecodedPairs, type Kind, mergeWith, type Pairs } from './kind.ts'
import { checkTimes, sealTime } from './sealed-times.ts'
import { onDiskAsText } from './text-on-disk.ts'

const STORED_AS = 'log'
/** What one hit of a log takes in memory. */
export const LOGGED_HIT_BYTES = 120

export interface SlidingWindowLog {
  readonly kind: 'sliding-window-log'
  readonly hits: readonly LoggedHit[]
}

export interface Hit {
  readonly id: string
  readonly nowMs: number
  readonly limit: number
  readonly windowMs: number
  /** How many entries of the log it takes, all or none; 1 unless said, and never above `limit`. */
  readonly cost?: number
}

/** A log in which a hit may be counted, and how many hits it holds. */
export interface LogPlace {
  readonly key: string
  readonly limit: number
}

export interface HitResult {
  readonly allowed: boolean
  /** Hits still free in the window that ends now. */
  readonly remaining: number
  /** Until one more hit of that cost will be allowed; 0 when it already is. */
  readonly retryAfterMs: number
  /** Until `remaining` grows, if nothing is counted until then. */
  readonly growsAfterMs: number
}

export interface LoggedHit {
  readonly id: string
  /** The part below a millisecond is its checksum (sealed-times.ts). */
  readonly atMs: number
}

/** The log after the hit, without what has left the window, and the answer to it. The same as the script HIT. */
export function slide(key: string, log: readonly LoggedHit[], hit: Hit) {
  const { nowMs, limit, windowMs, cost = 1 } = hit
  const recent = log.filter(({ atMs }) => Math.floor(atMs) > nowMs - windowMs)
  const allowed = recent.length + cost <= limit
  const entries = allowed ? entriesOf(key, hit) : []
  const after = allowed ? [...recent, ...entries].sort((a, b) => a.atMs - b.atMs) : recent
  const count = after.length
  const leavesMs = after[count - limit + cost - 1]?.atMs
  const growsMs = after[Math.max(0, count - limit)]?.atMs ?? nowMs
  return { log: after, result: hitResult({ allowed, count, leavesMs, growsMs }, { limit, windowMs, nowMs }) }
}

/** An entry's name, the same wherever the hit is counted: so both countings are one after a merge. */
const entryId = (id: string, i: number) => (i === 0 ? id : `${id}:${i}`)

/** The log without what this hit has added to it. */
export const withoutHit = (log: readonly LoggedHit[], { id }: Pick<Hit, 'id'>) =>
  log.filter((entry) => entry.id !== id && !entry.id.startsWith(`${id}:`))

/** What a hit adds to the log under this key. */
export const entriesOf = (key: string, { id, nowMs, cost = 1 }: Pick<Hit, 'id' | 'nowMs' | 'cost'>) =>
  Array.from({ length: cost }, (_, i): LoggedHit => {
    const name = entryId(id, i)
    return { id: name, atMs: sealTime(STORED_AS, key, name, nowMs) }
  })

/**
 * The log's own words: when the hit was made that must leave before the next one, and the one before `remaining`
 * grows.
 */
interface Counted {
  readonly allowed: boolean
  readonly count: number
  readonly leavesMs: number | undefined
  readonly growsMs: number
}

/** The answer, from what the log says. */
export function hitResult(
  { allowed, count, leavesMs, growsMs }: Counted,
  { limit, windowMs, nowMs }: Pick<Hit, 'limit' | 'windowMs' | 'nowMs'>,
): HitResult {
  return {
    allowed,
    remaining: Math.max(0, limit - count),
    retryAfterMs: leavesMs === undefined ? 0 : Math.max(0, Math.floor(leavesMs) + windowMs - nowMs),
    growsAfterMs: Math.max(0, Math.floor(growsMs) + windowMs - nowMs),
  }
}

//   ARGV[2…] time and id of each hit
const MERGE = script(`
for i = 2, #ARGV, 2 do redis.call('ZADD', KEYS[1], ARGV[i], ARGV[i + 1]) end
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return 1`)

// As many members as a hit costs, scored by its time and checksums. The same as slide().
//   KEYS[1] log    ARGV[1] now, ms, [2] limit, [3] window, ms, [4] what it costs, [5…] score and name of each entry
//   returns { 1 when counted else 0, hits in the window, time of the hit that must leave before the next such one
//     or -1, time of the hit that leaves before more is free }
export const HIT = script(`
local now, limit, window, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('(%.0f', now - window + 1))
local count = redis.call('ZCARD', KEYS[1])
local function at(rank)
  if rank < 0 then return '-1' end
  return redis.call('ZRANGE', KEYS[1], rank, rank, 'WITHSCORES')[2]
end
local allowed = 0
if count + cost <= limit then
  for i = 5, #ARGV, 2 do redis.call('ZADD', KEYS[1], ARGV[i], ARGV[i + 1]) end
  count = count + cost
  local last = now
  -- Ahead of now: the clock was set back. Counted first, because to write out a score with a fraction is not cheap.
  if redis.call('ZCOUNT', KEYS[1], string.format('%.0f', now + 1), '+inf') > 0 then
    last = math.floor(tonumber(at(count - 1)))
  end
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', last - now + window))
  allowed = 1
end
return { allowed, count, at(count - limit + cost - 1), at(math.max(0, count - limit)) }`)

const isHits = isArrayOf(isShape<LoggedHit>({ id: isText, atMs: isNumber }))

function fromPairs(pairs: Pairs, key: string): DecodedPairs<SlidingWindowLog> {
  const { sound, damaged, isCurrent } = checkTimes(STORED_AS, key, pairs)
  return { value: logOf(sound.map(([id, atMs]) => ({ id, atMs }))), damaged, isCurrent }
}

function fromText(text: string, key: string): SlidingWindowLog | Corrupt {
  const hits = parseJson(text, isHits)
  if (hits === corrupt) return corrupt
  const pairs = hits.map(({ id, atMs }) => [id, atMs] as const)
  const { value, damaged } = fromPairs(pairs, key)
  return damaged.length > 0 ? corrupt : value
}

export const slidingWindowLog: Kind<SlidingWindowLog> = {
  name: 'sliding-window-log',
  storedAs: STORED_AS,
  // Not cut to a window: a merge knows none. The next hit does.
  merge: mergeWith((a, b) => {
    const hits = new Map([...a.hits, ...b.hits].map((hit) => [hit.id, hit]))
    return logOf([...hits.values()].sort((x, y) => x.atMs - y.atMs || (x.id < y.id ? -1 : 1)))
  }),
  script: MERGE,
  toArguments: ({ hits }) => hits.flatMap(({ atMs, id }) => [atMs, id]),
  inRedis: { type: 'zset', decode: fromPairs },
  onDisk: onDiskAsText(STORED_AS, ({ hits }) => JSON.stringify(hits), fromText),
  sizeOf: ({ hits }) => hits.length * LOGGED_HIT_BYTES,
}

const logOf = (hits: readonly LoggedHit[]): SlidingWindowLog => ({ kind: 'sliding-window-log', hits })
