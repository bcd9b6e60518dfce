// Whether samovar.db is a whole copy of the state role: then what is not in it is nowhere. Its metadata `copy-of` names
// the Redis that it is a whole copy of; empty: of none. It is written once everything that Redis has is on disk, so a
// file that is new, or began anew because the one before was damaged, does not have it.
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { RedisTarget } from '../../../lib/redis-url.ts'
import type { Log } from '../../../log.ts'
import { createParticipant, type Participant } from '../../participant.ts'
import type { StateDisk } from '../disk/state-disk.ts'
import type { Absence } from './absence.ts'

const COPY_OF = 'copy-of'

export interface WholeCopyOptions {
  absence: Absence
  /** Undefined: Redis is switched off. */
  target: RedisTarget | undefined
  prefix: string
  isExternal: boolean
  /** Where the image says what it found; undefined outside of it. */
  runDir: string | undefined
  log: Log
}

export interface WholeCopy {
  /** What is on disk is in memory; undefined: the file could not be opened. */
  loaded(disk: StateDisk | undefined): void
  /** Another container may write there now. */
  released(): void
  /** All that memory has is on disk. */
  saved(): void
  /** A resync has ended. */
  resynced(): void
  readonly participant: Participant
}

export function createWholeCopy(options: WholeCopyOptions): WholeCopy {
  const { absence, target, prefix, isExternal, runDir, log } = options
  const name = target && (isExternal ? nameOf(target, prefix) : 'embedded')
  // image/entrypoint.sh writes it on a volume without a trace of an earlier life.
  const firstLife = runDir === undefined ? undefined : join(runDir, 'app', 'first')
  let disk: StateDisk | undefined
  let isSaid = false // on disk

  function isWhole(opened: StateDisk | undefined): boolean {
    // Where Redis is switched off, nobody else could know.
    if (name === undefined) return true
    if (!opened?.isWhole() || opened.unreadable() > 0) return false
    const copyOf = opened.metadata(COPY_OF)
    if (copyOf !== undefined) return copyOf === name
    // By a release that does not write the name: what it knows of Redis, it has read from it.
    if (opened.metadata('epoch') !== undefined) return true
    return firstLife !== undefined && existsSync(firstLife)
  }

  return {
    loaded(opened) {
      if (isWhole(opened)) absence.complete()
      else if (!absence.isComplete())
        log.info(
          'what is on disk of the state is no whole copy of it: until Redis has been read, ' +
            'what is not known is answered with 503 state_unknown',
        )
    },
    released() {
      // On a shared Redis everything of the other container is to be read.
      if (!isExternal) absence.incomplete()
    },
    saved() {
      if (!disk || name === undefined || isSaid === absence.isComplete()) return
      isSaid = absence.isComplete()
      disk.setMetadata(COPY_OF, isSaid ? name : '')
    },
    resynced() {
      if (firstLife !== undefined) rmSync(firstLife, { force: true })
      absence.complete()
    },
    participant: createParticipant({
      load(opened) {
        disk = opened
        isSaid = disk.metadata(COPY_OF) === name
        if (!isSaid && disk.metadata(COPY_OF) === undefined && name !== undefined)
          disk.setMetadata(COPY_OF, '')
      },
      persist() {
        disk = undefined
      },
    }),
  }
}

/** Not its password, which may change. */
function nameOf({ at, database }: RedisTarget, prefix: string): string {
  const place = 'path' in at ? at.path : `${at.host}:${at.port}`
  return `${place}/${database} ${prefix}`
}
