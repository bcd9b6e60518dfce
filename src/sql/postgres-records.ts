// Records in PostgreSQL, which several containers share: it is the server that keeps their writes apart.
import { recordsUnavailable } from '../errors.ts'
import type { Log } from '../log.ts'
import { translateTables } from './dialect.ts'
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
import { DatabaseAway, type Postgres } from './postgres.ts'
import { queueStatements } from './queued-transaction.ts'
import type { Migrations, Records, SharedRecords } from './sql.ts'

const MIGRATING = 7_248_619_305 // of the advisory lock for migrations; others' programs have other numbers

export interface PostgresRecordsOptions {
  postgres: Postgres
  migrations: readonly Migrations[]
  log: Log
}

export function openPostgresRecords({ postgres, migrations, log }: PostgresRecordsOptions): SharedRecords {
  let isMissed = false

  const opening = new Map<string, Promise<void>>()
  const refused = new Set<string>()

  // On first use, and again with the next one when it fails: the server may start after us.
  // Of all, since what one owner does may write to tables of another; whoever `needs` them is refused without.
  async function open(needs: Needs): Promise<void> {
    for (const owner of migrations) {
      const { of } = owner
      if (refused.has(of) && !needs(of)) continue
      const made = opening.get(of) ?? makeTables(owner)
      opening.set(of, made)
      await made.catch((error) => {
        if (needs(of) || !refused.has(of)) throw error
      })
    }
  }

  async function makeTables(owner: Migrations): Promise<void> {
    try {
      await migrate(owner)
      refused.delete(owner.of)
    } catch (error) {
      opening.delete(owner.of)
      if (!(error instanceof DatabaseAway)) refused.add(owner.of)
      throw unusable(error, refused.has(owner.of) ? tablesRefused(owner.of) : undefined)
    }
  }

  const migrate = (owner: Migrations) =>
    postgres.transaction(async (run) => {
      await run('SELECT pg_advisory_xact_lock(?)', MIGRATING)
      await run(translateTables(APPLIED_TABLE))
      for (const step of missingSteps(await run(READ_APPLIED), [owner])) {
        await run(translateTables(step.text)).catch((error) => {
          throw inStep(step, error)
        })
        await run(NOTE_APPLIED, step.owner, step.number, Date.now())
      }
    })

  async function use<T>(needs: Needs, call: () => Promise<T>): Promise<T> {
    await open(needs)
    try {
      const answer = await call()
      isMissed = refused.size > 0 // it was said
      return answer
    } catch (error) {
      throw error instanceof DatabaseAway ? unusable(error) : error
    }
  }

  function unusable(cause: unknown, message = RECORDS_UNUSABLE) {
    const { place } = postgres
    if (!isMissed) log.error({ place, err: cause }, `ALERT ${message}`)
    isMissed = true
    return recordsUnavailable({ cause })
  }

  function recordsOf(needs: Needs): Records {
    const all: Records['all'] = (query, ...parameters) => use(needs, () => postgres.all(query, ...parameters))
    return {
      all,
      async transaction(work) {
        await all('SELECT 1')
        const { answer, statements } = await queueStatements(all, work)
        await use(needs, () =>
          postgres.transaction(async (run) => {
            for (const [text, parameters] of statements) await run(text, ...parameters)
          }),
        )
        return answer
      },
    }
  }

  return {
    ...recordsOf(() => true),
    of: (owner) => recordsOf((one) => one === owner),
  }
}
