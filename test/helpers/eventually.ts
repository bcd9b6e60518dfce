// Waits for something to become true, instead of sleeping and hoping.
import { startStopwatch } from './control-clock.ts'

/** So long, by the control clock, may take what is no promise about time: a test that waits longer has hung. */
export const HUNG_MS = 60_000

/** Tries until `check` neither throws nor rejects; rethrows its last failure after `withinMs` of the control clock. */
export async function eventually<T>(
  check: () => T | Promise<T>,
  withinMs = HUNG_MS,
  everyMs = 25,
): Promise<T> {
  const elapsedMs = await startStopwatch()
  for (;;) {
    try {
      return await check()
    } catch (failure) {
      if (elapsedMs() > withinMs) throw failure
      await new Promise((resolve) => setTimeout(resolve, everyMs))
    }
  }
}
