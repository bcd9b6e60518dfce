// SQLite through node:sqlite. A database that the app fills once: made beside its place and moved there whole, so
// that no half-filled one is ever seen, and from then on only read.
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Row, Sql } from './sql.ts'

export type Fill = (run: (statement: string, ...parameters: (string | number | null)[]) => void) => void

export interface SnapshotDatabase extends Sql {
  close(): void
}

/** Makes the database at `path` if there is none. Rollback journal: reading it writes nothing beside it. */
export function makeDatabase(path: string, fill: Fill): void {
  if (existsSync(path)) return
  mkdirSync(dirname(path), { recursive: true })
  const unfinished = `${path}.new`
  rmSync(unfinished, { force: true })
  const database = new DatabaseSync(unfinished)
  try {
    runFill(database, fill)
  } finally {
    database.close()
  }
  renameSync(unfinished, path)
}

/** The database at `path`, read-only; or one in memory, filled anew, where there is none and none may be made. */
export function openDatabase(path: string, fill: Fill): SnapshotDatabase {
  const onDisk = existsSync(path)
  const database = onDisk ? new DatabaseSync(path, { readOnly: true }) : new DatabaseSync(':memory:')
  if (!onDisk) runFill(database, fill)
  return {
    all: async (query, ...parameters) => database.prepare(query).all(...parameters) as Row[],
    close: () => database.close(),
  }
}

function runFill(database: DatabaseSync, fill: Fill): void {
  database.exec('BEGIN')
  fill((statement, ...parameters) => void database.prepare(statement).run(...parameters))
  database.exec('COMMIT')
}
