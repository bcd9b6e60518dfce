// Reference data through Supabase's REST interface, which is PostgREST: only reading, whole tables, page by page.
// docs.postgrest.org/en/stable/references/api/pagination_count.html
import { SECOND } from '../../lib/time.ts'
import type { Row, SqlValue, TableSource } from './sql.ts'

const PAGE_ROWS = 1_000 // what Supabase gives at most, unless its owner says otherwise
const MOST_PAGES = 20
const MOST_PAGE_BYTES = 4 * 1024 * 1024
const PAGE_MS = 5 * SECOND
const TOTAL_MS = 10 * SECOND

export interface SupabaseTarget {
  readonly url: URL
  readonly anonKey: string
}

export function createSupabase({ url, anonKey }: SupabaseTarget): TableSource {
  async function readPage(address: URL, from: number, whole: AbortSignal): Promise<Page> {
    const response = await fetch(address, {
      headers: {
        apikey: anonKey,
        authorization: `Bearer ${anonKey}`,
        accept: 'application/json',
        prefer: 'count=exact',
        'range-unit': 'items',
        range: `${from}-${from + PAGE_ROWS - 1}`,
      },
      redirect: 'error', // the key is for this address only
      signal: AbortSignal.any([whole, AbortSignal.timeout(PAGE_MS)]),
    })
    if (!response.ok) {
      await response.body?.cancel()
      throw new Error(`Supabase answered ${response.status}`)
    }
    const total = Number(/\/(\d+)$/.exec(response.headers.get('content-range') ?? '')?.[1])
    return { rows: asRows(JSON.parse(await readText(response))), total }
  }

  return {
    name: 'supabase',
    async read(table, columns) {
      const address = new URL(`${url.pathname.replace(/\/$/, '')}/rest/v1/${table}`, url)
      // By the first column, which names the row: pages in no order may overlap.
      address.search = `select=${columns.join(',')}&order=${columns[0]}`
      const asOfMs = Date.now()
      const whole = AbortSignal.timeout(TOTAL_MS)
      const rows: Row[] = []
      for (let pages = 0; pages < MOST_PAGES; pages += 1) {
        const page = await readPage(address, rows.length, whole)
        rows.push(...page.rows)
        if (page.rows.length === 0 || !(rows.length < page.total)) return { rows, asOfMs }
      }
      throw new Error(`the table ${table} has more rows than ${rows.length}`)
    },
  }
}

interface Page {
  readonly rows: Row[]
  /** NaN when the server does not say. */
  readonly total: number
}

async function readText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength
    if (bytes > MOST_PAGE_BYTES) throw new Error(`Supabase answered more than ${MOST_PAGE_BYTES} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

function asRows(json: unknown): Row[] {
  const isTable = Array.isArray(json) && json.every((row) => typeof row === 'object' && row !== null)
  if (!isTable) throw new Error('Supabase answered something else than rows')
  return json.map((row) =>
    Object.fromEntries(Object.entries(row).map(([name, value]) => [name, asSqlValue(value)])),
  )
}

/** As the databases give it: lists are JSON, and there are no booleans. */
function asSqlValue(value: unknown): SqlValue {
  if (value === null || typeof value === 'string' || typeof value === 'number') return value
  return typeof value === 'boolean' ? Number(value) : JSON.stringify(value)
}
