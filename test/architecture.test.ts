// Reads the source tree and fails on what the layout forbids (docs/architecture.md): wrong directions, circles,
// libraries outside their fence, the environment outside config.ts, JSON outside lib/codec.ts, promises that are let go
// outside background.ts, barrels, long lines, full folders, and names that the field has better words for.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, posix, relative } from 'node:path'
import { type Module, parseSync } from '@swc/core'

type Tree = ReadonlyMap<string, string>

const CONTRACTS = [
  'core/state/state.ts',
  'core/bus/bus.ts',
  'core/queue/queue.ts',
  'core/cache/cache.ts',
  'core/cache/cached.ts',
  'core/limiter.ts',
  'core/once.ts',
  'core/values.ts',
  'core/keys.ts',
  'core/errors.ts',
  'core/outages.ts',
  'core/background.ts',
  'sql/sql.ts',
]
const FOR_FEATURES = [
  'http/parse.ts',
  'http/admission/read-body.ts',
  'http/problem.ts',
  'http/page.ts',
  'http/cached-response.ts',
  'http/probes/probe.ts',
  'http/idempotency.ts',
  'http/fetch-json.ts',
  'http/sockets/open-socket.ts',
  'http/private.ts',
  'http/site/site-header.ts',
  'http/site/time-html.ts',
  'http/sockets/sockets.ts',
]

/** Which layers a layer may import; its own is always among them, but for features, which see only themselves. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  lib: ['lib'],
  errors: ['lib', 'contract'],
  log: ['lib'],
  variables: ['lib'],
  'app-variables': ['lib', 'variables'],
  'choose-features': ['lib'],
  config: ['lib', 'variables', 'app-variables', 'choose-features', 'named-servers', 'name-hints'],
  'named-servers': ['lib', 'variables', 'app-variables', 'name-hints'],
  'name-hints': ['lib', 'variables', 'app-variables'],
  manifest: ['lib', 'log', 'contract', 'http for features', 'variables'],
  contract: ['lib', 'log', 'contract', 'core'],
  core: ['lib', 'log', 'contract', 'core'],
  sql: ['lib', 'errors', 'log', 'contract', 'core', 'sql', 'http for features'],
  http: ['lib', 'errors', 'log', 'contract', 'core', 'http', 'http for features'],
  'http for features': ['lib', 'errors', 'log', 'contract', 'http', 'http for features'],
  feature: ['lib', 'errors', 'log', 'contract', 'http for features', 'variables', 'manifest'],
  host: [
    'lib',
    'errors',
    'log',
    'config',
    'contract',
    'core',
    'sql',
    'http',
    'http for features',
    'variables',
    'manifest',
    'host',
  ],
  app: ['feature', 'host'],
  user: [
    'lib',
    'errors',
    'log',
    'config',
    'contract',
    'http for features',
    'variables',
    'manifest',
    'host',
    'user',
  ],
  cli: ['lib', 'errors', 'log', 'config', 'contract', 'core', 'sql', 'cli', 'app', 'user'],
  // The core for apps of other people, and what fits it to their libraries.
  package: ['lib', 'log', 'contract', 'core', 'package'],
  adapters: ['lib', 'log', 'contract', 'package', 'adapters'],
  main: ['lib', 'app', 'config', 'host', 'log', 'user'],
}

/** Where a library may be imported; one that is not listed may be anywhere but in lib. */
const FENCES: Record<string, RegExp> = {
  redis: /^core\/(redis\/.*|.*\/redis-[^/]+)$/,
  'node-cache': /^core\/bounded-memory\.ts$/,
  bullmq: /^core\/queue\/bull-(queue|worker)\.ts$/,
  '@bull-board/api': /^http\/queue-board\.ts$/,
  '@bull-board/api/bullMQAdapter': /^http\/queue-board\.ts$/,
  '@bull-board/express': /^http\/queue-board\.ts$/,
  ws: /^http\/sockets\/(open-socket|sockets)\.ts$/,
  'node:sqlite': /^core\/sqlite\.ts$/,
  pg: /^sql\/postgres(-tls)?\.ts$/,
  undici: /^http\/fetch-json\.ts$/,
  express: /^(http|host|features|user)\/|^feature\.ts$/,
  pino: /^log\.ts$/,
}

const MOST_COLUMNS = 120
const MOST_FILES = 15

/** Calls in core whose promises are let go without inBackground, each with its reason. */
const MAY_BE_LET_GO: Record<string, string> = {
  'core/once.ts: working.then': 'both ways end in giveBack, which never rejects',
  'core/redis/batched-reads.ts: read': 'a failure rejects every read of its batch',
}

/** Our own words of the past: WORDS.md says which terms of the field have replaced them. */
const REPLACED_NAMES = new Set(
  `Kept StateGuest StateClears OnDisk deletedAway raisedAway raised lateMessages lateMessage absorb absorbed
  expectSameLife makeGood owed owe lack lacks lacksSome settle settled advance outlet Outlet rolls overruns spent
  StoreUnavailable isRented rented moves bury buried tidy Wish stamp Stamp`.split(/\s+/),
)

