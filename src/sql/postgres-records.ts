// Records in PostgreSQL, which several containers share: it is the server that keeps their writes apart.
import { recordsUnavailable } from '../errors.ts'
import type { Log } from '../log.ts'
import { translateTables } from './dialect.ts'
import { APPLIED_TABLE, inStep, missingSteps, NOTE_APPLIED, READ_APPLIED } from './migrations.ts'
import { DatabaseAway, type Postgres } from './postgres.ts'
import { queueStatements } from './queued-transaction.ts'
import type { Migrations, Records } from './sql.ts'

const MIGRATING = 7_248_619_305 // of the advisory lock for migrations; others' programs have other numbers

export interface PostgresRecordsOptions {
  postgres: Postgres
  migrations: readonly Migrations[]
  log: Log
}

export function openPostgresRecords({ postgres, migrations, log }: PostgresRecordsOptions): Records {
  let opening: Promise<void> | undefined
  let isMissed = false

  // On first use, and again with the next one when it fails: the server may start after us.
  function open(): Promise<void> {
    opening ??= migrate().catch((error) => {
      opening = undefined
      throw unusable(error)
    })
    return opening
  }

  const migrate = () =>
    postgres.transaction(async (run) => {
      await run('SELECT pg_advisory_xact_lock(?)', MIGRATING)
      await run(translateTables(APPLIED_TABLE))
      for (const step of missingSteps(await run(READ_APPLIED), migrations)) {
        await run(translateTables(step.text)).catch((error) => {
          throw inStep(step, error)
        })
        await run(NOTE_APPLIED, step.owner, step.number, Date.now())
      }
    })

  async function use<T>(call: () => Promise<T>): Promise<T> {
    await open()
    try {
      const answer = await call()
      isMissed = false
      return answer
    } catch (error) {
      throw error instanceof DatabaseAway ? unusable(error) : error
    }
  }

  function unusable(cause: unknown) {
    const { place } = postgres
    if (!isMissed) log.error({ place, err: cause }, 'ALERT the database of records cannot be used')
    isMissed = true
    return recordsUnavailable({ cause })
  }

  const all: Records['all'] = (query, ...parameters) => use(() => postgres.all(query, ...parameters))

  return {
    all,
    async transaction(work) {
      await all('SELECT 1')
      const { answer, statements } = await queueStatements(all, work)
      await use(() =>
        postgres.transaction(async (run) => {
          for (const [text, parameters] of statements) await run(text, ...parameters)
        }),
      )
      return answer
    },
  }
}
