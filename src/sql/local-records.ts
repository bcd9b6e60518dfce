// Records in a SQLite file of ours, under the data lock: only its holder opens the file, so that two containers never
// write it. Whoever waits for the lock, or has a disk that cannot be written, says so, and is asked again later.
import type { DataLock } from '../core/data-lock.ts'
import { handingOver, Refusal } from '../core/errors.ts'
import { openOrReplace } from '../core/open-or-replace.ts'
import { type LocalDatabase, troubleOf } from '../core/sqlite.ts'
import { recordsUnavailable } from '../errors.ts'
import type { Row, SqlValue } from '../lib/sql-row.ts'
import type { Log } from '../log.ts'
import { APPLIED_TABLE, missingSteps, NOTE_APPLIED, READ_APPLIED } from './migrations.ts'
import { queueStatements } from './queued-transaction.ts'
import type { Migrations, Records, Transaction } from './sql.ts'

export interface LocalRecordsOptions {
  path: string
  /** The tables of all who keep records here. */
  migrations: readonly Migrations[]
  dataLock: DataLock
  log: Log
}

export interface LocalRecords extends Records {
  close(): void
}

export function openLocalRecords({ path, migrations, dataLock, log }: LocalRecordsOptions): LocalRecords {
  let database: LocalDatabase | undefined
  let isClosed = false
  let isMissed = false

  dataLock.onChange((state) => {
    if (state !== 'held') leave()
  })

  function leave(): void {
    database?.close()
    database = undefined
  }

  function open(): LocalDatabase {
    if (isClosed) throw recordsUnavailable()
    if (dataLock.state() !== 'held') throw handingOver()
    if (database) return database
    // A commit is answered to others at once, and they do not send it again: it must outlast a power cut.
    const opened = openOrReplace(path, '', tellReplaced, 'commit')
    try {
      migrate(opened, migrations)
    } catch (error) {
      opened.close()
      throw error
    }
    database = opened
    return database
  }

  const tellReplaced = (fields: object) =>
    log.error(fields, 'ALERT the database of records was damaged: it is set aside, and a new one begins')

  function use<T>(call: (database: LocalDatabase) => T): T {
    try {
      return call(open())
    } catch (error) {
      if (isOpening(error)) throw unusable(error)
      if (troubleOf(error) === 'damage') leave() // the next one to come finds it out, and has it replaced
      if (troubleOf(error)) throw unusable(error)
      throw error
    }
  }

  // Opening fails with errors of the file system, too.
  const isOpening = (error: unknown) => !database && !(error instanceof Refusal)

  function unusable(cause: unknown) {
    if (!isMissed) log.error({ path, err: cause }, 'ALERT the database of records cannot be used')
    isMissed = true
    return recordsUnavailable({ cause })
  }

  const all = async (query: string, ...parameters: SqlValue[]) =>
    use((open) => open.all(query, ...parameters) as Row[])

  async function transact<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    use(() => {})
    const { answer, statements } = await queueStatements(all, work)
    use((open) =>
      open.transaction(() => {
        for (const [statement, parameters] of statements) open.run(statement, ...parameters)
      }),
    )
    isMissed = false // not where it could only be read: a full disk would be reported with each attempt
    return answer
  }

  return {
    all,
    transaction: (work) => dataLock.changes.pass(() => transact(work)),
    close() {
      isClosed = true
      leave()
    },
  }
}

function migrate(database: LocalDatabase, migrations: readonly Migrations[]): void {
  database.transaction(() => {
    database.exec(APPLIED_TABLE)
    const applied = database.all(READ_APPLIED) as Row[]
    for (const { owner, number, text } of missingSteps(applied, migrations)) {
      database.exec(text)
      database.run(NOTE_APPLIED, owner, number, Date.now())
    }
  })
}
