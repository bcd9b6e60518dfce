// Many rows by one statement: what is in the file afterwards is what one statement a row would have left.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type LocalDatabase, openLocalDatabase } from '../../src/core/sqlite.ts'
import { runAll, type VersionRow } from '../../src/core/state/disk/write-rows.ts'

const COLUMNS = 'key TEXT PRIMARY KEY, kind TEXT NOT NULL, value BLOB NOT NULL, expires_at INTEGER NOT NULL'
const SCHEMA = `CREATE TABLE journal (${COLUMNS}) STRICT; CREATE TABLE copy (${COLUMNS}) STRICT;`
let folder = ''
let database: LocalDatabase
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'samovar-rows-'))
  database = openLocalDatabase(join(folder, 'rows.db'), SCHEMA)
})
afterEach(() => {
  database.close()
  rmSync(folder, { recursive: true })
})

const put = (table: 'copy' | 'journal', key: string, text: string) => {
  const row: VersionRow = [key, 'record', Buffer.from(text), 1]
  return { table, row, run: () => {} }
}
const remove = (key: string) => ({
  table: 'copy',
  run: () => database.run('DELETE FROM copy WHERE key = ?', key),
})
const found = (table: string) =>
  Object.fromEntries(
    database
      .all(`SELECT key, value FROM ${table}`)
      .map(({ key, value }) => [key, Buffer.from(value as Uint8Array).toString()]),
  )

test('fifty rows of two tables, among deletions, in their order', () => {
  const many = Array.from({ length: 50 }, (_, i) =>
    put(i < 37 ? 'copy' : 'journal', `key:${i}`, `first ${i}`),
  )
  runAll(database, [...many, put('copy', 'key:1', 'second'), remove('key:2'), put('copy', 'key:3', 'second')])
  const copy = found('copy')
  expect(Object.keys(copy)).toHaveLength(36)
  expect(copy).toMatchObject({
    'key:0': 'first 0',
    'key:1': 'second',
    'key:3': 'second',
    'key:36': 'first 36',
  })
  expect(found('journal')).toMatchObject({ 'key:37': 'first 37', 'key:49': 'first 49' })
  expect(Object.keys(found('journal'))).toHaveLength(13)
})

test('a key that is written twice by one statement has what came last', () => {
  runAll(
    database,
    Array.from({ length: 16 }, (_, i) => put('copy', `key:${i % 8}`, `write ${i}`)),
  )
  expect(found('copy')).toMatchObject({ 'key:0': 'write 8', 'key:7': 'write 15' })
})
