// A database of reference data that is made once and then only read, under the data lock: who may not write serves a
// copy in memory until it may.

import type { Log } from '../../log.ts'
import type { DataLock } from '../data-lock.ts'
import type { Sql } from './sql.ts'
import { type Fill, makeDatabase, openDatabase, type SnapshotDatabase } from './sqlite.ts'

export interface SnapshotOptions {
  path: string
  /** Makes the tables and their rows in an empty database. */
  fill: Fill
  dataLock: DataLock
  log: Log
}

export interface Snapshot extends Sql {
  close(): void
}

export function openSnapshot({ path, fill, dataLock, log }: SnapshotOptions): Snapshot {
  let database: SnapshotDatabase | undefined

  dataLock.onChange(() => {
    if (!database || !makeIfAllowed()) return
    database.close()
    database = openDatabase(path, fill)
  })

  // On first use, so that the app listens before a first start fills the tables.
  function open(): SnapshotDatabase {
    if (!database) {
      makeIfAllowed()
      database = openDatabase(path, fill)
    }
    return database
  }

  function makeIfAllowed(): boolean {
    if (dataLock.state() !== 'held') return false
    try {
      makeDatabase(path, fill)
      return true
    } catch (error) {
      log.error({ path, err: error }, 'reference data cannot be written: it is served from memory')
      return false
    }
  }

  return {
    all: (query, ...parameters) => open().all(query, ...parameters),
    close: () => database?.close(),
  }
}