function layerOf(path: string): string {
  if (CONTRACTS.includes(path)) return 'contract'
  if (FOR_FEATURES.includes(path)) return 'http for features'
  const [top = '', rest] = path.split('/')
  if (path === 'feature.ts') return 'manifest'
  if (rest === undefined) return top.replace(/\.ts$/, '')
  return top === 'features' ? 'feature' : top
}

interface Import {
  readonly from: string
  readonly isReexport: boolean
}

const parse = (source: string) => parseSync(source, { syntax: 'typescript', target: 'es2022' })

function importsOf({ body }: Module): Import[] {
  return body.flatMap((item): Import[] => {
    if (item.type === 'ImportDeclaration') return [{ from: item.source.value, isReexport: false }]
    if (item.type === 'ExportAllDeclaration') return [{ from: item.source.value, isReexport: true }]
    if (item.type === 'ExportNamedDeclaration' && item.source) {
      return [{ from: item.source.value, isReexport: true }]
    }
    return []
  })
}

interface Node {
  readonly type: string
  readonly [property: string]: unknown
}

const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && typeof (value as { type?: unknown }).type === 'string'

function* nodesIn(value: unknown): Generator<Node> {
  if (typeof value !== 'object' || value === null) return
  if (isNode(value)) yield value
  for (const inner of Object.values(value)) yield* nodesIn(inner)
}

const namesIn = (module: Module) =>
  new Set([...nodesIn(module)].filter(({ type }) => type === 'Identifier').map(({ value }) => String(value)))

/** What is called, as `a.b`. */
function nameOf(node: unknown): string {
  if (!isNode(node)) return '?'
  if (node.type === 'MemberExpression') return `${nameOf(node.object)}.${nameOf(node.property)}`
  return node.type === 'Identifier' ? String(node.value) : node.type
}

/** The calls behind `void`: promises that are let go. */
function letGoIn(module: Module): string[] {
  return [...nodesIn(module)].flatMap(({ type, operator, argument }) =>
    type === 'UnaryExpression' &&
    operator === 'void' &&
    isNode(argument) &&
    argument.type === 'CallExpression'
      ? [nameOf(argument.callee)]
      : [],
  )
}

/** Every breach of the rules, one sentence each. */
function breaches(tree: Tree): string[] {
  const found: string[] = []
  const graph = new Map<string, string[]>()
  for (const [path, source] of tree) {
    const module = parse(source)
    const imports = importsOf(module)
    const own = imports.filter(({ from }) => from.startsWith('.'))
    const targets = own.map(({ from }) => posix.normalize(posix.join(posix.dirname(path), from)))
    graph.set(path, targets)
    for (const target of targets) {
      if (!tree.has(target)) found.push(`${path} imports ${target}, which is not there`)
      else if (!mayImport(path, target)) found.push(`${path} may not import ${target}`)
    }
    for (const { from, isReexport } of imports) {
      if (isReexport) found.push(`${path} is a barrel: it exports from ${from}`)
      const fence = FENCES[from]
      if (fence && !fence.test(path)) found.push(`${path} may not import the library ${from}`)
    }
    if (/(^|\/)index\.ts$/.test(path)) found.push(`${path} is a barrel by its name`)
    if (/\bprocess\s*\.\s*env\b|\bprocess\[/.test(source) && path !== 'config.ts') {
      found.push(`${path} reads process.env`)
    }
    if (/^export default\b/m.test(source)) found.push(`${path} has a default export`)
    if (/\bJSON\s*\.\s*parse\b/.test(source) && path !== 'lib/codec.ts') {
      found.push(`${path} parses JSON itself`)
    }
    for (const call of path.startsWith('core/') ? letGoIn(module) : []) {
      if (call !== 'inBackground' && !(`${path}: ${call}` in MAY_BE_LET_GO)) {
        found.push(`${path} lets the promise of ${call} go`)
      }
    }
    const names = namesIn(module)
    for (const name of REPLACED_NAMES) if (names.has(name)) found.push(`${path} names something ${name}`)
    found.push(...longLinesOf(path, source))
  }
  return [...found, ...fullFoldersOf(tree), ...circlesOf(graph)]
}

/** Released migrations keep their text. */
function longLinesOf(path: string, source: string): string[] {
  if (path.includes('/migrations/')) return []
  return source
    .split('\n')
    .flatMap((line, i) => ([...line].length > MOST_COLUMNS ? [`${path}:${i + 1} is over 120 columns`] : []))
}

function fullFoldersOf(tree: Tree): string[] {
  const counts = new Map<string, number>()
  for (const path of tree.keys()) {
    const name = posix.dirname(path)
    counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  return [...counts].flatMap(([name, count]) => (count > MOST_FILES ? [`${name} has ${count} files`] : []))
}

function mayImport(path: string, target: string): boolean {
  const [from, to] = [layerOf(path), layerOf(target)]
  if (from === 'feature' && to === 'feature') return folder(path) === folder(target)
  return MAY_IMPORT[from]?.includes(to) ?? false
}

const folder = (path: string) => path.split('/').slice(0, 2).join('/')

function circlesOf(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const done = new Set<string>()
  const circles: string[] = []
  const visit = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path)
    if (start >= 0) circles.push(`a circle: ${[...trail.slice(start), path].join(' → ')}`)
    if (start >= 0 || done.has(path)) return
    for (const next of graph.get(path) ?? []) visit(next, [...trail, path])
    done.add(path)
  }
  for (const path of graph.keys()) visit(path, [])
  return circles
}

