// Durations in milliseconds, and the clock everything that expires is given.

export const SECOND = 1_000
export const MINUTE = 60 * SECOND
export const HOUR = 60 * MINUTE
export const DAY = 24 * HOUR

/** Milliseconds since the Unix epoch. Injected, so that tests turn the clock instead of sleeping. */
export type Now = () => number

/** How far a time that somebody wrote is off, in seconds: positive where it is behind our clock, negative: ahead. */
export const offSeconds = (theirsMs: number, nowMs: number) => Math.round((nowMs - theirsMs) / SECOND)

/** Resolves after `ms`; the timer does not keep the process alive. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref())
}

/** Calls back after `ms` unless it is stopped before. Injected where a test cannot wait. */
export type StartTimer = (ms: number, call: () => void) => () => void

/** The timer does not keep the process alive. */
export const startTimer: StartTimer = (ms, call) => {
  const timer = setTimeout(call, ms).unref()
  return () => clearTimeout(timer)
}
