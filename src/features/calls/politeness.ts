// Who gives way when two peers open a negotiation concurrently, and which number each negotiation has.
// Both sides are told by the server that serves them, and come to the same without asking one another.

/** Whether the first gives way to the second: of two, exactly one does. */
export const isPolite = (own: string, other: string) => own < other

// Far more than a peer opens: a seat begins above all that its peer's seats before it have used.
const NUMBERS_A_MS = 1_000

/** The number of the next negotiation with a peer. They grow; the polite side takes odd ones, the other even ones. */
export function createNumbers(own: string, seatSinceMs: number): (peer: string) => number {
  let last = seatSinceMs * NUMBERS_A_MS
  return (peer) => {
    last += 1
    return last * 2 + (isPolite(own, peer) ? 1 : 0)
  }
}
