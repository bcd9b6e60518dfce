// Reference data through Supabase's REST interface, which is PostgREST: only reading, whole tables, page by page.
// docs.postgrest.org/en/stable/references/api/pagination_count.html
import { z } from 'zod'
import { createJsonFetcher, FetchFailed } from '../http/fetch-json.ts'
import type { Row, SqlValue } from '../lib/sql-row.ts'
import { SECOND } from '../lib/time.ts'
import type { TableSource } from './sql.ts'

const PAGE_ROWS = 1_000 // what Supabase gives at most, unless its owner says otherwise
const MOST_PAGES = 20
const PAGE_MS = 5 * SECOND
const TOTAL_MS = 10 * SECOND

/** As the databases give it: lists are JSON, and there are no booleans. */
const asSqlValue = (value: unknown): SqlValue => {
  if (value === null || typeof value === 'string' || typeof value === 'number') return value
  return typeof value === 'boolean' ? Number(value) : JSON.stringify(value)
}
const page = z.array(z.record(z.string(), z.unknown().transform(asSqlValue)))

export interface SupabaseTarget {
  readonly url: URL
  readonly anonKey: string
}

export interface Supabase extends TableSource {
  close(): Promise<void> | void
}

export function openSupabase({ url, anonKey }: SupabaseTarget): Supabase {
  const { fetchJson, close } = createJsonFetcher({ totalMs: PAGE_MS })

  async function readPage(address: URL, from: number): Promise<Row[]> {
    const range = `${from}-${from + PAGE_ROWS - 1}`
    const headers = { apikey: anonKey, authorization: `Bearer ${anonKey}`, 'range-unit': 'items', range }
    try {
      return await fetchJson({ url: address, headers, schema: page })
    } catch (error) {
      throw error instanceof FetchFailed ? new Error(reasonOf(error), { cause: error }) : error
    }
  }

  return {
    name: 'supabase',
    async read(table, columns) {
      const address = new URL(`${url.pathname.replace(/\/$/, '')}/rest/v1/${table}`, url)
      // By the first column, which names the row: pages in no order may overlap.
      address.search = `select=${columns.join(',')}&order=${columns[0]}`
      const asOfMs = Date.now()
      const deadlineMs = performance.now() + TOTAL_MS
      const rows: Row[] = []
      for (let pages = 0; pages < MOST_PAGES && performance.now() < deadlineMs; pages += 1) {
        // A page that is not full may be all that this server gives in one answer: only an empty one is the end.
        const next = await readPage(address, rows.length)
        if (next.length === 0) return { rows, asOfMs }
        rows.push(...next)
      }
      throw new Error(`Supabase: the table ${table} is too large, ${rows.length} rows and more`)
    },
    close,
  }
}

function reasonOf({ reason, status, cause }: FetchFailed): string {
  if (reason === 'status') return `Supabase answered ${status}`
  if (reason === 'refused') return `Supabase cannot be reached: ${(cause as Error).message}`
  return `Supabase: ${reason}`
}
