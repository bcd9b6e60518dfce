// What Redis does not have yet: the last version of each key, committed to disk before the caller gets its answer,
// so that it outlives the process and the container. In memory alone where nothing may be written, because another
// container holds the data lock.
import type { Log } from '../../../log.ts'
import { stateFull } from '../../errors.ts'
import type { Participant } from '../../participant.ts'
import { mergeEntries, type VersionedEntry } from '../kinds/kinds.ts'
import type { StateDisk } from './state-disk.ts'

const MOST_KEYS = 100_000
const FEW_KEYS = 1_000

export interface Journal extends Pick<Participant, 'load' | 'persist'> {
  /** Commits the version in the place of the one before. Throws `state_full` when there are too many keys. */
  put(key: string, version: VersionedEntry): void
  /** The same for versions that the standby holds, whose budget is their bound: it says so where they are too many. */
  putAll(entries: readonly (readonly [string, VersionedEntry])[]): void
  /** Redis has these versions: they are taken out, but for those that have been put again since. */
  acknowledge(entries: readonly (readonly [string, VersionedEntry])[]): void
  /** Some of its entries, oldest first. */
  entries(limit: number): [string, VersionedEntry][]
  has(key: string): boolean
  size(): number
}

export function createJournal(log?: Pick<Log, 'warn'>): Journal {
  const pending = new Map<string, VersionedEntry>()
  let fullAt = FEW_KEYS
  let disk: StateDisk | undefined

  /** Each time it has doubled: what has expired must not wait for Redis. */
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
      const before = pending.size
      for (const [key, version] of entries) pending.set(key, version)
      disk?.save('journal', entries)
      if (before <= MOST_KEYS && pending.size > MOST_KEYS)
        log?.warn(
          { keys: pending.size },
          'the journal is full: until Redis has it, new keys are refused with state_full',
        )
    },
    acknowledge(entries) {
      const done = entries.filter(([key, version]) => pending.get(key) === version)
      for (const [key] of done) pending.delete(key)
      disk?.save(
        'journal',
        done.map(([key]) => [key, undefined] as const),
      )
    },
    entries: (limit) => [...take(pending, limit)],
    has: (key) => pending.has(key),
    size: () => pending.size,
    load(opened) {
      disk = opened
      for (const [key, version] of disk.load('journal')) {
        const mine = pending.get(key)
        pending.set(key, mine ? mergeEntries(mine, version) : version)
      }
      disk.save('journal', pending)
    },
    persist() {
      disk = undefined
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
