// A user whose server is slow, or silent, gets one delivery at a time, so that the others are not held up.
import { SECOND } from '../../../lib/time.ts'

const SLOW_MS = 2 * SECOND
const MOST_SLOW = 10_000 // users; the one who was slow first counts as fast again

/** What the work resolves with; undefined when it was not begun, because another one of that user must end first. */
export type PaceUsers = <T>(userId: string, work: () => Promise<T>) => Promise<T | undefined>

export function createPaceUsers(steadyNow = () => performance.now()): PaceUsers {
  const slow = new Set<string>()
  const underWay = new Map<string, number>()

  function addSlow(userId: string): void {
    slow.delete(userId)
    const [first] = slow
    if (slow.size >= MOST_SLOW && first !== undefined) slow.delete(first)
    slow.add(userId)
  }

  return async function pace(userId, work) {
    const before = underWay.get(userId) ?? 0
    if (slow.has(userId) && before > 0) return undefined
    underWay.set(userId, before + 1)
    const beganAtMs = steadyNow()
    try {
      return await work()
    } finally {
      if (steadyNow() - beganAtMs > SLOW_MS) addSlow(userId)
      else slow.delete(userId)
      const left = (underWay.get(userId) ?? 1) - 1
      if (left === 0) underWay.delete(userId)
      else underWay.set(userId, left)
    }
  }
}
