// How long to wait before the next try: doubling, capped, with jitter so that many do not try at once.

export interface Backoff {
  /** The next delay in milliseconds: between half of the current step and the whole of it. */
  nextMs(): number
  reset(): void
}

export function createBackoff({ firstMs, capMs }: { firstMs: number; capMs: number }): Backoff {
  let stepMs = firstMs
  return {
    nextMs() {
      const delayMs = stepMs * (0.5 + Math.random() / 2)
      stepMs = Math.min(capMs, stepMs * 2)
      return delayMs
    },
    reset() {
      stepMs = firstMs
    },
  }
}
