// Which steps of the tables' owners a database has, and which are still to come. Pure: each kind of database reads and
// applies them in one transaction of its own.

import type { Row } from '../lib/sql-row.ts'
import type { Migrations } from './sql.ts'

/** Whether the one who asks cannot do without the tables of that owner. */
export type Needs = (owner: string) => boolean

/** Not `migrations`: in a PostgreSQL that others use, too, that name is often taken. */
export const APPLIED_TABLE = `CREATE TABLE IF NOT EXISTS samovar_migrations (
  owner TEXT NOT NULL, number INTEGER NOT NULL, applied_at INTEGER NOT NULL, PRIMARY KEY (owner, number)
) STRICT, WITHOUT ROWID`
export const READ_APPLIED = 'SELECT owner, number FROM samovar_migrations'
export const NOTE_APPLIED = 'INSERT INTO samovar_migrations (owner, number, applied_at) VALUES (?, ?, ?)'

/** A newer version of the application has changed the tables: this one might write what that one cannot read. */
export class NewerDatabase extends Error {
  constructor(owner: string, found: number, known: number) {
    super(
      `the tables of ${owner} are at version ${found}, and this version of Samovar knows ${known}: ` +
        'run the newer one again, or restore a backup from before it',
    )
  }
}

/** What an alert says: of all tables, or of one owner's. */
export const RECORDS_UNUSABLE = 'the database of records cannot be used'
export const tablesRefused = (owner: string) =>
  `the tables of the feature ${owner} cannot be made: its SQL answers 503, all else works`

export interface Step {
  readonly owner: string
  readonly number: number
  readonly text: string
}

/** The same error, whose code decides what becomes of the file; its message says whose step it was. */
export function inStep({ owner, number }: Step, error: unknown): unknown {
  const failure = error as Error
  failure.message = `step ${number} of the tables of ${owner}: ${failure.message}`
  return failure
}

/**
 * What is to be applied, in order. Owners that are not among ours are left alone: their feature is not in this version.
 * @throws NewerDatabase
 */
export function missingSteps(applied: readonly Row[], migrations: readonly Migrations[]): Step[] {
  return migrations.flatMap(({ of, steps }) => {
    const numbers = applied.filter(({ owner }) => owner === of).map(({ number }) => Number(number))
    const found = Math.max(0, ...numbers)
    if (found > steps.length) throw new NewerDatabase(of, found, steps.length)
    return steps.slice(found).map((text, i) => ({ owner: of, number: found + i + 1, text }))
  })
}
