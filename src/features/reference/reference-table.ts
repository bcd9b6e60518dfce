// The table of countries as its database gives it, or, while that cannot be read, as it was last given: to us, to this
// installation before its last start, or to the image.
//
//   answering → failing   a read rejects, or what it gives is no table of countries; logged once
//   failing → answering   a read succeeds; logged
// While failing, one read is tried every RETRY_MS; all others are refused immediately, also while a read is late.
import { sourceFailed } from '../../core/errors.ts'
import { type Now, SECOND } from '../../lib/time.ts'
import type { Log } from '../../log.ts'
import type { TableCopy, TableRows, TableSource } from '../../sql/sql.ts'
import { COLUMNS, type CountryRow, imageRows, parseCountries, TABLE } from './countries-table.ts'

/** How long one waits for a database before the last good copy is the answer. */
export const PATIENCE_MS = SECOND
/** How long it is left alone after that. */
export const RETRY_MS = 5 * SECOND

export interface CountryTable {
  readonly rows: readonly CountryRow[]
  /** When the database had them; null when that is not known. */
  readonly asOfMs: number | null
  readonly source: TableSource['name'] | 'image'
  /** Rows that are left out, because they are no countries. */
  readonly skipped: number
}

export interface ReferenceTable {
  /** Asks the database now. Rejects with `source_failed`. */
  read(): Promise<CountryTable>
  /** The same, but rejects immediately while the database is failing or late. */
  readIfWell(): Promise<CountryTable>
  /** Never fails. */
  lastGood(): CountryTable
}

export interface ReferenceTableOptions {
  source: TableSource
  copy: TableCopy | undefined
  log: Log
  now?: Now
}

export function createReferenceTable({
  source,
  copy,
  log,
  now = Date.now,
}: ReferenceTableOptions): ReferenceTable {
  let good: CountryTable | undefined
  let failedAtMs: number | undefined
  let triedAtMs = 0
  let toldFault = ''
  const underWay = new Set<{ readonly sinceMs: number }>()

  async function read(): Promise<CountryTable> {
    const reading = { sinceMs: now() }
    triedAtMs = now()
    underWay.add(reading)
    try {
      const table = await source.read(TABLE, COLUMNS)
      const { rows, faults } = parseCountries(table.rows)
      good = { rows, asOfMs: table.asOfMs, source: source.name, skipped: faults.length }
      copy?.save(table)
      leavesOut(faults)
      answers()
      return good
    } catch (cause) {
      fails(cause)
      throw sourceFailed({ cause })
    } finally {
      underWay.delete(reading)
    }
  }

  function answers(): void {
    if (failedAtMs === undefined) return
    const awayMs = now() - failedAtMs
    failedAtMs = undefined
    log.info({ source: source.name, awayMs }, 'the database of reference data answers again')
  }

  /** One line for all of them, and another when they are others. */
  function leavesOut(faults: readonly string[]): void {
    const [fault = ''] = faults
    if (fault && fault !== toldFault)
      log.warn(
        { source: source.name, skipped: faults.length },
        `rows of reference data are left out: ${fault}${faults.length > 1 ? `, and ${faults.length - 1} more` : ''}`,
      )
    toldFault = fault
  }

  function fails(cause: unknown): void {
    if (failedAtMs === undefined) {
      log.warn(
        { source: source.name, reason: (cause as Error).message },
        'the database of reference data cannot be read: the last good copy is served',
      )
    }
    failedAtMs ??= now()
  }

  function isLate(): boolean {
    const [oldest] = underWay
    return oldest !== undefined && now() - oldest.sinceMs > PATIENCE_MS
  }

  function copied(): CountryTable | undefined {
    const table = copy?.read()
    try {
      return table && asTable(table, source.name)
    } catch (error) {
      log.warn({ err: error }, 'the copy of the reference data is of another version: it is not used')
      return undefined
    }
  }

  return {
    read,
    async readIfWell() {
      const isResting = failedAtMs !== undefined && now() - triedAtMs < RETRY_MS
      if (isResting || isLate()) throw sourceFailed()
      return read()
    },
    lastGood() {
      good ??= copied() ?? asTable({ rows: imageRows(), asOfMs: null }, 'image')
      return good
    },
  }
}

function asTable({ rows, asOfMs }: TableRows, source: CountryTable['source']): CountryTable {
  const parsed = parseCountries(rows)
  return { rows: parsed.rows, asOfMs, source, skipped: parsed.faults.length }
}
