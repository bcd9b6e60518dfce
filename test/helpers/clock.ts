// A clock that a test turns by hand.

export function createClock(startMs = 1_000_000) {
  let nowMs = startMs
  return {
    now: () => nowMs,
    turn(ms: number): void {
      nowMs += ms
    },
  }
}
