// Reads the source tree and fails on what the layout forbids (docs/architecture.md): wrong directions, circles,
// libraries outside their fence, the environment outside config.ts, barrels.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, posix, relative } from 'node:path'
import { parseSync } from '@swc/core'

type Tree = ReadonlyMap<string, string>

const CONTRACTS = [
  'core/state/state.ts',
  'core/bus/bus.ts',
  'core/queue/queue.ts',
  'core/cache/cache.ts',
  'core/cache/cached.ts',
  'core/limiter.ts',
  'core/once.ts',
  'core/keys.ts',
  'core/errors.ts',
  'core/background.ts',
  'sql/sql.ts',
]
const FOR_FEATURES = [
  'http/parse.ts',
  'http/problem.ts',
  'http/page.ts',
  'http/cached-response.ts',
  'http/idempotency.ts',
  'http/fetch-json.ts',
  'http/sockets/open-socket.ts',
  'http/private.ts',
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
  config: ['lib', 'variables', 'app-variables', 'choose-features'],
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
  cli: ['lib', 'errors', 'log', 'config', 'contract', 'core', 'sql', 'cli', 'app'],
  main: ['app', 'config', 'host', 'log'],
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
  pg: /^sql\/postgres\.ts$/,
  undici: /^http\/fetch-json\.ts$/,
  express: /^(http|host|features)\/|^feature\.ts$/,
  pino: /^log\.ts$/,
}

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

function importsOf(source: string): Import[] {
  const { body } = parseSync(source, { syntax: 'typescript', target: 'es2022' })
  return body.flatMap((item): Import[] => {
    if (item.type === 'ImportDeclaration') return [{ from: item.source.value, isReexport: false }]
    if (item.type === 'ExportAllDeclaration') return [{ from: item.source.value, isReexport: true }]
    if (item.type === 'ExportNamedDeclaration' && item.source) {
      return [{ from: item.source.value, isReexport: true }]
    }
    return []
  })
}

/** Every breach of the rules, one sentence each. */
function breaches(tree: Tree): string[] {
  const found: string[] = []
  const graph = new Map<string, string[]>()
  for (const [path, source] of tree) {
    const imports = importsOf(source)
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
  }
  return [...found, ...circlesOf(graph)]
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
  ])('%s', (_name, entries, sentence) => {
    expect(breaches(files(entries))).toContain(sentence)
  })
})
