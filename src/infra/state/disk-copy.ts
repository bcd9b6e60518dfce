// The copy of the state on disk, written behind by at most a second: what a restart in an outage starts from.
import { SECOND } from '../../lib/time.ts'
import type { Standby } from './standby.ts'
import type { StateDisk } from './state-disk.ts'

const BEHIND_MS = SECOND

export interface DiskCopy {
  /** The version of this key in the standby has changed, or is gone. */
  changed(key: string): void
  /** Writes now what has changed. */
  flush(): void
  /** From here on the disk is ours: all that the standby has goes there. Undefined: what has changed goes there first. */
  useDisk(disk: StateDisk | undefined): void
  close(): void
}

export function createDiskCopy(standby: () => Standby): DiskCopy {
  const dirty = new Set<string>()
  let disk: StateDisk | undefined
  const timer = setInterval(flush, BEHIND_MS).unref()

  function flush(): void {
    if (!disk || dirty.size === 0) return
    const entries = [...dirty].map((key) => [key, standby().kept(key)] as const)
    dirty.clear()
    disk.save('copy', entries)
  }

  return {
    changed(key) {
      dirty.add(key)
    },
    flush,
    useDisk(opened) {
      if (!opened) flush()
      disk = opened
      if (!disk) return
      for (const key of standby().keys()) dirty.add(key)
      flush()
    },
    close: () => clearInterval(timer),
  }
}
