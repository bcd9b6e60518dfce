// What the state role keeps under a key, and how two versions of it become one: a pure function for each kind.
// Every merge is commutative, associative and idempotent, so it does not matter who merges, how often, or in which
// order. The scripts MERGE_* in state-scripts.ts do the same in Redis.
import type { LoggedHit } from './sliding-window-log.ts'

/** When and by whom something was written: compared as a string, later is larger, no two are equal. */
export type Timestamp = string

/** A value of which the newest version counts, until it is destroyed: then it stays destroyed. */
export interface StateRecord {
  readonly kind: 'record'
  readonly timestamp: Timestamp
  /** Undefined once destroyed. */
  readonly bytes: Buffer | undefined
}

/** Something that happens once: the earliest version counts. */
export interface Claim {
  readonly kind: 'claim'
  readonly timestamp: Timestamp
  readonly bytes: Buffer
}

/** A number that only grows. */
export interface Mark {
  readonly kind: 'mark'
  readonly number: number
}

/** The hits of a limiter, each once. */
export interface HitLog {
  readonly kind: 'log'
  readonly hits: readonly LoggedHit[]
}

export interface Member {
  readonly id: string
  readonly untilMs: number
}

/** Names, each until its own end: those that end last, no more than MOST_MEMBERS. */
export interface Members {
  readonly kind: 'members'
  readonly members: readonly Member[]
}

export const MOST_MEMBERS = 200

export type StateValue = StateRecord | Claim | Mark | HitLog | Members
export type StateKind = StateValue['kind']

/** A value and when it ends, ms since the epoch. */
export interface VersionedEntry<V extends StateValue = StateValue> {
  readonly value: V
  readonly expiresAtMs: number
}

/** The one value that two versions make. Both are of one kind: a key has the same kind everywhere. */
export function mergeEntries(a: VersionedEntry, b: VersionedEntry): VersionedEntry {
  if (a.value.kind === 'log' && b.value.kind === 'log') {
    return { value: mergeLogs(a.value, b.value), expiresAtMs: Math.max(a.expiresAtMs, b.expiresAtMs) }
  }
  if (a.value.kind === 'members' && b.value.kind === 'members') {
    return { value: mergeMembers(a.value, b.value), expiresAtMs: Math.max(a.expiresAtMs, b.expiresAtMs) }
  }
  return isWinner(a.value, b.value) ? a : isWinner(b.value, a.value) ? b : later(a, b)
}

function isWinner(a: StateValue, b: StateValue): boolean {
  if (a.kind === 'record' && b.kind === 'record') {
    const [aDestroyed, bDestroyed] = [a.bytes === undefined, b.bytes === undefined]
    return aDestroyed === bDestroyed ? a.timestamp > b.timestamp : aDestroyed
  }
  if (a.kind === 'claim' && b.kind === 'claim') return a.timestamp < b.timestamp
  if (a.kind === 'mark' && b.kind === 'mark') return a.number > b.number
  throw new TypeError(`a ${a.kind} cannot be merged with a ${b.kind}`)
}

const later = (a: VersionedEntry, b: VersionedEntry) => (a.expiresAtMs >= b.expiresAtMs ? a : b)

function mergeLogs(a: HitLog, b: HitLog): HitLog {
  const hits = new Map([...a.hits, ...b.hits].map((hit) => [hit.id, hit]))
  return { kind: 'log', hits: [...hits.values()].sort((x, y) => x.atMs - y.atMs || (x.id < y.id ? -1 : 1)) }
}

function mergeMembers(a: Members, b: Members): Members {
  const ends = new Map<string, number>()
  for (const { id, untilMs } of [...a.members, ...b.members])
    ends.set(id, Math.max(untilMs, ends.get(id) ?? 0))
  const members = [...ends].map(([id, untilMs]) => ({ id, untilMs }))
  const lastFirst = (x: Member, y: Member) => y.untilMs - x.untilMs || (x.id < y.id ? 1 : -1)
  return { kind: 'members', members: members.sort(lastFirst).slice(0, MOST_MEMBERS) }
}
