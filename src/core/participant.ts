// A participant keeps something of its own through an outage of the state role's Redis: the journal, reports of
// outages, the copy on disk, generation counters, pending invalidations, jobs, unsent messages. The role takes all
// of them through the same steps, in the order of one list (samovar.ts).
//
//   load ──► left ──► merge, until nothing is pending ──► returned ──► … ──► persist
//
// `load` and `persist` follow the data lock, the others the state of Redis; either may come first.
import type { StateDisk } from './state/disk/state-disk.ts'

/**
 * What Redis turned out to be when it came back. The state role decides it once, by the epoch and the sequences
 * that it keeps there, for all who keep something in that Redis. `first`: never seen before. `empty` or `older`: it
 * has lost data.
 */
export type Return = 'first' | 'kept' | 'empty' | 'older'

export interface Participant {
  /**
   * The disk is ours: its data is taken up, data that is only in memory goes there, and so does each change from
   * now on.
   */
  load(disk: StateDisk): void
  /** The disk is about to be given up: data that is not there yet goes there, and nothing after that. */
  persist(): void
  /** The connection was lost and is opened again: Redis may have lost the last writes. As `left`, if not given. */
  cut(): void
  /** Redis is not asked any more, and may have lost the last writes. */
  left(): void
  /**
   * Plays into Redis what it misses. Runs at each return, until nothing is pending; and while Redis is asked, when
   * something is pending, because it was too slow for it: then `returned` is undefined. Rejects with
   * RedisUnavailable, and is run again.
   */
  merge(returned: Return | undefined): Promise<void>
  /** Whether something must be in Redis before it counts as returned. */
  isPending(): boolean
  /** How much Redis does not have yet. */
  pending(): number
  /** Redis is asked again. */
  returned(): void
}

const IDLE: Participant = {
  load: () => {},
  persist: () => {},
  cut: () => {},
  left: () => {},
  merge: async () => {},
  isPending: () => false,
  pending: () => 0,
  returned: () => {},
}

/** One that has nothing to do in the steps it does not name. */
export const createParticipant = (steps: Partial<Participant>): Participant => ({
  ...IDLE,
  ...(steps.left && { cut: steps.left }),
  ...steps,
})

/** All of them as one, in this order. */
export function inOrder(participants: readonly Participant[]): Participant {
  return {
    load(disk) {
      for (const each of participants) each.load(disk)
    },
    persist() {
      for (const each of participants) each.persist()
    },
    cut() {
      for (const each of participants) each.cut()
    },
    left() {
      for (const each of participants) each.left()
    },
    async merge(returned) {
      for (const each of participants) if (returned || each.isPending()) await each.merge(returned)
    },
    isPending: () => participants.some((each) => each.isPending()),
    pending: () => participants.reduce((total, each) => total + each.pending(), 0),
    returned() {
      for (const each of participants) each.returned()
    },
  }
}
