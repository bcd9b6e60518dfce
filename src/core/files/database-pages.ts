// The pages of a SQLite database as it is on the disk, with what its write-ahead log has over them, and the trees of
// rows in them. Nothing here believes the bytes: a page or a cell that makes no sense is left out, and counted.
// https://sqlite.org/fileformat2.html
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { isPageSize, readWriteAheadLog } from './write-ahead-log.ts'

export type Value = null | number | bigint | string | Buffer

export interface Cell {
  /** Of a row of a table with rowids. */
  readonly rowid: number | undefined
  readonly values: readonly Value[]
}

export interface Tree {
  readonly cells: readonly Cell[]
  /** Pages and cells that could not be read. */
  readonly damaged: number
}

export interface DatabasePages {
  /** What is in the tree with this root. */
  tree(root: number): Tree
  /** The same for pages of rows that none of the trees read so far has led to, and that are not known to be free. */
  orphans(): readonly Cell[]
  close(): void
}

const DEFAULT_PAGE_SIZE = 4096
const [INDEX_INTERIOR, TABLE_INTERIOR, INDEX_LEAF, TABLE_LEAF] = [2, 5, 10, 13]
const MOST_BYTES = 64 * 1024 * 1024 // of one row: more is nonsense

export function readDatabasePages(path: string): DatabasePages {
  const file = openIfThere(path)
  const log = readWriteAheadLog(`${path}-wal`)
  const size = file === undefined ? 0 : fstatSync(file).size
  const pageSize = log.pageSize ?? writtenPageSize()
  const overlay = new Map<number, Buffer>()
  const seen = new Set<number>([1])
  const pageCount = Math.max(log.pageCount ?? 0, Math.ceil(size / pageSize))

  function writtenPageSize(): number {
    const written = size >= 100 ? (readAt(16, 2)?.readUInt16BE(0) ?? 0) : 0
    const found = written === 1 ? 65536 : written
    return isPageSize(found) ? found : DEFAULT_PAGE_SIZE
  }

  function readAt(offset: number, length: number): Buffer | undefined {
    if (file === undefined || offset >= size) return undefined
    const bytes = Buffer.alloc(length)
    readSync(file, bytes, 0, length, offset)
    return bytes
  }

  const page = (number: number) =>
    number < 1 ? undefined : (overlay.get(number) ?? readAt((number - 1) * pageSize, pageSize))
  const startOf = (number: number) => (number === 1 ? 100 : 0)

  /** A frame that is not sound may name another page than its own: it counts where the page before was of its type. */
  function fits(number: number, bytes: Buffer): boolean {
    if (number < 1 || number > pageCount) return false
    const before = page(number)
    return !before || before[startOf(number)] === 0 || before[startOf(number)] === bytes[startOf(number)]
  }

  for (const { page: number, bytes, isSound } of log.frames)
    if (isSound || fits(number, bytes)) overlay.set(number, bytes)

  function tree(root: number): Tree {
    const cells: Cell[] = []
    let damaged = 0
    const waiting = [root]
    for (let number = waiting.pop(); number !== undefined; number = waiting.pop()) {
      if (number !== 1 && seen.has(number)) continue
      const read = readPage(number)
      seen.add(number)
      if (!read) damaged += 1
      else {
        cells.push(...read.cells)
        waiting.push(...read.children)
        damaged += read.damaged
      }
    }
    return { cells, damaged }
  }

  function readPage(number: number) {
    const bytes = page(number)
    const start = startOf(number)
    const type = bytes?.[start]
    if (
      !bytes ||
      (type !== INDEX_INTERIOR && type !== TABLE_INTERIOR && type !== INDEX_LEAF && type !== TABLE_LEAF)
    )
      return undefined
    const isInterior = type === INDEX_INTERIOR || type === TABLE_INTERIOR
    const pointers = start + (isInterior ? 12 : 8)
    const count = Math.min(bytes.readUInt16BE(start + 3), Math.floor((pageSize - pointers) / 2))
    const cells: Cell[] = []
    const children: number[] = isInterior ? [bytes.readUInt32BE(start + 8)] : []
    let damaged = 0
    for (let i = 0; i < count; i += 1) {
      try {
        const at = bytes.readUInt16BE(pointers + 2 * i)
        if (at < pointers + 2 * count) throw new RangeError('a cell in the header')
        if (isInterior) children.push(bytes.readUInt32BE(at))
        if (type !== TABLE_INTERIOR)
          cells.push(readCell(bytes, isInterior ? at + 4 : at, type === TABLE_LEAF))
      } catch (error) {
        if ((error as Error).name !== 'RangeError') throw error // Node's own are of another realm in tests
        damaged += 1
      }
    }
    return { cells, children, damaged }
  }

  function readCell(bytes: Buffer, at: number, hasRowid: boolean): Cell {
    const length = varint(bytes, at)
    const rowid = hasRowid ? varint(bytes, length.next) : undefined
    const payload = readPayload(bytes, rowid?.next ?? length.next, length.value, hasRowid)
    return { rowid: rowid?.value, values: readRecord(payload) }
  }

  /** What does not fit into the page is in a chain of others. */
  function readPayload(bytes: Buffer, at: number, length: number, hasRowid: boolean): Buffer {
    if (length > MOST_BYTES) throw new RangeError('too long a row')
    const usable = pageSize - (page(1)?.[20] ?? 0)
    const most = hasRowid ? usable - 35 : Math.floor(((usable - 12) * 64) / 255) - 23
    const least = Math.floor(((usable - 12) * 32) / 255) - 23
    const rest = least + ((length - least) % (usable - 4))
    const local = length <= most ? length : rest <= most ? rest : least
    if (at + local > bytes.length) throw new RangeError('a row beyond its page')
    const parts = [bytes.subarray(at, at + local)]
    let left = length - local
    let next = left > 0 ? bytes.readUInt32BE(at + local) : 0
    while (left > 0) {
      const more = page(next)
      if (!more) throw new RangeError('no such page')
      seen.add(next)
      next = more.readUInt32BE(0)
      parts.push(more.subarray(4, Math.min(usable, 4 + left)))
      left -= usable - 4
    }
    return Buffer.concat(parts)
  }

  /** Pages that hold nothing now, as the header lists them. */
  function freePages(): Set<number> {
    const free = new Set<number>()
    let trunk = page(1)?.readUInt32BE(32) ?? 0
    while (trunk > 0 && !free.has(trunk)) {
      free.add(trunk)
      const bytes = page(trunk)
      if (!bytes) break
      const count = Math.min(bytes.readUInt32BE(4), pageSize / 4 - 2)
      for (let i = 0; i < count; i += 1) free.add(bytes.readUInt32BE(8 + 4 * i))
      trunk = bytes.readUInt32BE(0)
    }
    return free
  }

  return {
    tree,
    orphans() {
      const free = freePages()
      const cells: Cell[] = []
      for (let number = 2; number <= pageCount; number += 1)
        if (!seen.has(number) && !free.has(number)) cells.push(...(readPage(number)?.cells ?? []))
      return cells
    },
    close() {
      if (file !== undefined) closeSync(file)
    },
  }
}

