// Other processes' writes: Redis tells which keys they were to, and their new versions are copied to the standby a
// little later, many together. Redis tells of our own writes as well, because scripts make them.
import type { FindKind } from '../keys.ts'
import type { Journal } from './disk/journal.ts'
import type { RedisStateStore } from './redis-state-store.ts'
import type { Standby } from './standby.ts'

const BATCH = 200
const MOST_KEYS = 100_000

export interface ChangeFeed {
  /** Somebody has written to this key. */
  note(key: string): void
  /** Whether the standby may have an older version of this key. */
  has(key: string): boolean
  /** Copies what was noted. Rejects with RedisUnavailable; what was not copied stays noted. */
  apply(): Promise<void>
  /**
   * Whether too many keys have changed to note each of them: only a full resync brings them. Forgets that it was
   * asked.
   */
  takeOverflow(): boolean
}

export interface ChangeFeedOptions {
  redis: RedisStateStore
  standby: Standby
  journal: Journal
  kindOf: FindKind
  /** The epoch of Redis that is known here. */
  epoch: () => string | undefined
  /** Rejects when Redis is not in that epoch any more: then what is gone from it was lost, not deleted. */
  expectSameEpoch: (epoch: string | undefined) => Promise<void>
}

export function createChangeFeed(options: ChangeFeedOptions): ChangeFeed {
  const { redis, standby, journal, kindOf, expectSameEpoch } = options
  const noted = new Set<string>()
  const reading = new Set<string>()
  let isOverflown = false

  async function readAll(names: readonly string[]) {
    const epoch = options.epoch()
    const versions = await redis.read(names)
    if (names.some((key, i) => !versions[i] && standby.kept(key))) await expectSameEpoch(epoch)
    return versions
  }

  return {
    note(key) {
      if (kindOf(key) === undefined) return
      if (noted.size < MOST_KEYS) noted.add(key)
      else isOverflown = true
    },
    has: (key) => isOverflown || noted.has(key) || reading.has(key),
    async apply() {
      while (noted.size > 0) {
        const names = [...noted].slice(0, BATCH)
        const before = names.map((key) => standby.kept(key)?.value)
        for (const key of names) {
          noted.delete(key)
          reading.add(key)
        }
        const versions = await readAll(names).catch((error) => {
          reading.clear()
          for (const key of names) noted.add(key)
          throw error
        })
        reading.clear()
        for (const [i, key] of names.entries()) {
          const version = versions[i]
          if (version) standby.apply(key, version)
          else if (standby.kept(key)?.value === before[i] && !journal.has(key)) standby.forget(key)
        }
      }
    },
    takeOverflow() {
      const taken = isOverflown
      isOverflown = false
      return taken
    },
  }
}
