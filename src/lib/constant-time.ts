// Comparing secrets so that the time it takes tells nothing about them.
import { createHash, timingSafeEqual } from 'node:crypto'

/** Whether both are the same, in a time that depends on neither. */
export function isSameSecret(given: string, expected: string): boolean {
  // Digests have one length for any input, so that timingSafeEqual neither throws nor tells the length.
  return timingSafeEqual(digest(given), digest(expected))
}

const digest = (text: string) => createHash('sha256').update(text).digest()
