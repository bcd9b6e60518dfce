// Records in a SQLite file of ours, under the data lock: only its holder opens the file, so that two containers never
// write it. A process that waits for the lock, or whose disk cannot be written, says so, and is asked again later.

import type { DataLock } from '../core/data-lock.ts'
import { handingOver, Refusal } from '../core/errors.ts'
import type { Installation } from '../core/files/installation.ts'
import { openOrReplace } from '../core/open-or-replace.ts'
import { type LocalDatabase, troubleOf } from '../core/sqlite.ts'
import { recordsUnavailable } from '../errors.ts'
import type { Row, SqlValue } from '../lib/sql-row.ts'
import type { Log } from '../log.ts'
import { APPLIED_TABLE, inStep, missingSteps, NOTE_APPLIED, READ_APPLIED } from './migrations.ts'
import { queueStatements } from './queued-transaction.ts'
import type { Migrations, Records, Transaction } from './sql.ts'

export interface LocalRecordsOptions {
  path: string
  /** The tables of all who keep records here. */
  migrations: readonly Migrations[]
  dataLock: DataLock
  /** What the other files know of this one. */
  installation: Installation
  log: Log
}

const FILE = 'records.db'
const COST =
  'Lost: alerts of users and what handlers of webhooks had written, as far as they are not in it; which deliveries ' +
  'are done is still known to the state role'

const adviceFor = (path: string) =>
  `${path} is tried again with each webhook, and each time alerts are looked at: see what the error says, that the ` +
  'disk has space, and that the user of this process owns the file and may write it'

export interface LocalRecords extends Records {
  close(): void
}

export function openLocalRecords(options: LocalRecordsOptions): LocalRecords {
  const { path, migrations, dataLock, installation } = options
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
    database = openOrReplace(path, {
      schema: '',
      prepare: (opened) => migrate(opened, migrations),
      durability: 'commit', // it is acknowledged, and not sent again: it must outlast a power cut
      installation,
      cost: COST,
    }).database
    installation.alerts.mended(FILE)
    return database
  }

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
    const message = 'the database of records cannot be used'
    const advice = adviceFor(path)
    if (!isMissed) installation.alerts.raise({ file: FILE, problem: 'unusable', message, advice, err: cause })
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
    installation.alerts.mended(FILE)
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
    for (const step of missingSteps(applied, migrations)) {
      try {
        database.exec(step.text)
      } catch (error) {
        throw inStep(step, error)
      }
      database.run(NOTE_APPLIED, step.owner, step.number, Date.now())
    }
  })
}
