// A database that says of itself whose it is and how far it has come, and writes the same down in `installation`: soon
// after each write, and when it is closed. So a copy of an earlier time, or a lost -wal, is noticed when it is opened.
import { existsSync } from 'node:fs'
import { basename } from 'node:path'
import { type LocalDatabase, troubleOf } from '../sqlite.ts'
import { sumOfFile } from './file-sums.ts'
import type { FileMark, Installation } from './installation.ts'
import { peekValue } from './salvage.ts'

const BEHIND_MS = 250
const TABLE = 'samovar_installation'
const SCHEMA = `CREATE TABLE IF NOT EXISTS ${TABLE} (
  one INTEGER PRIMARY KEY CHECK (one = 1), id TEXT NOT NULL, generation INTEGER NOT NULL, sequence INTEGER NOT NULL,
  companions TEXT NOT NULL) STRICT`
const MARK = `INSERT INTO ${TABLE} VALUES (1, ?, ?, ?, ?) ON CONFLICT (one) DO UPDATE SET id = excluded.id,
  generation = excluded.generation, sequence = excluded.sequence, companions = excluded.companions`

/** What the database says of itself; undefined for one of an earlier release. */
export function markOf(database: LocalDatabase): FileMark | undefined {
  if (database.all('SELECT 1 FROM sqlite_schema WHERE name = ?', TABLE).length === 0) return undefined
  const [row] = database.all(`SELECT id, generation, sequence, companions FROM ${TABLE}`)
  return (
    row && {
      id: String(row.id),
      generation: Number(row.generation),
      sequence: Number(row.sequence),
      companions: String(row.companions).split(' '),
    }
  )
}

/** Its sequence, without opening it; undefined where it has none. */
export function peekSequence(path: string): number | undefined {
  const sequence = peekValue(path, TABLE, 3)
  return typeof sequence === 'number' ? sequence : undefined
}

/**
 * The database, which from now on is known. Throws what SQLite says of a file that may only be read; one whose disk is
 * full is known as soon as something can be written.
 */
export function trackDatabase(
  path: string,
  database: LocalDatabase,
  installation: Installation,
): LocalDatabase {
  const file = basename(path)
  let timer: NodeJS.Timeout | undefined
  let hasTable = false

  function bump(): void {
    timer = undefined
    database.transaction(() => {
      if (!hasTable) database.exec(SCHEMA)
      const { id, generation, sequence, companions } = installation.lastSeen(file)
      const next = Math.max(markOf(database)?.sequence ?? 0, sequence) + 1
      database.run(MARK, id, generation, next, [...new Set([...companions, file])].sort().join(' '))
    })
    hasTable = true
    installation.note(file, { sequence: markOf(database)?.sequence ?? 0 })
  }

  /** The file is full or locked: the next write comes back to it. */
  function bumpIfPossible(): void {
    try {
      bump()
    } catch (error) {
      if (!troubleOf(error)) throw error
    }
  }

  function wrote(): void {
    timer ??= setTimeout(bumpIfPossible, BEHIND_MS).unref()
  }

  function after<T>(call: () => T): T {
    const answer = call()
    wrote()
    return answer
  }

  try {
    bump()
  } catch (error) {
    if (isReadOnly(error)) throw error
    wrote()
  }

  return {
    ...database,
    exec: (script) => after(() => database.exec(script)),
    run: (statement, ...parameters) => after(() => database.run(statement, ...parameters)),
    transaction: (work) => after(() => database.transaction(work)),
    close() {
      if (timer) clearTimeout(timer)
      if (timer) bumpIfPossible()
      const sequence = installation.known(file)?.sequence ?? 0
      database.close()
      // Another process has it open still where its -wal stays.
      if (!existsSync(`${path}-wal`)) installation.note(file, { sequence, sum: sumOfFile(path) })
    },
  }
}

const isReadOnly = (error: unknown) => ((error as { errcode?: number }).errcode ?? 0) % 256 === 8
