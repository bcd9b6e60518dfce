// Notices a private address that stands for many: that of a proxy which does not say for whom it asks. Limits by such
// an address would lock everybody out together.
import { MINUTE, type Now } from '../../lib/time.ts'
import type { Log } from '../../log.ts'

/** So many visitors are not one household. Below every limit by address, so that it is noticed first. */
export const MANY_VISITORS = 8
const WINDOW_MS = 10 * MINUTE
const MOST_ADDRESSES = 1_000
const MOST_CHARACTERS = 200

export interface SharedAddresses {
  /** Whether the address, which asks for this visitor now, stands for many; then it does until the process ends. */
  isShared(address: string, visitor: string): boolean
}

interface Seen {
  readonly sinceMs: number
  readonly visitors: Set<string>
}

export function createSharedAddresses({ log, now = Date.now }: { log: Log; now?: Now }): SharedAddresses {
  const seen = new Map<string, Seen>()
  const shared = new Set<string>()
  let toldAtMs = Number.NEGATIVE_INFINITY

  /** The first one in is the first in iteration, too. */
  function forgetOldest(of: Map<string, unknown> | Set<string>): void {
    for (const oldest of of.keys()) {
      of.delete(oldest)
      break
    }
    if (now() - toldAtMs < WINDOW_MS) return
    toldAtMs = now()
    log.warn(
      { addresses: MOST_ADDRESSES },
      'more private addresses than are remembered: whether one stands for many is found out again for the oldest',
    )
  }

  function visitorsOf(address: string): Set<string> {
    const known = seen.get(address)
    if (known && now() - known.sinceMs < WINDOW_MS) return known.visitors
    seen.delete(address)
    if (seen.size >= MOST_ADDRESSES) forgetOldest(seen)
    const visitors = new Set<string>()
    seen.set(address, { sinceMs: now(), visitors })
    return visitors
  }

  function declareShared(address: string): void {
    if (shared.size === 0) {
      log.warn(
        { address },
        'one private address stands for many visitors: limits are by session there, ' +
          'and one for all without a session. ' +
          'If a proxy tells the real addresses, TRUST_PROXY must be the number of proxies',
      )
    }
    seen.delete(address)
    if (shared.size >= MOST_ADDRESSES) forgetOldest(shared)
    shared.add(address)
  }

  return {
    isShared(address, visitor) {
      if (shared.has(address)) return true
      const visitors = visitorsOf(address)
      visitors.add(visitor.slice(0, MOST_CHARACTERS))
      if (visitors.size < MANY_VISITORS) return false
      declareShared(address)
      return true
    },
  }
}
