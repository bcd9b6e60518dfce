// Reads the database of reference data again before its cached values are too old, so that no request waits for it.
import { Refusal } from '../../core/errors.ts'
import { DAY, MINUTE, type StartTimer, startTimer } from '../../lib/time.ts'
import type { Reference } from './reference.ts'

/** Of the fresh time: before the cache's own jitter makes the first value old, and not in all processes together. */
const SHARE = { from: 0.75, to: 0.85 }
/** Values that are fresh for less are renewed when asked for; setTimeout takes longer times for 0. */
const INTERVAL_MS = { least: MINUTE, most: 24 * DAY }

export interface RefreshOptions {
  reference: Pick<Reference, 'refresh'>
  freshMs: number
  random?: () => number
  timer?: StartTimer
}

/** The first read is one interval later. */
export function refreshRegularly({
  reference,
  freshMs,
  random = Math.random,
  timer = startTimer,
}: RefreshOptions) {
  let stop = wait(false)
  let isClosed = false

  function wait(hasFailed: boolean): () => void {
    const share = SHARE.from + (SHARE.to - SHARE.from) * random()
    const intervalMs = Math.min(Math.max(freshMs * share, INTERVAL_MS.least), INTERVAL_MS.most)
    return timer(hasFailed ? INTERVAL_MS.least : intervalMs, () => void refresh())
  }

  async function refresh(): Promise<void> {
    const hasFailed = await reference.refresh().then(
      () => false,
      (error) => {
        // What it works with may be closed under it.
        if (!isClosed && !(error instanceof Refusal)) throw error
        return true // logged where it failed
      },
    )
    if (!isClosed) stop = wait(hasFailed)
  }

  return {
    close() {
      isClosed = true
      stop()
    },
  }
}
