// Keys of the cache that were deleted while Redis was away: it is told before it is asked again. On disk too, so that
// a restart in the outage does not forget them. Too many to be kept one by one count as everything.

const MOST_KEYS = 100_000
const EVERYTHING = '' // in the place of all keys

/** Where the keys outlive the process. */
export interface DeletedDisk {
  deleted(): string[]
  saveDeleted(keys: readonly string[]): void
  settleDeleted(keys: readonly string[]): void
}

export interface PendingInvalidations {
  add(keys: readonly string[]): void
  /** What there is to tell. */
  entries(): readonly string[]
  /** Whether whatever Redis holds counts as deleted: then it is not enough to tell it of the entries. */
  isEverything(): boolean
  /** These have been told, but for those that were deleted again since `entries` gave them. */
  settle(keys: readonly string[]): void
  has(key: string): boolean
  size(): number
  /** From here on the disk is ours: what it knows is learnt, and what is known goes there. */
  useDisk(disk: DeletedDisk | undefined): void
}

export function createPendingInvalidations(): PendingInvalidations {
  const deleted = new Map<string, number>() // key → the how-manieth deletion it was
  let last = 0
  let told = 0
  let disk: DeletedDisk | undefined

  const isEverything = () => deleted.has(EVERYTHING)

  function add(keys: readonly string[]): void {
    last += 1
    const isAll = isEverything() || keys.includes(EVERYTHING) || deleted.size + keys.length > MOST_KEYS
    const noted = isAll ? [EVERYTHING] : keys
    const covered = isAll ? [...deleted.keys()].filter((key) => key !== EVERYTHING) : []
    for (const key of noted) deleted.set(key, last)
    for (const key of covered) deleted.delete(key)
    disk?.saveDeleted(noted)
    disk?.settleDeleted(covered)
  }

  return {
    add,
    entries() {
      told = last
      return [...deleted.keys()]
    },
    isEverything,
    settle(keys) {
      const settled = keys.filter((key) => (deleted.get(key) ?? 0) <= told)
      for (const key of settled) deleted.delete(key)
      disk?.settleDeleted(settled)
    },
    has: (key) => isEverything() || deleted.has(key),
    size: () => deleted.size,
    useDisk(opened) {
      disk = opened
      if (!disk) return
      add(disk.deleted())
      disk.saveDeleted([...deleted.keys()])
    },
  }
}
