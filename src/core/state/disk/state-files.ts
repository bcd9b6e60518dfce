// When the state's file may be used: while this container holds the data lock. Until then what another container has
// written is read; when the lock is asked back, everything is written out and the file is closed.
import { join } from 'node:path'
import { SECOND } from '../../../lib/time.ts'
import type { Log } from '../../../log.ts'
import type { DamageLog } from '../../damage-log.ts'
import type { DataLock } from '../../data-lock.ts'
import type { Participant } from '../../participant.ts'
import type { Standby } from '../standby.ts'
import { openStateDisk, peekStateDisk, type StateDisk } from './state-disk.ts'

const RETRY_MS = 2 * SECOND

export interface StateFiles {
  /** How many versions on disk could not be read: acknowledged, and lost. */
  unreadable(): number
  close(): void
}

export interface StateFilesOptions {
  dataDir: string
  dataLock: DataLock
  standby: Standby
  /** Whose data is on that disk. */
  participant: Pick<Participant, 'load' | 'persist'>
  damage: Pick<DamageLog, 'note'>
  log: Log
}

export function openStateFiles(options: StateFilesOptions): StateFiles {
  const { dataDir, dataLock, standby, participant, damage, log } = options
  const path = join(dataDir, 'samovar.db')
  let disk: StateDisk | undefined
  let isMissed = false

  // A volume that is full when the container starts: memory serves, and the file is taken up once there is space.
  function take(): void {
    try {
      disk = openStateDisk(path, { log, damage })
      for (const table of ['copy', 'journal'] as const) {
        for (const [key, version] of disk.load(table)) standby.apply(key, version)
      }
      participant.load(disk)
    } catch (error) {
      give()
      if (!isMissed)
        log.error({ path, err: error }, 'ALERT the journal cannot be opened: state is in memory alone')
      isMissed = true
    }
  }

  const timer = setInterval(() => {
    if (disk || dataLock.state() !== 'held') return
    take()
    if (disk) log.info({ path }, 'the journal could be opened')
  }, RETRY_MS).unref()

  function give(): void {
    participant.persist()
    disk?.close()
    disk = undefined
  }

  if (dataLock.state() === 'held') take()
  else for (const [key, version] of peekStateDisk(path, { log, damage })) standby.apply(key, version)

  dataLock.onChange((state) => {
    if (state !== 'held') give()
    else if (!disk) take()
  })

  return {
    unreadable: () => disk?.unreadable() ?? 0,
    close() {
      clearInterval(timer)
      give()
    },
  }
}
