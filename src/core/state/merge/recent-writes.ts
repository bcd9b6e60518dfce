// The keys written to Redis in the last seconds: a server that dies may not have kept them, so they are merged again.
import type { Now } from '../../../lib/time.ts'

export interface RecentWrites {
  add(key: string): void
  keys(): string[]
}

/** Remembers for at least `windowMs` and at most twice that, in two halves that take turns. */
export function createRecentWrites(windowMs: number, now: Now = Date.now): RecentWrites {
  let halves: [Set<string>, Set<string>] = [new Set(), new Set()]
  let turnedAtMs = now()

  function turn(): void {
    const agoMs = now() - turnedAtMs
    if (agoMs >= 0 && agoMs < windowMs) return
    halves = [new Set(), agoMs < 2 * windowMs ? halves[0] : new Set()]
    turnedAtMs = now()
  }

  return {
    add(key) {
      turn()
      halves[0].add(key)
    },
    keys() {
      turn()
      return [...new Set([...halves[0], ...halves[1]])]
    },
  }
}
