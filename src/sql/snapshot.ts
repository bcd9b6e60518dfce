// A database of reference data that is made once and then only read, under the data lock: a process that may not write
// serves a copy in memory until it may.
import { existsSync, statSync } from 'node:fs'
import type { DataLock } from '../core/data-lock.ts'
import { setAside } from '../core/files/quarantine.ts'
import {
  DamagedDatabase,
  type Fill,
  makeDatabase,
  openDatabase,
  openMemoryDatabase,
  type SnapshotDatabase,
} from '../core/sqlite.ts'
import type { Log } from '../log.ts'
import type { Sql, TableSource } from './sql.ts'

export interface SnapshotOptions {
  path: string
  /** Makes the tables and their rows in an empty database. */
  fill: Fill
  dataLock: Pick<DataLock, 'state' | 'onChange'>
  log: Log
}

export interface Snapshot extends Sql, TableSource {
  close(): void
}

export function openSnapshot({ path, fill, dataLock, log }: SnapshotOptions): Snapshot {
  let database: SnapshotDatabase | undefined
  let isOnDisk = false

  dataLock.onChange(() => {
    if (!database || dataLock.state() !== 'held') return
    database.close()
    database = open()
  })

  // On first use, so that the app listens before a first start fills the tables.
  const opened = () => {
    database ??= open()
    return database
  }

  function open(): SnapshotDatabase {
    isOnDisk = false
    try {
      const onDisk = openOnDisk()
      if (onDisk) {
        isOnDisk = true
        return onDisk
      }
    } catch (error) {
      log.error({ path, err: error }, 'reference data cannot be kept on disk: it is served from memory')
    }
    return openMemoryDatabase(fill)
  }

  function openOnDisk(): SnapshotDatabase | undefined {
    const mayWrite = dataLock.state() === 'held'
    if (mayWrite && !existsSync(path)) makeDatabase(path, fill)
    if (!existsSync(path)) return undefined
    try {
      return openDatabase(path)
    } catch (error) {
      if (!(error instanceof DamagedDatabase) || !mayWrite) throw error
      log.error(
        { path, err: error, aside: setAside(path) },
        'reference data was damaged: it is created again',
      )
      makeDatabase(path, fill)
      return openDatabase(path)
    }
  }

  return {
    name: 'sqlite',
    all: async (query, ...parameters) => opened().all(query, ...parameters),
    async read(table, columns) {
      const rows = opened().all(`SELECT ${columns.join(', ')} FROM ${table}`)
      return { rows, asOfMs: isOnDisk ? Math.floor(statSync(path).mtimeMs) : null }
    },
    close: () => database?.close(),
  }
}
