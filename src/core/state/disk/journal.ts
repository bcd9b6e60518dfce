// What happened while Redis was away and is not in it yet: the last version of each key, committed to disk before the
// caller gets its answer, so that it outlives the process and the container. In memory alone where nothing may be
// written (another container holds the data lock).
import { stateFull } from '../../errors.ts'
import { mergeEntries, type VersionedEntry } from '../kinds/versioned-entry.ts'
import type { StateDisk } from './state-disk.ts'

const MOST_KEYS = 100_000
const FEW_KEYS = 1_000

export interface Journal {
  /** Commits the version in the place of the one before. Throws `state_full` when there are too many keys. */
  put(key: string, version: VersionedEntry): void
  /** The same for what the standby holds, whose budget is their bound. */
  putAll(entries: readonly (readonly [string, VersionedEntry])[]): void
  /** These versions are in Redis: they are taken out, but for those that have been put again since. */
  settle(entries: readonly (readonly [string, VersionedEntry])[]): void
  /** Some of what is in it, oldest first. */
  entries(limit: number): [string, VersionedEntry][]
  has(key: string): boolean
  size(): number
  /** From here on the disk is ours: what an earlier life left there is taken up, and what is here goes there too. */
  useDisk(disk: StateDisk | undefined): void
}

export function createJournal(): Journal {
  const pending = new Map<string, VersionedEntry>()
  let fullAt = FEW_KEYS
  let disk: StateDisk | undefined

  /** Each time it has doubled: what has expired must not wait for Redis for ever. */
  function makeRoom(): void {
    dropExpired()
    fullAt = Math.min(MOST_KEYS, Math.max(FEW_KEYS, 2 * pending.size))
    if (pending.size >= MOST_KEYS) throw stateFull()
  }

  function dropExpired(): void {
    const expired = [...pending]
      .filter(([, { expiresAtMs }]) => expiresAtMs <= Date.now())
      .map(([key]) => key)
    for (const key of expired) pending.delete(key)
    disk?.save(
      'journal',
      expired.map((key) => [key, undefined] as const),
    )
  }

  return {
    put(key, version) {
      if (pending.size >= fullAt && !pending.has(key)) makeRoom()
      pending.delete(key)
      pending.set(key, version)
      disk?.save('journal', [[key, version]])
    },
    putAll(entries) {
      for (const [key, version] of entries) pending.set(key, version)
      disk?.save('journal', entries)
    },
    settle(entries) {
      const settled = entries.filter(([key, version]) => pending.get(key) === version)
      for (const [key] of settled) pending.delete(key)
      disk?.save(
        'journal',
        settled.map(([key]) => [key, undefined] as const),
      )
    },
    entries: (limit) => [...take(pending, limit)],
    has: (key) => pending.has(key),
    size: () => pending.size,
    useDisk(opened) {
      disk = opened
      if (!disk) return
      for (const [key, version] of disk.load('journal')) {
        const mine = pending.get(key)
        pending.set(key, mine ? mergeEntries(mine, version) : version)
      }
      disk.save('journal', pending)
    },
  }
}

function* take<T>(items: Iterable<T>, limit: number): Generator<T> {
  let taken = 0
  for (const item of items) {
    if (taken === limit) return
    yield item
    taken += 1
  }
}
