// How many stored values a soft clear has left as stale copies: they are no entries for who reads the statistics.
// Counted after clears, kept right as copies are replaced, and counted again, when somebody asks, after half a minute:
// copies also expire and are evicted.
import { withoutDeadline } from '../../lib/async/request-deadline.ts'
import { type Now, SECOND } from '../../lib/time.ts'
import type { Log } from '../../log.ts'
import type { ClearScope } from '../keys.ts'
import { decodeHead, type EntryHead } from './cache-entry.ts'
import type { IsDead } from './cache-store.ts'
import type { GenerationCounters } from './generation-counters.ts'
import type { MemoryStore } from './memory-cache-store.ts'

const COUNTED_AGAIN_MS = 30 * SECOND

export interface StaleCopies {
  counts(): { readonly memory: number; readonly redis: number }
  /** Counts memory now, and Redis in the background. */
  count(): void
  /** How many values of the scope memory has that are not stale yet. */
  live(scope: ClearScope): number
  /** One is a new value now. */
  replaced(): void
  close(): Promise<void>
}

/** Where copies are. */
export interface CopiesStore extends Pick<MemoryStore, 'sweepNow'> {
  /** Sweeps Redis alone, all of it; undefined where there is none, or where it is not asked for its size. */
  readonly sweepBehind?: ((isDead: IsDead) => Promise<number>) | undefined
}

export interface StaleCopiesOptions {
  store: CopiesStore
  clears: Pick<GenerationCounters, 'isDead' | 'isStale' | 'hasSoft' | 'top'>
  log: Log
  now: Now
}

export function createStaleCopies({ store, clears, log, now }: StaleCopiesOptions): StaleCopies {
  let memory = 0
  let redis = 0
  let countedAtMs: number | undefined
  let countedTop = 0 // the last clear that was known then: other processes clear, too
  let counting: Promise<void> | undefined
  let countAgain = false

  /** Tells of each usable value whether it is stale; deletes none. */
  const visit =
    (seen: (head: EntryHead, key: string, isStale: boolean) => void) => (key: string, bytes: Buffer) => {
      const head = decodeHead(bytes)
      if (head && !clears.isDead(key, head)) seen(head, key, clears.isStale(key, head))
      return false
    }

  async function countBehind(): Promise<void> {
    let found = 0
    try {
      await store.sweepBehind?.(
        visit((_head, _key, isStale) => {
          if (isStale) found += 1
        }),
      )
      redis = found
    } catch (error) {
      log.error({ err: error }, 'counting the stale copies of the cache (кэш) failed')
    }
  }

  function count(): void {
    countedAtMs = now()
    countedTop = clears.top()
    memory = 0
    if (!clears.hasSoft()) {
      redis = 0
      return
    }
    store.sweepNow(
      '',
      visit((_head, _key, isStale) => {
        if (isStale) memory += 1
      }),
    )
    // The one that runs may have passed what is stale only now.
    if (counting) countAgain = true
    else counting = withoutDeadline(countUntilRight)
  }

  async function countUntilRight(): Promise<void> {
    do {
      countAgain = false
      await countBehind()
    } while (countAgain)
    counting = undefined
  }

  return {
    counts() {
      const isOld =
        countedAtMs === undefined ||
        countedTop !== clears.top() ||
        (memory + redis > 0 && now() - countedAtMs > COUNTED_AGAIN_MS)
      if (isOld && clears.hasSoft()) count()
      return { memory, redis }
    },
    count,
    live(scope) {
      let found = 0
      store.sweepNow(
        '',
        visit((head, key, isStale) => {
          if (!isStale && isIn(scope, key, head)) found += 1
        }),
      )
      return found
    },
    replaced() {
      memory = Math.max(0, memory - 1)
      redis = Math.max(0, redis - 1)
    },
    async close() {
      while (counting) await counting
    },
  }
}

function isIn(scope: ClearScope, key: string, { tags }: EntryHead): boolean {
  if (scope === 'all') return true
  return 'tag' in scope ? tags.includes(scope.tag) : key.startsWith(scope.prefix)
}
