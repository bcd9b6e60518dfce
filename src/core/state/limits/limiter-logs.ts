// The limiter logs of the standby, in memory of their own: they never take room of sessions, and sessions never theirs.
// Nothing is evicted, so that nobody gets a new log by pushing his old one out. Where room is short, a hit is counted
// in a log that many share instead (`place`): that costs precision, and needs hardly any room.
import { type Now, SECOND } from '../../../lib/time.ts'
import { createBoundedMemory } from '../../bounded-memory.ts'
import { Refusal } from '../../errors.ts'
import type { VersionedEntry } from '../kinds/kinds.ts'
import {
  type Hit,
  LOGGED_HIT_BYTES,
  type LogPlace,
  type SlidingWindowLog,
} from '../kinds/sliding-window-log.ts'

const NEW_LOG_BYTES = 600 // an entry of the memory, its key, and something to spare
/** How much may be in use when a hit goes to the first of its places, the second, the third. */
const SHARES = [1 / 2, 3 / 4, 7 / 8]
const ALL = 1 // for those that have one place alone: users who have logged in, and limits of all clients together

export interface LimiterLogs {
  find(key: string): VersionedEntry<SlidingWindowLog> | undefined
  /** False when there is no room: the log stays as it was. */
  set(key: string, log: VersionedEntry<SlidingWindowLog>): boolean
  delete(key: string): void
  keys(): IterableIterator<string>
  size(): { keys: number; bytes: number }
  /**
   * The first of these logs that takes the hit: the one in which it would be refused, as that needs no room, or that
   * has room. Undefined: none.
   */
  place(places: readonly LogPlace[], hit: Hit): LogPlace | undefined
}

export function createLimiterLogs({ budgetBytes, now }: { budgetBytes: number; now: Now }): LimiterLogs {
  const memory = createBoundedMemory<SlidingWindowLog>({
    budgetBytes,
    whenFull: 'refuse',
    sizeOf: ({ hits }) => hits.length * LOGGED_HIT_BYTES,
    now,
  })
  let sweptAtMs = Number.NEGATIVE_INFINITY

  /** What has expired takes no room. Not with each hit of a flood: it looks at every log. */
  function sweep(): void {
    if (Math.abs(now() - sweptAtMs) < SECOND) return
    sweptAtMs = now()
    for (const _ of memory.keys());
  }

  function hasRoom(neededBytes: number, share: number): boolean {
    const mostBytes = budgetBytes * share - neededBytes
    if (memory.size().bytes <= mostBytes) return true
    sweep()
    return memory.size().bytes <= mostBytes
  }

  return {
    find: memory.find,
    set(key, { value, expiresAtMs }) {
      try {
        return memory.set(key, value, expiresAtMs)
      } catch (error) {
        if (!(error instanceof Refusal)) throw error
        return false
      }
    },
    delete: memory.delete,
    keys: memory.keys,
    size: memory.size,
    place(places, { nowMs, windowMs, cost = 1 }) {
      return places.find(({ key, limit }, i) => {
        const log = memory.get(key)
        const neededBytes = cost * LOGGED_HIT_BYTES + (log ? 0 : NEW_LOG_BYTES)
        const share = places.length === 1 ? ALL : (SHARES[i] ?? ALL)
        if (hasRoom(neededBytes, share)) return true
        const recent = log?.hits.filter(({ atMs }) => Math.floor(atMs) > nowMs - windowMs) ?? []
        return recent.length + cost > limit
      })
    },
  }
}
