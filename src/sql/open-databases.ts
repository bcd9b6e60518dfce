// Which databases this installation has: PostgreSQL for reference data and records; Supabase for reference data; or
// SQLite in the data directory for everything that has no other place.
import { join } from 'node:path'
import type { DataLock } from '../core/data-lock.ts'
import type { Installation } from '../core/files/installation.ts'
import type { Fill } from '../core/sqlite.ts'
import type { PostgresTarget } from '../lib/postgres-url.ts'
import { createScope } from '../lib/scope.ts'
import type { Log } from '../log.ts'
import { openLocalCopy } from './local-copy.ts'
import { openLocalRecords } from './local-records.ts'
import { openPostgres, type Postgres } from './postgres.ts'
import { openPostgresRecords } from './postgres-records.ts'
import { openSnapshot } from './snapshot.ts'
import type { Migrations, SharedRecords, TableCopy, TableSource } from './sql.ts'
import { openSupabase, type SupabaseTarget } from './supabase.ts'

export interface DatabasesOptions {
  database: {
    readonly postgres: PostgresTarget | undefined
    readonly supabase: SupabaseTarget | undefined
  }
  dataDir: string
  /** The tables of all who keep records. */
  migrations: readonly Migrations[]
  dataLock: DataLock
  installation: Installation
  log: Log
}

export interface ReferenceOptions {
  /** Makes the tables of reference data where they are in SQLite. */
  fill: Fill
  /** What a copy of the reference table keeps. */
  columns: readonly string[]
}

export interface ReferenceDatabase {
  readonly source: TableSource
  /** Of the reference table; undefined where the database itself is a file of ours. */
  readonly copy: TableCopy | undefined
}

export interface Databases {
  readonly records: SharedRecords
  /** Opens the database of reference data; called once at most. */
  openReference(options: ReferenceOptions): ReferenceDatabase
  close(): Promise<void>
}

export function openDatabases(options: DatabasesOptions): Databases {
  const { database, dataDir, migrations, dataLock, installation, log } = options
  const scope = createScope()
  const copyOf = (place: string, columns: readonly string[]) =>
    openLocalCopy({ path: join(dataDir, 'reference-copy.db'), columns, place, dataLock, log })

  if (database.postgres) {
    const postgres = scope.add(openPostgres(database.postgres))
    return {
      records: openPostgresRecords({ postgres, migrations, log }),
      openReference: ({ columns }) => ({
        source: tablesOf(postgres),
        copy: copyOf(`postgres ${postgres.place}`, columns),
      }),
      close: scope.close,
    }
  }
  const records = scope.add(
    openLocalRecords({ path: join(dataDir, 'records.db'), migrations, dataLock, installation, log }),
  )
  return {
    records,
    openReference({ fill, columns }) {
      if (database.supabase) {
        const { host } = database.supabase.url
        return {
          source: scope.add(openSupabase(database.supabase)),
          copy: copyOf(`supabase ${host}`, columns),
        }
      }
      const path = join(dataDir, 'reference.db')
      return { source: scope.add(openSnapshot({ path, fill, dataLock, log })), copy: undefined }
    },
    close: scope.close,
  }
}

const tablesOf = (postgres: Postgres): TableSource => ({
  name: 'postgres',
  async read(table, columns) {
    const asOfMs = Date.now()
    return { rows: await postgres.all(`SELECT ${columns.join(', ')} FROM ${table}`), asOfMs }
  },
})
