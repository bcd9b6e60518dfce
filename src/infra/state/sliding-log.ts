// The exact sliding log, as a pure function: never more than `limit` hits in any window of that length.
// The script HIT does the same in Redis.

export interface Hit {
  readonly id: string
  readonly nowMs: number
  readonly limit: number
  readonly windowMs: number
}

export interface HitResult {
  readonly allowed: boolean
  /** Hits still free in the window that ends now. */
  readonly remaining: number
  /** Until one more hit will be allowed; 0 when it already is. */
  readonly retryAfterMs: number
}

export interface LoggedHit {
  readonly id: string
  readonly atMs: number
}

/** The log after the hit (without what has left the window), and the answer to it. */
export function slide(log: readonly LoggedHit[], { id, nowMs, limit, windowMs }: Hit) {
  const recent = log.filter(({ atMs }) => atMs > nowMs - windowMs)
  const allowed = recent.length < limit
  const after = allowed ? [...recent, { id, atMs: nowMs }].sort((a, b) => a.atMs - b.atMs) : recent
  const leaves = after.length >= limit ? (after[after.length - limit]?.atMs ?? nowMs) : undefined
  return {
    log: after,
    result: hitResult({ allowed, count: after.length, leavesMs: leaves }, { limit, windowMs, nowMs }),
  }
}

/** The answer, from what the log says: `leavesMs` is when the hit was made that must leave before the next. */
export function hitResult(
  { allowed, count, leavesMs }: { allowed: boolean; count: number; leavesMs: number | undefined },
  { limit, windowMs, nowMs }: Pick<Hit, 'limit' | 'windowMs' | 'nowMs'>,
): HitResult {
  return {
    allowed,
    remaining: Math.max(0, limit - count),
    retryAfterMs: leavesMs === undefined ? 0 : Math.max(0, leavesMs + windowMs - nowMs),
  }
}
