// How large core is, and how its folders hang together: node scripts/rooms.ts [commit]
//
// Files, lines, rooms (folders that hold files) and arrows (pairs of folders of which one imports the other), of core
// and of all of src: as they are in the working tree, or as they were in a commit. --list prints the arrows of core.
//
// Before there was src/core, most of it was src/infra. What has gone elsewhere since is left out there: sql/ without
// its two files that are core's now, the fetcher of JSON and the board of jobs (in http/ today).
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import { parseSync } from '@swc/core'

const ROOT = join(import.meta.dirname, '..')
const NOT_CORE_OF_INFRA = new Set(['infra/fetch-json.ts', 'infra/queue/queue-board.ts'])
const CORE_OF_SQL = new Set(['infra/sql/sqlite.ts', 'infra/sql/open-or-replace.ts'])

type Tree = ReadonlyMap<string, string>
type Arrows = ReadonlyMap<string, number>

/** The text of each file by its path below src. */
function readTree(commit: string | undefined): Tree {
  const isSource = (path: string) => path.endsWith('.ts')
  if (commit === undefined) {
    const paths = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' }).filter(isSource)
    return new Map(paths.map((path) => [path, readFileSync(join(ROOT, 'src', path), 'utf8')]))
  }
  const git = (...words: string[]) => execFileSync('git', words, { cwd: ROOT, encoding: 'utf8' })
  const paths = git('ls-tree', '-r', '--name-only', commit, 'src').trim().split('\n').filter(isSource)
  return new Map(paths.map((path) => [path.slice('src/'.length), git('show', `${commit}:${path}`)]))
}

function isOfCore(path: string, hasCore: boolean): boolean {
  if (hasCore) return path.startsWith('core/')
  if (path.startsWith('infra/sql/')) return CORE_OF_SQL.has(path)
  return path.startsWith('infra/') && !NOT_CORE_OF_INFRA.has(path)
}

/** The files that a file imports, its types included. */
function targetsOf(path: string, text: string): string[] {
  const { body } = parseSync(text, { syntax: 'typescript', target: 'es2022' })
  const sources = body.flatMap((item) =>
    item.type === 'ImportDeclaration' || item.type === 'ExportAllDeclaration'
      ? [item.source.value]
      : item.type === 'ExportNamedDeclaration' && item.source
        ? [item.source.value]
        : [],
  )
  return sources
    .filter((source) => source.startsWith('.'))
    .map((source) => posix.join(posix.dirname(path), source))
}

/** How many imports lead from one folder to another. */
function arrowsOf(tree: Tree, from: readonly string[], isTarget: (path: string) => boolean): Arrows {
  const arrows = new Map<string, number>()
  for (const path of from) {
    for (const target of targetsOf(path, tree.get(path) ?? '').filter(isTarget)) {
      const [room, other] = [posix.dirname(path), posix.dirname(target)]
      const arrow = `${room} → ${other}`
      if (room !== other) arrows.set(arrow, (arrows.get(arrow) ?? 0) + 1)
    }
  }
  return arrows
}

function measure(tree: Tree, isPart: (path: string) => boolean) {
  const paths = [...tree.keys()].filter(isPart)
  const lengths = paths.map((path) => (tree.get(path) ?? '').split('\n').length - 1)
  const inside = arrowsOf(tree, paths, isPart)
  const outside = arrowsOf(tree, paths, (target) => !isPart(target))
  const figures = {
    files: paths.length,
    lines: lengths.reduce((sum, length) => sum + length, 0),
    'longest file': Math.max(...lengths),
    rooms: new Set(paths.map((path) => posix.dirname(path))).size,
    'largest room': largestRoom(paths),
    'arrows inside': inside.size,
    'arrows to others': outside.size,
  }
  return { figures, inside, outside }
}

function largestRoom(paths: readonly string[]): number {
  const counts = new Map<string, number>()
  for (const path of paths) counts.set(posix.dirname(path), (counts.get(posix.dirname(path)) ?? 0) + 1)
  return Math.max(...counts.values())
}

const tree = readTree(process.argv.slice(2).find((word) => !word.startsWith('--')))
const hasCore = [...tree.keys()].some((path) => path.startsWith('core/'))
const core = measure(tree, (path) => isOfCore(path, hasCore))
console.table({ core: core.figures, 'all of src': measure(tree, () => true).figures })
if (process.argv.includes('--list')) {
  for (const [arrow, imports] of [...core.inside, ...core.outside]) console.log(`${arrow} (${imports})`)
}
