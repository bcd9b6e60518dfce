// Writes to samovar.db. One that fails is reported, and retried until it succeeds: memory has the data until then,
// and no caller fails because of it.
import { SECOND } from '../../../lib/time.ts'
import type { Log } from '../../../log.ts'
import type { LocalDatabase } from '../../sqlite.ts'
import { runAll, type VersionRow } from './write-rows.ts'

const RETRY_MS = 2 * SECOND

export type Table = 'journal' | 'copy' | 'facts' | 'deleted' | 'jobs' | 'outages'

/** A row that is written, or deleted: it is moot from then on, as one is that has expired. */
export interface Write {
  readonly table: Table
  readonly key: string
  readonly mootAtMs: number
  run(): void
  /** The row of a version, where it is one: many of one table are written by one statement (write-rows.ts). */
  readonly row?: VersionRow
}

export interface RetryQueue {
  /** In one transaction, now or later. */
  write(writes: readonly Write[]): void
  /** Tries once more. */
  close(): void
}

export function createRetryQueue(database: LocalDatabase, log: Log): RetryQueue {
  const waiting = new Map<string, Write>() // the last write of each row that is not on the disk
  const timer = setInterval(retry, RETRY_MS).unref()

  function commit(writes: Iterable<Write>): boolean {
    try {
      database.transaction(() => runAll(database, writes))
      return true
    } catch (error) {
      if (waiting.size === 0)
        log.error(
          { err: error },
          'ALERT the journal cannot be written: a restart while Redis is away loses what is in it',
        )
      return false
    }
  }

  function retry(): void {
    if (waiting.size === 0) return
    if (commit(waiting.values())) {
      log.info({ rows: waiting.size }, 'the journal is written again, with everything that was missing in it')
      waiting.clear()
    } else dropMoot()
  }

  /**
   * What would leave nothing where nothing is: so the queue is bounded by what memory keeps, and by what is in the
   * file.
   */
  function dropMoot(): void {
    for (const [row, { table, key, mootAtMs }] of waiting)
      if (mootAtMs <= Date.now() && !isInFile(table, key)) waiting.delete(row)
  }

  function isInFile(table: Table, key: string): boolean {
    try {
      return database.all(`SELECT 1 FROM ${table} WHERE key = ?`, key).length > 0
    } catch {
      return true // a disk that cannot be read, either
    }
  }

  return {
    write(writes) {
      if (waiting.size === 0 && commit(writes)) return
      for (const one of writes) waiting.set(`${one.table} ${one.key}`, one)
    },
    close() {
      clearInterval(timer)
      retry()
    },
  }
}
