// The exact sliding log, as a pure function: never more than `limit` hits in any window of that length.
// The script HIT does the same in Redis.

export interface Hit {
  readonly id: string
  readonly nowMs: number
  readonly limit: number
  readonly windowMs: number
  /** How many entries of the log it takes, all or none; 1 unless said, and never above `limit`. */
  readonly cost?: number
}

export interface HitResult {
  readonly allowed: boolean
  /** Hits still free in the window that ends now. */
  readonly remaining: number
  /** Until one more hit of that cost will be allowed; 0 when it already is. */
  readonly retryAfterMs: number
  /** Until `remaining` grows, if nothing is counted meanwhile. */
  readonly growsAfterMs: number
}

export interface LoggedHit {
  readonly id: string
  readonly atMs: number
}

/** The log after the hit (without what has left the window), and the answer to it. */
export function slide(log: readonly LoggedHit[], { id, nowMs, limit, windowMs, cost = 1 }: Hit) {
  const recent = log.filter(({ atMs }) => atMs > nowMs - windowMs)
  const allowed = recent.length + cost <= limit
  const entries = Array.from({ length: allowed ? cost : 0 }, (_, i) => ({ id: entryId(id, i), atMs: nowMs }))
  const after = allowed ? [...recent, ...entries].sort((a, b) => a.atMs - b.atMs) : recent
  const count = after.length
  const leavesMs = after[count - limit + cost - 1]?.atMs
  const growsMs = after[Math.max(0, count - limit)]?.atMs ?? nowMs
  return { log: after, result: hitResult({ allowed, count, leavesMs, growsMs }, { limit, windowMs, nowMs }) }
}

/** An entry's name, the same wherever the hit is counted: so both countings are one after a merge. */
const entryId = (id: string, i: number) => (i === 0 ? id : `${id}:${i}`)

/** The log's own words: when the hit was made that must leave before the next one, and the one before `remaining` grows. */
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
    retryAfterMs: leavesMs === undefined ? 0 : Math.max(0, leavesMs + windowMs - nowMs),
    growsAfterMs: Math.max(0, growsMs + windowMs - nowMs),
  }
}
