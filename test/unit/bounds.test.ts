// Each map, set and list of src that outlives a call is in the table "Queues and maps" of docs/architecture.md, with
// what bounds it; and the table names none that is gone.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { keptCollectionsOf } from '../helpers/kept-collections.ts'

const root = join(import.meta.dirname, '../..')
const src = join(root, 'src')

/** What looks as if it were kept: `file name`, and why it is no matter. */
const NOT_KEPT: Record<string, string> = {}

function inSource(): string[] {
  const files = readdirSync(src, { recursive: true, withFileTypes: true })
    .filter((file) => file.isFile() && file.name.endsWith('.ts'))
    .map((file) => join(file.parentPath, file.name))
  return files.flatMap((path) =>
    keptCollectionsOf(readFileSync(path, 'utf8')).map((name) => `${relative(src, path)} ${name}`),
  )
}

interface Row {
  readonly names: readonly string[]
  readonly bound: string
  readonly whenFull: string
}

function rowsOf(page: string): Row[] {
  const [, section = ''] = page.split(/^## Queues and maps$/m)
  const [table = ''] = section.split(/^## /m)
  return table
    .split('\n')
    .filter((line) => /^\| `[\w/-]+\.ts`/.test(line))
    .map((line) => {
      const [, where = '', bound = '', whenFull = ''] = line.split(/(?<!\\)\|/).map((cell) => cell.trim())
      const [file, ...names] = [...where.matchAll(/`([^`]+)`/g)].map(([, text]) => text)
      return { names: names.map((name) => `${file} ${name}`), bound, whenFull }
    })
}

const rows = rowsOf(readFileSync(join(root, 'docs/architecture.md'), 'utf8'))

test('each queue and map of src is in the table with its bound', () => {
  const listed = new Set([...rows.flatMap(({ names }) => names), ...Object.keys(NOT_KEPT)])
  const missing = inSource().filter((name) => !listed.has(name))
  const remedy =
    'add to "Queues and maps" of docs/architecture.md: | `file` `name` | its bound | what happens there |'
  expect({ missing, remedy }).toEqual({ missing: [], remedy })
})

test('each row of the table is there in src, once, and says what bounds it', () => {
  const found = new Set(inSource())
  const names = rows.flatMap((row) => row.names)
  expect(names.length).toBeGreaterThan(50)
  expect({ 'in the table, but gone from src': names.filter((name) => !found.has(name)) }).toEqual({
    'in the table, but gone from src': [],
  })
  expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([])
  expect(Object.keys(NOT_KEPT).filter((name) => !found.has(name))).toEqual([])
  expect(rows.filter(({ bound, whenFull }) => bound === '' || whenFull === '')).toEqual([])
})

test('the tests that a row names are there', () => {
  const named = rows.flatMap(({ bound, whenFull }) => [
    ...`${bound} ${whenFull}`.matchAll(/\((?:test: )([\w/-]+)\)/g),
  ])
  expect(named.length).toBeGreaterThan(5)
  for (const [, name] of named)
    expect([name, existsSync(join(root, 'test', `${name}.test.ts`))]).toEqual([name, true])
})

test.each<[string, string, string[]]>([
  ['a map of a maker', 'export function createA() { const a = new Map<string, number>() }', ['a']],
  ['a list', 'function openA() { let a: string[] = [] }', ['a']],
  ['one in an object', 'const createA = () => { const a = { by: 1, keys: new Set() } }', ['a']],
  ['one of a module', 'const seen = new Set()', ['seen']],
  ['a constant', 'const NAMES = new Map()', []],
  ['a table', 'const names = new Set([1])', []],
  [
    'a local one',
    'function createA() { function b() { const a = new Map() } return { c() { const d = [] } } }',
    [],
  ],
])('finds %s', (_name, source, names) => {
  expect(keptCollectionsOf(source)).toEqual(names)
})
