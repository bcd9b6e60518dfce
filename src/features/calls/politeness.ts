// Who gives way when two peers open a negotiation at once, and which number each negotiation has.
// Both sides are told by the server that serves them, and come to the same without asking one another.

/** Whether the first gives way to the second: of two, exactly one does. */
export const isPolite = (own: string, other: string) => own < other

export interface Numbers {
  /** The number of the negotiation that we open with this peer now. */
  next(peer: string): number
  /** The peer, or we, used this one. */
  saw(peer: string, n: number): void
  forget(peer: string): void
}

/** Each number is higher than any seen with that peer; the polite side takes odd ones, so that both never take the same. */
export function createNumbers(own: string): Numbers {
  const highest = new Map<string, number>()
  const saw = (peer: string, n: number) => void highest.set(peer, Math.max(highest.get(peer) ?? 0, n))
  return {
    saw,
    next(peer) {
      const pairs = Math.floor((highest.get(peer) ?? 0) / 2) + 1
      const n = pairs * 2 + (isPolite(own, peer) ? 1 : 0)
      saw(peer, n)
      return n
    },
    forget: (peer) => void highest.delete(peer),
  }
}
