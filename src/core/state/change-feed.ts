// Other processes' writes: Redis tells which keys, and what is under them now is copied to the standby a little later,
// many at once. Our own writes are told as well, because scripts make them.
import { kindOf } from '../keys.ts'
import type { Journal } from './disk/journal.ts'
import type { RedisStateStore } from './redis-state-store.ts'
import type { Standby } from './standby.ts'

const BATCH = 200

export interface Changes {
  /** This key was written by somebody. */
  note(key: string): void
  /** Whether the standby may have an older version of this key. */
  has(key: string): boolean
  /** Copies what was noted. Rejects with RedisUnavailable; what was not copied stays noted. */
  follow(): Promise<void>
}

export function createChanges(options: {
  redis: RedisStateStore
  standby: Standby
  journal: Journal
  /** Which life of Redis we know. */
  life: () => string | undefined
  /** Rejects when Redis is not in that life any more: then what is gone from it was lost, not deleted. */
  expectSameLife: (life: string | undefined) => Promise<void>
}): Changes {
  const { redis, standby, journal, life, expectSameLife } = options
  const noted = new Set<string>()
  const followed = new Set<string>() // being read

  async function readAll(names: readonly string[]) {
    const epoch = life()
    const versions = await redis.read(names)
    if (names.some((key, i) => !versions[i] && standby.kept(key))) await expectSameLife(epoch)
    return versions
  }

  return {
    note(key) {
      if (kindOf(key) !== undefined) noted.add(key)
    },
    has: (key) => noted.has(key) || followed.has(key),
    async follow() {
      while (noted.size > 0) {
        const names = [...noted].slice(0, BATCH)
        const before = names.map((key) => standby.kept(key)?.value)
        for (const key of names) {
          noted.delete(key)
          followed.add(key)
        }
        const versions = await readAll(names).catch((error) => {
          followed.clear()
          for (const key of names) noted.add(key)
          throw error
        })
        followed.clear()
        for (const [i, key] of names.entries()) {
          const version = versions[i]
          if (version) standby.apply(key, version)
          else if (standby.kept(key)?.value === before[i] && !journal.has(key)) standby.forget(key)
        }
      }
    },
  }
}
