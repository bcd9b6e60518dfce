// The last good rows of a table of somebody else's database, in a SQLite file of our own, under the data lock: a
// restart while that database is away uses them.
import { existsSync } from 'node:fs'
import type { DataLock } from '../core/data-lock.ts'
import { makeDatabase, openDatabase } from '../core/sqlite.ts'
import type { Log } from '../log.ts'
import type { TableCopy, TableRows } from './sql.ts'

const REWRITTEN_MS = 60_000 // rows that are the same are written again no sooner, only for their time

export interface LocalCopyOptions {
  path: string
  columns: readonly string[]
  /** Which database it is a copy of, without anything secret: a copy of another one is none. */
  place: string
  dataLock: Pick<DataLock, 'state' | 'onChange'>
  log: Log
}

interface Written {
  readonly text: string
  readonly asOfMs: number
}

export function openLocalCopy({ path, columns, place, dataLock, log }: LocalCopyOptions): TableCopy {
  let kept: TableRows | undefined
  let written: Written | undefined

  dataLock.onChange((state) => {
    if (state === 'held' && kept) write(kept)
  })

  function write({ rows, asOfMs }: TableRows): void {
    if (dataLock.state() !== 'held') return
    const text = JSON.stringify(rows)
    const now = asOfMs ?? 0
    if (written?.text === text && now - written.asOfMs < REWRITTEN_MS) return
    try {
      const names = columns.join(', ')
      const marks = columns.map(() => '?').join(', ')
      makeDatabase(path, (run) => {
        run('CREATE TABLE copy_of (place TEXT NOT NULL, as_of INTEGER) STRICT')
        run('INSERT INTO copy_of VALUES (?, ?)', place, asOfMs)
        run(`CREATE TABLE copied (${names})`)
        const insert = `INSERT INTO copied (${names}) VALUES (${marks})`
        for (const row of rows) run(insert, ...columns.map((column) => row[column] ?? null))
      })
      written = { text, asOfMs: now }
    } catch (error) {
      log.error({ path, err: error }, 'the copy of the reference data cannot be written')
    }
  }

  function readFile(): TableRows | undefined {
    if (!existsSync(path)) return undefined
    try {
      const database = openDatabase(path)
      try {
        const [about] = database.all('SELECT place, as_of FROM copy_of')
        if (about?.place !== place) return undefined
        return { rows: database.all('SELECT * FROM copied'), asOfMs: Number(about.as_of) }
      } finally {
        database.close()
      }
    } catch (error) {
      log.error({ path, err: error }, 'the copy of the reference data cannot be read')
      return undefined
    }
  }

  return {
    save(table) {
      kept = table
      write(table)
    },
    read() {
      kept ??= readFile()
      return kept
    },
  }
}
