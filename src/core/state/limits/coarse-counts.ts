// Limits where no log has room: a number for all hits of a user, or of a large network, of this process alone. A hit of
// the window before counts for the part of that window which the present one still reaches back to.
import { type Hit, type HitResult, hitResult } from '../kinds/sliding-window-log.ts'

const MOST_COUNTS = 1_000
/** What all those may do together who came when there were as many, as a multiple of what one may. */
const SHARED_FACTOR = 16

interface Count {
  readonly beganAtMs: number
  readonly windowMs: number
  readonly before: number
  readonly present: number
}

export interface CoarseCounts {
  hit(key: string, hit: Hit): HitResult
  size(): number
}

/** `began`: called when a count begins that was not there, with its key. */
export function createCoarseCounts(began: (key: string) => void): CoarseCounts {
  const counts = new Map<string, Count>()

  /** The count of this key, or the one that all share for which there is no room. */
  function countFor(key: string, hit: Hit): { name: string; limit: number } {
    if (counts.size >= MOST_COUNTS && !counts.has(key)) dropEnded(hit.nowMs)
    if (counts.size < MOST_COUNTS || counts.has(key)) return { name: key, limit: hit.limit }
    return { name: `${wordsOf(key)}:others`, limit: hit.limit * SHARED_FACTOR }
  }

  function dropEnded(nowMs: number): void {
    for (const [key, { beganAtMs, windowMs }] of counts)
      if (beganAtMs + 2 * windowMs <= nowMs) counts.delete(key)
  }

  function countOf(name: string, { nowMs, windowMs }: Hit): Count {
    const beganAtMs = nowMs - (nowMs % windowMs)
    const known = counts.get(name)
    if (!known) began(name)
    if (known?.beganAtMs === beganAtMs) return known
    const before = known?.beganAtMs === beganAtMs - windowMs ? known.present : 0
    return { beganAtMs, windowMs, before, present: 0 }
  }

  return {
    hit(key, hit) {
      const { nowMs, windowMs, cost = 1 } = hit
      const { name, limit } = countFor(key, hit)
      const count = countOf(name, hit)
      const { beganAtMs } = count
      const used = Math.ceil((count.before * (beganAtMs + windowMs - nowMs)) / windowMs) + count.present
      const allowed = used + cost <= limit
      const after = allowed ? used + cost : used
      counts.set(name, allowed ? { ...count, present: count.present + cost } : count)
      const leavesMs = after + cost <= limit ? undefined : beganAtMs // when the next window begins, less counts
      return hitResult({ allowed, count: after, leavesMs, growsMs: beganAtMs }, { ...hit, limit })
    },
    size: () => counts.size,
  }
}

/** The policy: `limit:login` of `limit:login:address:192.0.2.1`. */
const wordsOf = (key: string) => key.split(':').slice(0, 2).join(':')
