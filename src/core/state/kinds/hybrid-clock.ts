// Versions: later is larger, also when the clock steps back, and no two processes make the same one.
import { randomBytes } from 'node:crypto'
import type { Now } from '../../../lib/time.ts'
import type { Timestamp } from './kind.ts'

const DIGITS = 16

export interface HybridClock {
  /** A version newer than all that were made or seen here. */
  next(): Timestamp
  /** Somebody's version: the next one of ours is newer. */
  see(timestamp: Timestamp): void
}

export function createHybridClock(now: Now = Date.now): HybridClock {
  const writer = randomBytes(5).toString('hex')
  let last = 0
  return {
    next() {
      last = Math.max(now(), last + 1)
      return `${String(last).padStart(DIGITS, '0')}.${writer}`
    },
    see(timestamp) {
      last = Math.max(last, physicalMsOf(timestamp))
    },
  }
}

/** When the version was made, by the clock of who made it; ms since the epoch. */
export function physicalMsOf(timestamp: Timestamp): number {
  return Number(timestamp.slice(0, DIGITS))
}
