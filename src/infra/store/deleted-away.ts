// Keys of the cache that were deleted while Redis was away: it is told before it is asked again. On disk too, so that
// a restart in the outage does not forget them.

/** Where the keys outlive the process. */
export interface DeletedDisk {
  deleted(): string[]
  saveDeleted(keys: readonly string[]): void
  settleDeleted(keys: readonly string[]): void
}

export interface DeletedAway {
  add(keys: readonly string[]): void
  /** What there is to tell. */
  entries(): readonly string[]
  /** These have been told, but for those that were deleted again since `entries` gave them. */
  settle(keys: readonly string[]): void
  has(key: string): boolean
  size(): number
  /** From here on the disk is ours: what it knows is learnt, and what is known goes there. */
  useDisk(disk: DeletedDisk | undefined): void
}

export function createDeletedAway(): DeletedAway {
  const deleted = new Map<string, number>() // key → the how-manieth deletion it was
  let last = 0
  let told = 0
  let disk: DeletedDisk | undefined

  function add(keys: readonly string[]): void {
    last += 1
    for (const key of keys) deleted.set(key, last)
    disk?.saveDeleted(keys)
  }

  return {
    add,
    entries() {
      told = last
      return [...deleted.keys()]
    },
    settle(keys) {
      const settled = keys.filter((key) => (deleted.get(key) ?? 0) <= told)
      for (const key of settled) deleted.delete(key)
      disk?.settleDeleted(settled)
    },
    has: (key) => deleted.has(key),
    size: () => deleted.size,
    useDisk(opened) {
      disk = opened
      if (!disk) return
      const present = [...deleted.keys()]
      add(disk.deleted())
      disk.saveDeleted(present)
    },
  }
}
