// The copy of the state on disk: what a restart starts from, and goes on with where Redis is away. What was written here
// is in it before its caller has the answer; what others wrote follows within a second.
import { SECOND } from '../../../lib/time.ts'
import type { Standby } from '../standby.ts'
import type { StateStore } from '../state-store.ts'
import type { StateDisk } from './state-disk.ts'

const BEHIND_MS = SECOND
const PARTIAL = 'copy-partial' // a fact: Redis has keys that did not fit into memory, so that they are not here either

export interface DiskCopy {
  /** The version of this key in the standby has changed, or is gone. */
  changed(key: string): void
  /** Once what has changed under this key is committed: what is waited for in one turn of the event loop, at once. */
  committed(key: string): Promise<void> | undefined
  /** Commits now what has changed. */
  flush(): void
  /** From here on the disk is ours: all that the standby has goes there. Undefined: what has changed goes there first. */
  useDisk(disk: StateDisk | undefined): void
  close(): void
}

export function createDiskCopy(standby: () => Standby): DiskCopy {
  const dirty = new Set<string>() // empty without a disk: all is written when there is one
  const awaited = new Set<string>() // those of them that a caller waits for
  let commit: Promise<void> | undefined
  let isPartial = false
  let disk: StateDisk | undefined
  const timer = setInterval(flush, BEHIND_MS).unref()

  function flush(): void {
    save(dirty)
  }

  function save(names: Set<string>): void {
    if (!disk) return
    if (standby().lacksSome() !== isPartial) {
      isPartial = !isPartial
      disk.setMetadata(PARTIAL, String(isPartial))
    }
    if (names.size === 0) return
    const entries = [...names].map((key) => [key, standby().kept(key)] as const)
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
    useDisk(opened) {
      if (!opened) flush()
      disk = opened
      if (!disk) return
      isPartial = disk.metadata(PARTIAL) === 'true'
      if (isPartial) standby().lack()
      for (const key of standby().keys()) dirty.add(key)
      flush()
    },
    close: () => clearInterval(timer),
  }
}

/** The store, but that its answers wait until what they changed here is committed. */
export function committing(store: StateStore, committed: DiskCopy['committed']): StateStore {
  const after =
    <Args extends [string, ...unknown[]], T>(call: (...args: Args) => Promise<T>) =>
    async (...args: Args) => {
      const answer = await call(...args)
      await committed(args[0])
      return answer
    }
  return {
    ...store,
    putRecord: after(store.putRecord),
    updateRecord: after(store.updateRecord),
    claim: after(store.claim),
    putMark: after(store.putMark),
    putMembers: after(store.putMembers),
    hit: after(store.hit),
  }
}
