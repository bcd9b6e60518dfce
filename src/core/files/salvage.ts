// Takes what can be read out of a damaged SQLite database into a new one, row by row: what sqlite3's .recover does,
// with the indexes as witnesses of what there was. A row whose key differs from what its index says is taken under both
// keys: its owner tells by its checksum which one is right.
import type { LocalDatabase } from '../sqlite.ts'
import { type Cell, type DatabasePages, readDatabasePages, type Value } from './database-pages.ts'

export interface Salvage {
  readonly recovered: number
  /** Rows that were there, and could not be read. */
  readonly lost: number
}

interface Entry {
  readonly type: string
  readonly name: string
  readonly root: number
  readonly text: string | null
}

interface Column {
  readonly cid: number
  readonly name: string
}

/** How the rows of a table are stored, and those of its indexes. */
interface Table {
  readonly name: string
  readonly columns: readonly Column[]
  /** As they stand in a row. */
  readonly order: readonly number[]
  /** Those that make the key; undefined: it has rowids. */
  readonly key: readonly number[] | undefined
  /** The column that is the rowid itself. */
  readonly alias: number | undefined
  readonly indexes: readonly { readonly name: string; readonly order: readonly number[] }[]
}

type Row = ReadonlyMap<number, Value> // by the columns' numbers, the rowid under -1

/**
 * Fills the new database from the damaged one at `path`, which is only read. `prepare` makes our own tables: what the
 * damaged file says of them may be damaged, too. Where its first page cannot be read, which names the tables, they are
 * expected where they come to be in a new file.
 */
export function salvage(path: string, into: LocalDatabase, prepare: (into: LocalDatabase) => void): Salvage {
  const pages = readDatabasePages(path)
  try {
    const entries = pages.tree(1).cells.flatMap(entryOf)
    prepare(into)
    makeTables(entries, into)
    const known = new Map([...entriesOf(into), ...entries].map((entry) => [entry.name, entry.root]))
    const tables = entriesOf(into).flatMap(({ type, name }) =>
      type === 'table' ? [shapeOf(name, into)] : [],
    )
    let recovered = 0
    let lost = 0
    into.transaction(() => {
      const found = tables.map((table) => readTable(table, known, pages))
      const orphans = pages.orphans()
      for (const one of found) {
        adopt(one, orphans)
        const rows = [...one.rows.values()]
        const failed = rows.filter((row) => !insert(one.table, row, into)).length
        recovered += rows.length - failed
        lost += failed + missing(one)
      }
    })
    return { recovered, lost }
  } finally {
    pages.close()
  }
}

/** What the first row of this table has in this column, as if the -wal were played into the file. */
export function peekValue(path: string, table: string, column: number): Value | undefined {
  const pages = readDatabasePages(path)
  try {
    const root = pages
      .tree(1)
      .cells.flatMap(entryOf)
      .find(({ name }) => name === table)?.root
    return root === undefined ? undefined : pages.tree(root).cells[0]?.values[column]
  } finally {
    pages.close()
  }
}

function entryOf({ values }: Cell): Entry[] {
  const [type, name, , root, text] = values
  if (typeof type !== 'string' || typeof name !== 'string' || typeof root !== 'number') return []
  return [{ type, name, root, text: typeof text === 'string' ? text : null }]
}

const entriesOf = (database: LocalDatabase) =>
  database
    .all('SELECT type, name, tbl_name, rootpage, sql FROM sqlite_schema')
    .flatMap((row) => entryOf({ rowid: undefined, values: Object.values(row) as Value[] }))

/** Those of the damaged file that the new one has not made by itself. */
function makeTables(entries: readonly Entry[], into: LocalDatabase): void {
  for (const kind of ['table', 'index']) {
    for (const { type, text } of entries) {
      if (type !== kind || text === null) continue
      try {
        into.exec(text)
      } catch {
        // It exists already, or its text is damaged.
      }
    }
  }
}

