// How long to wait before the next try: doubling, capped, with jitter so that many do not try at the same moment.

export interface BackoffSteps {
  readonly firstMs: number
  readonly capMs: number
}

/** The delay after so many tries before jitter, ms. */
export const stepMs = ({ firstMs, capMs }: BackoffSteps, tries: number) =>
  Math.min(capMs, firstMs * 2 ** tries)

/** Between half of the step and the whole of it, ms. */
export const jittered = (ms: number) => ms * (0.5 + Math.random() / 2)

export interface Backoff {
  /** The next delay in milliseconds, with jitter. */
  nextMs(): number
  reset(): void
}

export function createBackoff(steps: BackoffSteps): Backoff {
  let tries = 0
  return {
    nextMs() {
      const delayMs = jittered(stepMs(steps, tries))
      tries += 1
      return delayMs
    },
    reset() {
      tries = 0
    },
  }
}
