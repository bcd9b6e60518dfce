// docs/adding-a-feature.md, followed to the letter: its files beside the app's own, its line in app.ts, its test run.
import { execFileSync } from 'node:child_process'
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'

const root = join(import.meta.dirname, '../..')
const page = readFileSync(join(root, 'docs/adding-a-feature.md'), 'utf8')

/** The files of the page, by the path in their first line. */
function filesOf(text: string): Map<string, string> {
  const blocks = [...text.matchAll(/^```[jt]s\n\/\/ (\S+\.[jt]s)\n(.*?)^```/gms)]
  return new Map(blocks.map(([, path = '', code = '']) => [path, code]))
}

/** A tree like ours: links to everything, but for the page's files and the list of features. */
function plant(place: string, files: ReadonlyMap<string, string>): void {
  const link = (path: string) => symlinkSync(join(root, path), join(place, path))
  for (const folder of ['src', 'src/features', 'test', 'test/integration']) mkdirSync(join(place, folder))
  for (const path of ['node_modules', 'test/helpers', 'tsconfig.json', 'package.json']) link(path)
  const linked = (folder: string, except: readonly string[]) =>
    readdirSync(join(root, folder))
      .filter((name) => !except.includes(name))
      .map((name) => `${folder}/${name}`)
  for (const path of [...linked('src', ['app.ts', 'features']), ...linked('src/features', [])]) link(path)
  for (const [path, code] of files) {
    mkdirSync(dirname(join(place, path)), { recursive: true })
    writeFileSync(join(place, path), code)
  }
  const list = readFileSync(join(root, 'src/app.ts'), 'utf8')
  const added = list
    .replace(/^import/m, "import { notes } from './features/notes/feature.ts'\nimport")
    .replace('  sessions,\n', '  sessions,\n  notes,\n')
  writeFileSync(join(place, 'src/app.ts'), added)
}

const files = filesOf(page)
const place = mkdtempSync(join(root, 'test/.adding-a-feature-'))
plant(place, files)
afterAll(() => rmSync(place, { recursive: true }))

test('the page has a feature, its parts and its test', () => {
  expect([...files.keys()].sort()).toEqual([
    'src/features/notes/feature.ts',
    'src/features/notes/notes-html.ts',
    'src/features/notes/notes-routes.ts',
    'src/features/notes/notes.ts',
    'src/features/notes/static/notes.js',
    'test/integration/notes.test.ts',
  ])
})

test('the page in Russian has the same code', () => {
  const russian = filesOf(readFileSync(join(root, 'docs/ru/adding-a-feature.md'), 'utf8'))
  expect(Object.fromEntries(russian)).toEqual(Object.fromEntries(files))
})

test('it compiles', () => {
  const config = {
    extends: './tsconfig.json',
    include: ['src/app.ts', 'src/features/notes', 'test/integration/notes.test.ts'],
  }
  writeFileSync(join(place, 'tsconfig.docs.json'), JSON.stringify(config))
  const compiler = join(root, 'node_modules/.bin/tsc')
  expect(execFileSync(compiler, ['-p', 'tsconfig.docs.json'], { cwd: place }).toString()).toBe('')
})

await import(join(place, 'test/integration/notes.test.ts'))
