// Runs writes in their order. Rows of versions that follow one another in one table go together: a third to a half of
// what a row costs is the statement's own, and a resync brings a hundred thousand.
import type { LocalDatabase } from '../../sqlite.ts'

export type VersionTable = 'journal' | 'copy'
/** Key, kind, value, end. */
export type VersionRow = readonly [string, string, Uint8Array, number]

const TOGETHER = 16

// In its place: REPLACE would move the row, and write its index as well.
const upsert = (table: VersionTable, rows: number) =>
  `INSERT INTO ${table} VALUES ${Array(rows).fill('(?, ?, ?, ?)').join(', ')}
ON CONFLICT (key) DO UPDATE SET kind = excluded.kind, value = excluded.value, expires_at = excluded.expires_at`
const ONE = { journal: upsert('journal', 1), copy: upsert('copy', 1) }
const MANY = { journal: upsert('journal', TOGETHER), copy: upsert('copy', TOGETHER) }

interface Step {
  readonly table: string
  run(): void
  readonly row?: VersionRow
}

export function putRow(database: LocalDatabase, table: VersionTable, row: VersionRow): void {
  database.run(ONE[table], ...row)
}

export function runAll(database: LocalDatabase, steps: Iterable<Step>): void {
  let rows: VersionRow[] = []
  let table: VersionTable = 'copy' // of all of them

  function finish(): void {
    if (rows.length === TOGETHER) database.run(MANY[table], ...rows.flat())
    else for (const row of rows) putRow(database, table, row)
    rows = []
  }

  for (const step of steps) {
    if (!step.row || step.table !== table) finish()
    if (!step.row) {
      step.run()
      continue
    }
    table = step.table as VersionTable
    if (rows.push(step.row) === TOGETHER) finish()
  }
  finish()
}