function readTree(root: string): Tree {
  const files = readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((file) => file.isFile() && file.name.endsWith('.ts'))
    .map((file) => relative(root, join(file.parentPath, file.name)))
  return new Map(files.map((path) => [path, readFileSync(join(root, path), 'utf8')]))
}

const source = join(dirname(import.meta.dirname), 'src')

test('the source tree keeps the rules', () => {
  const tree = readTree(source)
  expect(tree.size).toBeGreaterThan(30)
  expect(breaches(tree)).toEqual([])
})

test('each promise that may be let go still is', () => {
  const tree = readTree(source)
  const calls = [...tree].flatMap(([path, text]) => letGoIn(parse(text)).map((call) => `${path}: ${call}`))
  expect(calls).toEqual(expect.arrayContaining(Object.keys(MAY_BE_LET_GO)))
})

describe('each rule notices its breach', () => {
  const files = (entries: Record<string, string>) => new Map(Object.entries(entries))

  test.each<[string, Record<string, string>, string]>([
    [
      'a feature imports another',
      { 'features/a/a.ts': `import '../b/b.ts'`, 'features/b/b.ts': '' },
      'features/a/a.ts may not import features/b/b.ts',
    ],
    [
      'a feature imports core behind a contract',
      {
        'features/a/a.ts': `import type { X } from '../../core/redis/connection.ts'`,
        'core/redis/connection.ts': '',
      },
      'features/a/a.ts may not import core/redis/connection.ts',
    ],
    [
      'lib imports core',
      { 'lib/a.ts': `import '../core/keys.ts'`, 'core/keys.ts': '' },
      'lib/a.ts may not import core/keys.ts',
    ],
    [
      'redis outside its fence',
      { 'core/limiter.ts': `import 'redis'` },
      'core/limiter.ts may not import the library redis',
    ],
    ['the environment', { 'core/a.ts': 'process.env.PORT' }, 'core/a.ts reads process.env'],
    [
      'a barrel',
      { 'lib/a.ts': `export * from './b.ts'`, 'lib/b.ts': '' },
      'lib/a.ts is a barrel: it exports from ./b.ts',
    ],
    [
      'a circle',
      { 'lib/a.ts': `import './b.ts'`, 'lib/b.ts': `import type { A } from './a.ts'` },
      'a circle: lib/a.ts → lib/b.ts → lib/a.ts',
    ],
    ['a long line', { 'lib/a.ts': `\n// ${'x'.repeat(118)}` }, 'lib/a.ts:2 is over 120 columns'],
    [
      'a full folder',
      Object.fromEntries(Array.from({ length: 16 }, (_, i) => [`lib/a/${i}.ts`, ''])),
      'lib/a has 16 files',
    ],
    ['JSON outside of the codec', { 'http/a.ts': `JSON.parse('{}')` }, 'http/a.ts parses JSON itself'],
    [
      'a promise that is let go',
      { 'core/a.ts': 'setInterval(() => void beats.next(), 1)' },
      'core/a.ts lets the promise of beats.next go',
    ],
    [
      'a promise of a function that is let go',
      { 'core/a.ts': 'void (async () => {})()' },
      'core/a.ts lets the promise of ParenthesisExpression go',
    ],
    ...Array.from(REPLACED_NAMES, (name): [string, Record<string, string>, string] => [
      `the name ${name}`,
      { 'core/a.ts': `export interface A { readonly ${name}: number }` },
      `core/a.ts names something ${name}`,
    ]),
  ])('%s', (_name, entries, sentence) => {
    expect(breaches(files(entries))).toContain(sentence)
  })

  test('what is allowed is no breach', () => {
    const allowed = files({
      'core/a.ts': `// spent, at most ${'x'.repeat(90)}\nvoid inBackground(work(), log)\nconst timestamp = 'stamp'`,
      'features/a/migrations/001-a.ts': `const a = '${'x'.repeat(120)}'`,
      'lib/codec.ts': `JSON.parse('1')`,
      ...Object.fromEntries(Array.from({ length: 15 }, (_, i) => [`lib/a/${i}.ts`, ''])),
    })
    expect(breaches(allowed)).toEqual([])
  })
})