function openIfThere(path: string): number | undefined {
  try {
    return openSync(path, 'r')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    return undefined
  }
}

function varint(bytes: Buffer, at: number): { value: number; next: number } {
  let value = 0n
  for (let i = 0; i < 9; i += 1) {
    const byte = bytes.readUInt8(at + i)
    value = i === 8 ? (value << 8n) | BigInt(byte) : (value << 7n) | BigInt(byte & 127)
    if (byte < 128 || i === 8) return { value: Number(BigInt.asIntN(64, value)), next: at + i + 1 }
  }
  throw new RangeError('no number')
}

function readRecord(payload: Buffer): Value[] {
  const header = varint(payload, 0)
  let at = header.next
  let body = header.value
  const values: Value[] = []
  while (at < header.value) {
    const type = varint(payload, at)
    at = type.next
    const length =
      type.value >= 12 ? (type.value - (type.value & 1 ? 13 : 12)) / 2 : (LENGTHS[type.value] ?? -1)
    if (length < 0 || body + length > payload.length) throw new RangeError('no such value')
    values.push(readValue(type.value, payload.subarray(body, body + length)))
    body += length
  }
  if (at !== header.value || body !== payload.length) throw new RangeError('a row of another length')
  return values
}

const LENGTHS = [0, 1, 2, 3, 4, 6, 8, 8, 0, 0] // of values by their type

function readValue(type: number, bytes: Buffer): Value {
  if (type === 0) return null
  if (type === 8 || type === 9) return type - 8
  if (type === 7) return bytes.readDoubleBE(0)
  if (type < 6) return bytes.readIntBE(0, bytes.length)
  if (type === 6) {
    const value = bytes.readBigInt64BE(0)
    return Number.isSafeInteger(Number(value)) ? Number(value) : value
  }
  return type & 1 ? bytes.toString() : Buffer.from(bytes)
}
