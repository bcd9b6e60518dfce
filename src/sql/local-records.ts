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
import {
  APPLIED_TABLE,
  inStep,
  missingSteps,
  type Needs,
  NOTE_APPLIED,
  READ_APPLIED,
  RECORDS_UNUSABLE,
  tablesRefused,
} from './migrations.ts'
import { queueStatements } from './queued-transaction.ts'
import type { Migrations, Records, SharedRecords, Transaction } from './sql.ts'

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
  `${path} is tried again each time it is needed: see what the error says, that the disk has space, and that the ` +
  'user of this process owns the file and may write it'

const ADVICE_OF_TABLES =
  'see what the error says of its migrations: they are tried again each time they are needed'

export interface LocalRecords extends SharedRecords {
  close(): void
}

export function openLocalRecords(options: LocalRecordsOptions): LocalRecords {
  const { path, migrations, dataLock, installation } = options
  let database: LocalDatabase | undefined
  let isClosed = false
  let isMissed = false
  /** Whose tables are as they should be in the file that is open. */
  const ready = new Set<string>()
  /** Whose tables could not be made: until they can, the alert stays. */
  const refused = new Set<string>()

  dataLock.onChange((state) => {
    if (state !== 'held') leave()
  })

  function leave(): void {
    database?.close()
    database = undefined
    ready.clear()
  }

  function open(): LocalDatabase {
    if (isClosed) throw recordsUnavailable()
    if (dataLock.state() !== 'held') throw handingOver()
    if (database) return database
    database = openOrReplace(path, {
      schema: '',
      prepare(opened) {
        ready.clear()
        opened.exec(APPLIED_TABLE)
        makeTables(opened, () => false)
      },
      durability: 'commit', // it is acknowledged, and not sent again: it must outlast a power cut
      installation,
      cost: COST,
    }).database
    mended()
    return database
  }

  function mended(): void {
    if (refused.size === 0) installation.alerts.mended(FILE)
  }

  /** Of all, since what one of them does may write to tables of another; whoever `needs` them is refused without. */
  function makeTables(opened: LocalDatabase, needs: Needs): void {
    for (const owner of migrations) {
      const { of } = owner
      if (ready.has(of) || (refused.has(of) && !needs(of))) continue
      try {
        migrate(opened, owner)
        ready.add(of)
        refused.delete(of)
        mended()
      } catch (error) {
        if (troubleOf(error)) throw error
        refused.add(of)
        if (needs(of)) throw error
        unusable(error, { message: tablesRefused(of), advice: ADVICE_OF_TABLES })
      }
    }
  }

  function use<T>(needs: Needs, call: (database: LocalDatabase) => T): T {
    let isOpen = false
    try {
      const opened = open()
      makeTables(opened, needs)
      isOpen = true
      return call(opened)
    } catch (error) {
      if (troubleOf(error) === 'damage') leave() // the next one to come finds it out, and has it replaced
      // Opening fails with errors of the file system, too.
      if (troubleOf(error) || (!isOpen && !(error instanceof Refusal))) throw unusable(error)
      throw error
    }
  }

  function unusable(cause: unknown, said = { message: RECORDS_UNUSABLE, advice: adviceFor(path) }) {
    if (!isMissed) installation.alerts.raise({ file: FILE, problem: 'unusable', ...said, err: cause })
    isMissed = true
    return recordsUnavailable({ cause })
  }

  function recordsOf(needs: Needs): Records {
    const all = async (query: string, ...parameters: SqlValue[]) =>
      use(needs, (open) => open.all(query, ...parameters) as Row[])

    async function transact<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
      use(needs, () => {})
      const { answer, statements } = await queueStatements(all, work)
      use(needs, (open) =>
        open.transaction(() => {
          for (const [statement, parameters] of statements) open.run(statement, ...parameters)
        }),
      )
      mended()
      isMissed = refused.size > 0 // not where it could only be read: a full disk would be reported each time
      return answer
    }
    return { all, transaction: (work) => dataLock.changes.pass(() => transact(work)) }
  }

  return {
    ...recordsOf(() => true),
    of: (owner) => recordsOf((one) => one === owner),
    close() {
      isClosed = true
      leave()
    },
  }
}

function migrate(database: LocalDatabase, owner: Migrations): void {
  database.transaction(() => {
    const applied = database.all(READ_APPLIED) as Row[]
    for (const step of missingSteps(applied, [owner])) {
      try {
        database.exec(step.text)
      } catch (error) {
        throw inStep(step, error)
      }
      database.run(NOTE_APPLIED, step.owner, step.number, Date.now())
    }
  })
}
