// Versions: later is larger, also when the clock steps back, and no two processes make the same one.
import { randomBytes } from 'node:crypto'
import type { Now } from '../../../lib/time.ts'
import type { Stamp } from './versioned-entry.ts'

const DIGITS = 16

export interface Stamps {
  /** A version newer than all that were made or seen here. */
  next(): Stamp
  /** Somebody's version: the next one of ours is newer. */
  see(stamp: Stamp): void
}

export function createStamps(now: Now = Date.now): Stamps {
  const writer = randomBytes(5).toString('hex')
  let last = 0
  return {
    next() {
      last = Math.max(now(), last + 1)
      return `${String(last).padStart(DIGITS, '0')}.${writer}`
    },
    see(stamp) {
      last = Math.max(last, stampedAtMs(stamp))
    },
  }
}

/** When the version was made, by the clock of who made it; ms since the epoch. */
export function stampedAtMs(stamp: Stamp): number {
  return Number(stamp.slice(0, DIGITS))
}
