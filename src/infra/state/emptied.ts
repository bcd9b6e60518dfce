// Notices a Redis that lost its keys while it went on answering (FLUSHALL, or another server behind the same address):
// no connection was lost, so nothing else would. It is seeded behind the callers, who have their answers from memory.
import { createSingleFlight } from '../../lib/single-flight.ts'
import { quietly } from '../store/store.ts'

export interface Emptied {
  /** How often it was noticed. */
  times(): number
  /** Asks Redis whether it still is in the life we know. True when it is not, and while it is being seeded. */
  look(): Promise<boolean>
}

export interface EmptiedParts {
  isAnotherLife: () => Promise<boolean>
  seed: () => Promise<void>
}

export function createEmptied({ isAnotherLife, seed }: EmptiedParts): Emptied {
  const looks = createSingleFlight<boolean>()
  let times = 0
  let isSeeding = false

  async function seedBehind(): Promise<void> {
    times += 1
    isSeeding = true
    await quietly(seed()) // cut off half-way, it is seeded by the merge on Redis' return, or noticed again
    isSeeding = false
  }

  return {
    times: () => times,
    look: async () =>
      isSeeding ||
      looks.run('life', async () => {
        const isAnother = await isAnotherLife()
        if (isAnother) void seedBehind()
        return isAnother
      }),
  }
}