function shapeOf(name: string, database: LocalDatabase): Table {
  const info = database.all('SELECT cid, name, type, pk FROM pragma_table_info(?)', name)
  const columns = info.map((column) => ({ cid: Number(column.cid), name: String(column.name) }))
  const keyed = info.filter(({ pk }) => Number(pk) > 0).sort((a, b) => Number(a.pk) - Number(b.pk))
  const list = database.all('SELECT name, origin FROM pragma_index_list(?)', name)
  const orderOf = (index: string) =>
    database.all('SELECT cid FROM pragma_index_xinfo(?)', index).map(({ cid }) => Number(cid))
  const [{ wr = 0 } = {}] = database.all('SELECT wr FROM pragma_table_list WHERE name = ?', name)
  const cids = columns.map(({ cid }) => cid)
  const key = keyed.map(({ cid }) => Number(cid))
  const indexes = list.map(({ name: index }) => ({ name: String(index), order: orderOf(String(index)) }))
  if (wr === 1) {
    const order = [...key, ...cids.filter((cid) => !key.includes(cid))]
    const own = list.find(({ origin }) => origin === 'pk')?.name
    return {
      name,
      columns,
      order,
      key,
      alias: undefined,
      indexes: indexes.filter((index) => index.name !== own),
    }
  }
  const alias = keyed.length === 1 && keyed[0]?.type === 'INTEGER' ? key[0] : undefined
  return { name, columns, order: cids, key: undefined, alias, indexes }
}

interface Found {
  readonly table: Table
  readonly rows: Map<string, Row>
  /** What the indexes know of each row. */
  readonly witnessed: Map<string, Row>
  damaged: number
}

function readTable(table: Table, roots: ReadonlyMap<string, number>, pages: DatabasePages): Found {
  const rows = new Map<string, Row>()
  const witnessed = new Map<string, Row>()
  const { cells, damaged } = pages.tree(roots.get(table.name) ?? 0)
  for (const cell of cells) {
    const row = rowOf(table, cell)
    if (row) rows.set(keyOf(table, row), row)
  }
  for (const { name, order } of table.indexes) {
    for (const { values } of pages.tree(roots.get(name) ?? 0).cells) {
      if (values.length !== order.length) continue
      const row = new Map(order.map((cid, i) => [cid, values[i] as Value]))
      const key = keyOf(table, row)
      witnessed.set(key, new Map([...(witnessed.get(key) ?? []), ...row]))
    }
  }
  const found = { table, rows, witnessed, damaged }
  for (const [key, row] of [...rows]) {
    const said = witnessed.get(key)
    const differs = [...(said ?? [])].some(([cid, value]) => cid >= 0 && !isSame(row.get(cid) ?? null, value))
    if (said && differs) rows.set(`${key} as its index says`, new Map([...row, ...said]))
  }
  return found
}

function rowOf({ order, alias, key }: Table, { rowid, values }: Cell): Row | undefined {
  if (values.length === 0 || values.length > order.length || (rowid === undefined) === (key === undefined))
    return undefined
  const row = new Map<number, Value>(values.map((value, i) => [order[i] as number, value]))
  if (rowid !== undefined) row.set(-1, rowid)
  if (alias !== undefined && rowid !== undefined) row.set(alias, rowid)
  return row
}

const keyOf = ({ key = [-1] }: Table, row: Row) => key.map((cid) => String(row.get(cid))).join('\0')

const isSame = (a: Value, b: Value) => (Buffer.isBuffer(a) && Buffer.isBuffer(b) ? a.equals(b) : a === b)

/** Rows on pages that nothing leads to any more: an index must know of them, else they may be what was deleted. */
function adopt({ table, rows, witnessed }: Found, orphans: readonly Cell[]): void {
  for (const cell of orphans) {
    const row = cell.values.length === table.order.length ? rowOf(table, cell) : undefined
    if (!row) continue
    const key = keyOf(table, row)
    const said = witnessed.get(key)
    const agrees = said && [...said].every(([cid, value]) => isSame(row.get(cid) ?? null, value))
    if (agrees && !rows.has(key)) rows.set(key, row)
  }
}

/** Indexes tell; where they do not, each page and cell that could not be read counts as one. */
function missing({ rows, witnessed, damaged, table }: Found): number {
  const known = [...witnessed.keys()].filter((key) => !rows.has(key)).length
  return table.indexes.length > 0 ? known : damaged
}

function insert({ name, columns, alias }: Table, row: Row, into: LocalDatabase): boolean {
  const given = columns.filter(({ cid }) => row.has(cid) || cid === alias)
  const marks = given.map(() => '?').join(', ')
  try {
    into.run(
      `INSERT OR IGNORE INTO "${name}" (${given.map((column) => `"${column.name}"`).join(', ')}) VALUES (${marks})`,
      ...given.map(({ cid }) => row.get(cid) as Exclude<Value, bigint>),
    )
    return true
  } catch {
    return false // of a type that its column does not take: no row of ours
  }
}
