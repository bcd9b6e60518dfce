// What the merges since the last return have done: for the report of the outage. Bounded, and it says what was left
// out.
import type { Return } from '../../participant.ts'

const MOST_ACCEPTED = 100
const MOST_CONFLICTS = 100
const MOST_DAMAGED = 100_000

export interface MergeReport {
  readonly returned: Return
  /** How many keys were merged, by the first word of their names. */
  readonly merged: Readonly<Record<string, number>>
  /** What was claimed while Redis was away, the first 100: key names; then how many more there were. */
  readonly accepted: readonly string[]
  /** One sentence each, the first 100; then how many more there were. */
  readonly conflicts: readonly string[]
  /** How many keys had a damaged value in Redis: absent there, and replaced by a sound one if there was any. */
  readonly corrupt: number
  /** Deleted because the standby did not know them; undefined where that proves nothing. */
  readonly removed: number | undefined
}

export function createMergeReport() {
  const merged: Record<string, number> = {}
  const accepted: string[] = []
  const conflicts: string[] = []
  const damaged = new Set<string>()
  let acceptedLeftOut = 0
  let conflictsLeftOut = 0
  return {
    returned: 'kept' as Return,
    removed: undefined as number | undefined,
    addMerged(word: string): void {
      merged[word] = (merged[word] ?? 0) + 1
    },
    addAccepted(key: string): void {
      if (accepted.length < MOST_ACCEPTED) accepted.push(key)
      else acceptedLeftOut += 1
    },
    addConflict(sentence: string): void {
      if (conflicts.length < MOST_CONFLICTS) conflicts.push(sentence)
      else conflictsLeftOut += 1
    },
    addDamage(key: string): void {
      if (damaged.size < MOST_DAMAGED) damaged.add(key)
    },
    /** What was found beside the merges, and not again. */
    takeDamage(): Pick<MergeReport, 'conflicts' | 'corrupt'> {
      const taken = { conflicts: conflicts.splice(0), corrupt: damaged.size }
      damaged.clear()
      return taken
    },
    take(): MergeReport {
      const more = (leftOut: number) => (leftOut > 0 ? [`and ${leftOut} more`] : [])
      return {
        returned: this.returned,
        merged,
        accepted: [...accepted, ...more(acceptedLeftOut)],
        conflicts: [...conflicts, ...more(conflictsLeftOut)],
        corrupt: damaged.size,
        removed: this.removed,
      }
    },
  }
}

/** What there is to say of a return, in one sentence. */
export function noteOf({
  returned,
  removed,
  isShared,
}: Pick<MergeReport, 'returned' | 'removed'> & { isShared: boolean }): string | null {
  if (returned === 'empty') return 'Redis came back empty and was seeded from memory'
  if (returned !== 'older') return null
  const note = 'Redis came back in an older state and was seeded from memory'
  if (removed !== undefined) return `${note}; ${removed} keys that had been deleted since were deleted again`
  return isShared ? note : `${note}; memory was partial, so nothing was removed`
}
