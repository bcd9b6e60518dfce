// SQLite through node:sqlite. A database that the app fills once: made beside its place and moved there whole, so
// that no half-filled one is ever seen, and from then on only read.
import {
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import type { Row, SqlValue } from '../lib/sql-row.ts'

export type Fill = (run: (statement: string, ...parameters: SqlValue[]) => void) => void

export interface SnapshotDatabase {
  all(query: string, ...parameters: SqlValue[]): readonly Row[]
  close(): void
}

/** Makes the database at `path`, whole or not at all. Rollback journal: reading it writes nothing beside it. */
export function makeDatabase(path: string, fill: Fill): void {
  mkdirSync(dirname(path), { recursive: true })
  const unfinished = `${path}.${process.pid}.new` // several app processes may make it at the same time
  rmSync(unfinished, { force: true })
  const database = new DatabaseSync(unfinished)
  try {
    runFill(database, fill)
  } finally {
    database.close()
  }
  renameSync(unfinished, path)
}

/** The database at `path`, read-only. Throws DamagedDatabase when it is not a sound one. */
export function openDatabase(path: string): SnapshotDatabase {
  const database = new DatabaseSync(path, { readOnly: true })
  try {
    checkIntegrity(database)
  } catch (error) {
    database.close()
    throw asDamage(error)
  }
  return reading(database)
}

/** One in memory, for where none may be made. */
export function openMemoryDatabase(fill: Fill): SnapshotDatabase {
  const database = new DatabaseSync(':memory:')
  runFill(database, fill)
  return reading(database)
}

/** What SQLite has against the first of the texts that it refuses, in an empty database; undefined: nothing. */
export function refusalOf(texts: readonly string[]): { at: number; message: string } | undefined {
  const database = new DatabaseSync(':memory:')
  let at = 0
  try {
    for (const text of texts) {
      database.exec(text)
      at += 1
    }
    return undefined
  } catch (error) {
    return { at, message: (error as Error).message }
  } finally {
    database.close()
  }
}

const reading = (database: DatabaseSync): SnapshotDatabase => ({
  all: (query, ...parameters) => database.prepare(query).all(...parameters) as Row[],
  close: () => database.close(),
})

function runFill(database: DatabaseSync, fill: Fill): void {
  database.exec('BEGIN')
  fill((statement, ...parameters) => {
    database.prepare(statement).run(...parameters)
  })
  database.exec('COMMIT')
}

const BUSY_MS = 2_000 // several app processes write to one file: one waits for the other

type Parameter = string | number | null | Uint8Array

/** A database of our own state: synchronous, so that a write is committed when the call returns. */
export interface LocalDatabase {
  /** Any number of statements, without parameters. */
  exec(script: string): void
  run(statement: string, ...parameters: Parameter[]): void
  all(query: string, ...parameters: Parameter[]): Readonly<Record<string, Parameter>>[]
  /** All of it or nothing. */
  transaction(work: () => void): void
  close(): void
}

/** The file is not a database, or not a sound one. */
export class DamagedDatabase extends Error {}

const DAMAGE = new Set([11, 26]) // SQLITE_CORRUPT, SQLITE_NOTADB
const TROUBLE = new Set([5, 6, 8, 10, 13, 14]) // busy, locked, read-only, I/O, full, cannot open

/** What SQLite's error is about: the file, its disk, or only the statement. */
export function troubleOf(error: unknown): 'damage' | 'disk' | undefined {
  const { errcode = 0 } = error as { errcode?: number }
  const code = errcode & 0xff // the bits above are details
  if (DAMAGE.has(code)) return 'damage'
  return TROUBLE.has(code) ? 'disk' : undefined
}

/** How much of what was committed a power cut may take: what is not at a checkpoint yet, or nothing. */
export type Durability = 'checkpoint' | 'commit'

/**
 * Opens or makes the database at `path`, in WAL mode: a commit is in the file when a call returns, and on the disk
 * at the next checkpoint, or before the call returns. Throws DamagedDatabase when the file is not a sound one, and
 * what SQLite says when it cannot tell (no space, no permission).
 */
export function openLocalDatabase(
  path: string,
  schema: string,
  durability: Durability = 'checkpoint',
): LocalDatabase {
  mkdirSync(dirname(path), { recursive: true })
  const database = new DatabaseSync(path, { timeout: BUSY_MS })
  const prepared = new Map<string, StatementSync>()
  const prepare = (text: string) => {
    const statement = prepared.get(text) ?? database.prepare(text)
    prepared.set(text, statement)
    return statement
  }
  try {
    const synchronous = durability === 'commit' ? 'FULL' : 'NORMAL'
    database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = ${synchronous}`)
    checkIntegrity(database)
    database.exec(schema)
  } catch (error) {
    database.close()
    throw asDamage(error)
  }
  return {
    exec: (script) => database.exec(script),
    run(statement, ...parameters) {
      prepare(statement).run(...parameters)
    },
    all: (query, ...parameters) => prepare(query).all(...parameters) as Record<string, Parameter>[],
    transaction(work) {
      prepare('BEGIN IMMEDIATE').run()
      try {
        work()
        prepare('COMMIT').run()
      } catch (error) {
        // SQLite has already rolled back where the disk is full.
        if (database.isTransaction) database.exec('ROLLBACK')
        throw error
      }
    },
    close() {
      prepared.clear()
      database.close()
    },
  }
}

function checkIntegrity(database: DatabaseSync): void {
  const [{ integrity_check: verdict } = {}] = database.prepare('PRAGMA integrity_check(1)').all()
  if (verdict !== 'ok') throw new DamagedDatabase(String(verdict))
}

const asDamage = (error: unknown) =>
  troubleOf(error) === 'damage' ? new DamagedDatabase(String(error), { cause: error }) : error

const COPY_TRIES = 5

/**
 * Copies such a database while another process writes it, and touches nothing of it: SQLite itself, reading only, still
 * writes to the -shm beside it, and leaves an empty -wal where there was none.
 */
export function copyLocalDatabase(from: string, to: string): void {
  for (let tries = 0; tries < COPY_TRIES; tries += 1) {
    const before = pagesOf(from)
    copyFileSync(from, to)
    chmodSync(to, 0o600) // the copy is ours, also of a file that may only be read
    rmSync(`${to}-wal`, { force: true })
    if (existsSync(`${from}-wal`)) copyFileSync(`${from}-wal`, `${to}-wal`)
    // Bytes appended to the WAL while it is copied do no harm: a transaction that is not whole does not count.
    if (pagesOf(from) === before) return
  }
  throw new Error(`${from} changed each time it was copied`)
}

/** Changes with each checkpoint and with each new beginning of the WAL. */
function pagesOf(path: string): string {
  const { mtimeNs, size } = statSync(path, { bigint: true })
  const head = Buffer.alloc(32)
  if (existsSync(`${path}-wal`)) {
    const wal = openSync(`${path}-wal`, 'r')
    readSync(wal, head)
    closeSync(wal)
  }
  return `${mtimeNs} ${size} ${head.toString('hex')}`
}
