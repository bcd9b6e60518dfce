// The contracts of the SQL databases that features read from, and keep their own records in. Statements are those that
// SQLite and PostgreSQL share, with `?` for each parameter. Text holds no NUL: PostgreSQL keeps U+FFFD in its place.
import type { Row, SqlValue } from '../lib/sql-row.ts'

export interface Sql {
  /** All rows of one query; `?` stand for the parameters. */
  all(query: string, ...parameters: SqlValue[]): Promise<readonly Row[]>
}

/** Statements that wait for one commit: all of them or none. `all` reads what is committed now. */
export interface Transaction extends Sql {
  run(statement: string, ...parameters: SqlValue[]): void
}

/**
 * A database of our own records. Rejects with `records_unavailable` while it cannot be used, before any work is done
 * for nothing; what a statement itself does wrong is passed on.
 */
export interface Records extends Sql {
  /** Does the work, then commits what it has queued. It holds nothing open before, and a rejection keeps nothing. */
  transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T>
}

/** The same database for several owners: tables of one of them that cannot be made are no fault of the others. */
export interface SharedRecords extends Records {
  /** As this owner sees it: refused only while its own tables cannot be made, the whole while any cannot. */
  of(owner: string): Records
}

/**
 * The tables of one owner, as steps numbered from 1: each is applied once, whole or not at all, after those before it.
 * A step that has been released is never changed; the next one is added. Types are SQLite's (INTEGER, REAL, TEXT).
 */
export interface Migrations {
  readonly of: string
  readonly steps: readonly string[]
}

export interface TableRows {
  readonly rows: readonly Row[]
  /** When the database had these rows; null when nobody knows. */
  readonly asOfMs: number | null
}

/** Where reference data comes from: a database, or a service in front of one. Whole tables, which are only read. */
export interface TableSource {
  /** Which kind, as answers and logs name it. */
  readonly name: 'sqlite' | 'postgres' | 'supabase'
  /** All rows of the table. Rejects within seconds with the reason; no message holds a password or key. */
  read(table: string, columns: readonly string[]): Promise<TableRows>
}

/** The last good rows of such a table, kept over restarts as far as the disk allows; it never throws. */
export interface TableCopy {
  save(table: TableRows): void
  /** Undefined when there is none of this source. */
  read(): TableRows | undefined
}
