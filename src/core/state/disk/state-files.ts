// When the state's file may be used: while this container holds the data lock. Until then what another container has
// written is read; when the lock is asked back, everything is written out and the file is closed.
import { join } from 'node:path'
import { SECOND } from '../../../lib/time.ts'
import type { Log } from '../../../log.ts'
import type { DataLock } from '../../data-lock.ts'
import type { Standby } from '../standby.ts'
import { openStateDisk, peekStateDisk, type StateDisk } from './state-disk.ts'

const RETRY_MS = 2 * SECOND

/** Something of the state role that is kept on disk. */
export interface OnDisk {
  /** From here on the disk is ours: what it knows is learnt, what is known goes there. Undefined: not any more. */
  useDisk(disk: StateDisk | undefined): void
}

export interface StateFiles {
  /** How many versions on disk could not be read: acknowledged, and lost. */
  unreadable(): number
  close(): void
}

export interface StateFilesOptions {
  dataDir: string
  dataLock: DataLock
  standby: Standby
  parts: readonly OnDisk[]
  log: Log
}

export function openStateFiles({ dataDir, dataLock, standby, parts, log }: StateFilesOptions): StateFiles {
  const path = join(dataDir, 'samovar.db')
  let disk: StateDisk | undefined
  let isMissed = false

  function take(): void {
    disk = openIfPossible()
    if (!disk) return
    for (const table of ['copy', 'journal'] as const) {
      for (const [key, version] of disk.load(table)) standby.apply(key, version)
    }
    for (const part of parts) part.useDisk(disk)
  }

  // A volume that is full when the container starts: memory serves, and the file is taken up once there is space.
  function openIfPossible(): StateDisk | undefined {
    try {
      return openStateDisk(path, log)
    } catch (error) {
      if (!isMissed)
        log.error({ path, err: error }, 'ALERT the journal cannot be opened: state is in memory alone')
      isMissed = true
      return undefined
    }
  }

  const timer = setInterval(() => {
    if (disk || dataLock.state() !== 'held') return
    take()
    if (disk) log.info({ path }, 'the journal could be opened')
  }, RETRY_MS).unref()

  function leave(): void {
    for (const part of parts) part.useDisk(undefined)
    disk?.close()
    disk = undefined
  }

  if (dataLock.state() === 'held') take()
  else for (const [key, version] of peekStateDisk(path, log)) standby.apply(key, version)

  dataLock.onChange((state) => {
    if (state === 'held') take()
    else leave()
  })

  return {
    unreadable: () => disk?.unreadable() ?? 0,
    close() {
      clearInterval(timer)
      leave()
    },
  }
}
