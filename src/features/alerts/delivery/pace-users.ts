// A user whose server is slow, or silent, gets one delivery at a time, so that the others are not held up.
import { SECOND } from '../../../lib/time.ts'

const SLOW_MS = 2 * SECOND

/** What the work resolves with; undefined when it was not begun, because another one of that user must end first. */
export type PaceUsers = <T>(userId: string, work: () => Promise<T>) => Promise<T | undefined>

export function createPaceUsers(): PaceUsers {
  const slow = new Set<string>()
  const underWay = new Map<string, number>()

  return async function pace(userId, work) {
    const before = underWay.get(userId) ?? 0
    if (slow.has(userId) && before > 0) return undefined
    underWay.set(userId, before + 1)
    const beganAtMs = performance.now()
    try {
      return await work()
    } finally {
      if (performance.now() - beganAtMs > SLOW_MS) slow.add(userId)
      else slow.delete(userId)
      const left = (underWay.get(userId) ?? 1) - 1
      if (left === 0) underWay.delete(userId)
      else underWay.set(userId, left)
    }
  }
}
