// When the state's file may be used: while this container holds the data lock. Until then what another container has
// written is read; when the lock is asked back, everything is written out and the file is closed.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { SECOND } from '../../../lib/time.ts'
import type { Log } from '../../../log.ts'
import type { DamageLog } from '../../damage-log.ts'
import type { DataLock } from '../../data-lock.ts'
import type { Installation } from '../../files/installation.ts'
import type { Participant } from '../../participant.ts'
import type { WholeCopy } from '../absence/whole-copy.ts'
import type { Standby } from '../standby.ts'
import { openStateDisk, peekStateDisk, type StateDisk } from './state-disk.ts'

const RETRY_MS = 2 * SECOND

export interface StateFiles {
  /** How many versions on disk could not be read: acknowledged, and lost. */
  unreadable(): number
  close(): void
}

export interface StateFilesOptions {
  /** Undefined: there is no file, and memory serves. */
  dataDir: string | undefined
  dataLock: DataLock
  standby: Standby
  /** Whose data is on that disk. */
  participant: Pick<Participant, 'load' | 'persist'>
  /** Learns what the standby has of the file. */
  whole?: Pick<WholeCopy, 'loaded' | 'released'>
  damage: Pick<DamageLog, 'note'>
  installation: Installation
  log: Log
}

export function openStateFiles(options: StateFilesOptions): StateFiles {
  const { dataDir, dataLock, standby, participant, whole, damage, installation, log } = options
  if (dataDir === undefined) {
    whole?.loaded(undefined)
    return { unreadable: () => 0, close: () => {} }
  }
  const path = join(dataDir, 'samovar.db')
  let disk: StateDisk | undefined
  let isMissed = false

  // A volume that is full when the container starts: memory serves, and the file is taken up once there is space.
  function take(): void {
    try {
      disk = openStateDisk(path, { log, damage, installation })
      for (const table of ['copy', 'journal'] as const) {
        for (const [key, version] of disk.load(table)) standby.apply(key, version)
      }
      whole?.loaded(disk)
      participant.load(disk)
    } catch (error) {
      give()
      whole?.loaded(undefined)
      if (!isMissed) miss(error)
      isMissed = true
    }
  }

  /** It stays where it is, and memory serves, with what can be read of it. */
  function miss(err: unknown): void {
    installation.alerts.raise({
      file: 'samovar.db',
      problem: 'unusable',
      message: 'the journal cannot be opened: state is in memory alone',
      advice:
        `A restart loses what Redis does not have. ${path} is tried again every 2 s: see that the disk has space, ` +
        'and that the user of this process owns the file and may write it',
      err,
    })
    if (existsSync(path)) peek()
  }

  function peek(): void {
    for (const [key, version] of peekStateDisk(path, { log, damage })) standby.apply(key, version)
  }

  const timer = setInterval(() => {
    if (disk || dataLock.state() !== 'held') return
    take()
    if (!disk) return
    isMissed = false
    installation.alerts.mended('samovar.db')
    log.info({ path }, 'the journal could be opened')
  }, RETRY_MS).unref()

  function give(): void {
    participant.persist()
    disk?.close()
    disk = undefined
  }

  if (dataLock.state() === 'held') take()
  else peek()

  dataLock.onChange((state) => {
    if (state !== 'held') {
      give()
      whole?.released()
    } else if (!disk) take()
  })

  return {
    unreadable: () => disk?.unreadable() ?? 0,
    close() {
      clearInterval(timer)
      give()
    },
  }
}
