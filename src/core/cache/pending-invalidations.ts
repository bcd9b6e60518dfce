// Keys of the cache that were deleted while Redis was away: they are deleted there before it is asked again. On
// disk too, so that a restart in the outage does not forget them. Too many to keep one by one count as everything.
import { createParticipant, type Participant } from '../participant.ts'
import type { StateDisk } from '../state/disk/state-disk.ts'

const MOST_KEYS = 100_000
const EVERYTHING = '' // in the place of all keys

export interface PendingInvalidations {
  add(keys: readonly string[]): void
  /** The keys to delete in Redis. */
  entries(): readonly string[]
  /** Whether everything that Redis holds counts as deleted: then it is not enough to delete the entries there. */
  isEverything(): boolean
  /** Redis has deleted these; those that were deleted again since `entries` gave them stay. */
  acknowledge(keys: readonly string[]): void
  has(key: string): boolean
  size(): number
  /** Their place on disk. It is the cache's own server that they are merged into (tiered-cache-store.ts). */
  readonly participant: Participant
}

export function createPendingInvalidations(): PendingInvalidations {
  const deleted = new Map<string, number>() // key → the how-manieth deletion it was
  let last = 0
  let given = 0
  let disk: Pick<StateDisk, 'deleted' | 'saveDeleted' | 'acknowledgeDeleted'> | undefined

  const isEverything = () => deleted.has(EVERYTHING)

  function add(keys: readonly string[]): void {
    last += 1
    const isAll = isEverything() || keys.includes(EVERYTHING) || deleted.size + keys.length > MOST_KEYS
    const noted = isAll ? [EVERYTHING] : keys
    const covered = isAll ? [...deleted.keys()].filter((key) => key !== EVERYTHING) : []
    for (const key of noted) deleted.set(key, last)
    for (const key of covered) deleted.delete(key)
    disk?.saveDeleted(noted)
    disk?.acknowledgeDeleted(covered)
  }

  return {
    add,
    entries() {
      given = last
      return [...deleted.keys()]
    },
    isEverything,
    acknowledge(keys) {
      const done = keys.filter((key) => (deleted.get(key) ?? 0) <= given)
      for (const key of done) deleted.delete(key)
      disk?.acknowledgeDeleted(done)
    },
    has: (key) => isEverything() || deleted.has(key),
    size: () => deleted.size,
    participant: createParticipant({
      load(opened) {
        disk = opened
        add(disk.deleted())
        disk.saveDeleted([...deleted.keys()])
      },
      persist() {
        disk = undefined
      },
      pending: () => deleted.size,
    }),
  }
}
