// The copy of the state on disk: a restart begins with it, and serves from it where Redis is away. A write of this
// process is in it before it is acknowledged; what others wrote follows within a second.
import type { DrainGate } from '../../../lib/async/drain-gate.ts'
import { SECOND } from '../../../lib/time.ts'
import { createParticipant, type Participant } from '../../participant.ts'
import type { Standby } from '../standby.ts'
import type { StateStore } from '../state-store.ts'
import type { StateDisk } from './state-disk.ts'

const BEHIND_MS = SECOND
const MOST_A_TURN = 1_000 // keys: a resync brings a hundred thousand
/** Of so many the neighbours are written together: they share pages of the file, which Redis' own order never does. */
const MOST_SORTED = 20_000
const PARTIAL = 'copy-partial' // metadata: Redis has keys that did not fit into memory, and so not here

export interface DiskCopy {
  /** The version of this key in the standby has changed, or is gone. */
  changed(key: string): void
  /**
   * Resolves once the change under this key is committed: one commit for all that is awaited in a turn of the event
   * loop.
   */
  committed(key: string): Promise<void> | undefined
  /** Commits now what has changed. */
  flush(): void
  readonly participant: Participant
  close(): void
}

/** `saved`: called when all that the standby has is on disk. */
export function createDiskCopy(standby: () => Standby, saved = () => {}): DiskCopy {
  const dirty = new Set<string>() // empty without a disk: all is written when there is one
  const awaited = new Set<string>() // those of them that a caller waits for
  let commit: Promise<void> | undefined
  let isPartial = false
  let disk: StateDisk | undefined
  let isFlushing = false
  let sorted: string[] = [] // keys for the next turns; some may have been written since
  const timer = setInterval(() => !isFlushing && flushSome(), BEHIND_MS).unref()

  /** In the background: so many keys in a turn of the event loop, until none is left. */
  function flushSome(): void {
    isFlushing = disk !== undefined && dirty.size > MOST_A_TURN
    if (isFlushing) {
      if (sorted.length === 0) sorted = [...take(dirty, MOST_SORTED)].sort()
      save(sorted.splice(-MOST_A_TURN).filter((key) => dirty.has(key)))
      setImmediate(flushSome)
    } else {
      sorted = []
      flush()
    }
  }

  function flush(): void {
    save(dirty)
    if (disk) saved()
  }

  function save(changed: Iterable<string>): void {
    if (!disk) return
    if (standby().isIncomplete() !== isPartial) {
      isPartial = !isPartial
      disk.setMetadata(PARTIAL, String(isPartial))
    }
    const entries = Array.from(changed, (key) => [key, standby().kept(key)] as const)
    if (entries.length === 0) return
    for (const [key] of entries) {
      dirty.delete(key)
      awaited.delete(key)
    }
    disk.save('copy', entries)
  }

  return {
    changed(key) {
      if (disk) dirty.add(key)
    },
    committed(key) {
      if (!dirty.has(key)) return undefined
      awaited.add(key)
      commit ??= new Promise((resolve) => {
        setImmediate(() => {
          commit = undefined
          save(awaited)
          resolve()
        })
      })
      return commit
    },
    flush,
    participant: createParticipant({
      load(opened) {
        disk = opened
        isPartial = disk.metadata(PARTIAL) === 'true'
        if (isPartial) standby().setIncomplete()
        for (const key of standby().keys()) dirty.add(key)
        flush()
      },
      persist() {
        flush()
        disk = undefined
      },
      left: flush,
    }),
    close: () => clearInterval(timer),
  }
}

/**
 * The store, whose changes are refused while nobody could keep them. Limits go on counting, in memory: to refuse a
 * read for them would help nobody.
 */
export function gated(store: StateStore, changes: Pick<DrainGate, 'pass'>): StateStore {
  return {
    ...store,
    put: (...args) => changes.pass(() => store.put(...args)),
    replace: (...args) => changes.pass(() => store.replace(...args)),
    claim: (...args) => changes.pass(() => store.claim(...args)),
  }
}

/** The store, whose answers wait until what they changed here is committed. */
export function committing(store: StateStore, committed: DiskCopy['committed']): StateStore {
  const after =
    <Args extends [string, ...unknown[]], T>(call: (...args: Args) => Promise<T>) =>
    async (...args: Args) => {
      const answer = await call(...args)
      const commit = committed(args[0])
      if (commit) await commit
      return answer
    }
  return {
    ...store,
    put: after(store.put),
    replace: after(store.replace),
    claim: after(store.claim),
    hit: after(store.hit),
    bump: after(store.bump),
  }
}

function* take<T>(items: Iterable<T>, most: number): Generator<T> {
  let taken = 0
  for (const item of items) {
    if (taken === most) return
    taken += 1
    yield item
  }
}
