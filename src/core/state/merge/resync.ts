// Everything that Redis holds of the state, page by page: copied to the standby at the start, after each return,
// and when there is room again for what did not fit.
import type { VersionedEntry } from '../kinds/kinds.ts'
import type { RedisStateStore } from '../redis-state-store.ts'
import type { Standby } from '../standby.ts'

const BATCH = 200

export async function* everythingIn(
  redis: RedisStateStore,
): AsyncGenerator<readonly (readonly [string, VersionedEntry])[]> {
  let cursor = '0'
  do {
    const page = await redis.scan(cursor)
    cursor = page.cursor
    for (let i = 0; i < page.keys.length; i += BATCH) {
      const names = page.keys.slice(i, i + BATCH)
      const versions = await redis.read(names)
      yield names.flatMap((key, j) => {
        const version = versions[j]
        return version ? [[key, version] as const] : []
      })
    }
  } while (cursor !== '0')
}

export interface Resync {
  /**
   * A full resync: the keys that Redis has; undefined when a later one has taken over. Rejects with
   * RedisUnavailable.
   */
  run(): Promise<ReadonlySet<string> | undefined>
  /** One becomes due once the last began so long ago. */
  runLater(afterMs: number): void
  /**
   * Whether one is due: asked for, or the last was cut off, or there is room again for what did not fit. Says the
   * last once.
   */
  isDue(): boolean
}

export interface ResyncOptions {
  redis: RedisStateStore
  standby: Standby
  /** Everything has been offered to the standby. */
  ended: () => void
}

export function createResync({ redis, standby, ended }: ResyncOptions): Resync {
  let last = 0
  let isCutOff = false
  let hadRoom = false
  let beganAtMs = Number.NEGATIVE_INFINITY
  let dueAtMs = Number.POSITIVE_INFINITY
  return {
    async run() {
      last += 1
      const number = last
      isCutOff = false
      beganAtMs = performance.now()
      dueAtMs = Number.POSITIVE_INFINITY
      standby.beginResync()
      const seen = new Set<string>()
      try {
        for await (const page of everythingIn(redis)) {
          if (number !== last) return undefined
          for (const [key, version] of page) {
            standby.apply(key, version)
            seen.add(key)
          }
        }
      } catch (error) {
        isCutOff = true
        throw error
      }
      standby.endResync()
      ended()
      return seen
    },
    runLater(afterMs) {
      dueAtMs = Math.min(dueAtMs, beganAtMs + afterMs)
    },
    isDue() {
      const had = hadRoom
      hadRoom = standby.hasRoomAgain()
      return performance.now() >= dueAtMs || isCutOff || (hadRoom && !had && standby.isSynced())
    },
  }
}
