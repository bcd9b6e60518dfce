// Waits for something to become true, instead of sleeping and hoping.

/** Tries until `check` neither throws nor rejects; rethrows its last failure after `withinMs`. */
export async function eventually<T>(
  check: () => T | Promise<T>,
  withinMs = 10_000,
  everyMs = 25,
): Promise<T> {
  const deadline = performance.now() + withinMs
  for (;;) {
    try {
      return await check()
    } catch (failure) {
      if (performance.now() > deadline) throw failure
      await new Promise((resolve) => setTimeout(resolve, everyMs))
    }
  }
}
