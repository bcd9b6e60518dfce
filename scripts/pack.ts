// npm run pack [-- FOLDER]: the core as a package, samovar-VERSION.tgz in FOLDER (dist-package/ unless said). Of the app
// it has nothing: its dependencies are what its own files import, and a library that an adapter is for is the user's.
import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const out = resolve(process.argv[2] ?? join(root, 'dist-package'))
const made = mkdtempSync(join(tmpdir(), 'samovar-pack-')) // never in FOLDER, where something may be called so

/** The libraries of the adapters, with the versions that the tests have seen or that have the same interface. */
const PEERS: Record<string, string> = {
  'express-rate-limit': '^8.0.0',
  'express-session': '^1.18.0',
  keyv: '^5.5.0',
  'socket.io-adapter': '^2.5.5',
  testcontainers: '>=11',
  unstorage: '^1.16.0',
}

const readJson = (path: string) => JSON.parse(readFileSync(path, 'utf8'))
const app = readJson(join(root, 'package.json'))
const adapters = readdirSync(join(root, 'src/adapters'))
  .filter((file) =>
    /^export (function|class) create|^export class \w+Container/m.test(read(`src/adapters/${file}`)),
  )
  .map((file) => file.replace(/\.ts$/, ''))

function read(path: string): string {
  return readFileSync(join(root, path), 'utf8')
}

mkdirSync(out, { recursive: true })
const { metafile } = await build({
  absWorkingDir: root,
  entryPoints: {
    samovar: 'src/package/samovar.ts',
    ...Object.fromEntries(adapters.map((name) => [name, `src/adapters/${name}.ts`])),
  },
  outdir: made,
  chunkNames: 'chunks/[name]-[hash]',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node22',
  packages: 'external',
  alias: { redis: '@redis/client' }, // the rest of redis are commands of modules, which nobody sends here
  metafile: true,
  logLevel: 'warning',
})
execFileSync(
  process.execPath,
  [
    join(root, 'node_modules/typescript/bin/tsc'),
    '-p',
    'tsconfig.package.json',
    '--outDir',
    join(made, 'types'),
  ],
  { cwd: root, stdio: 'inherit' },
)

/** The name of the package in what an import says. */
const packageOf = (path: string) => /^(?:@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? path
const imported = new Set(
  Object.values(metafile.outputs)
    .flatMap(({ imports }) => imports)
    .filter(({ path, external }) => external && !isBuiltin(path))
    .map(({ path }) => packageOf(path)),
)
const rangeOf = (name: string) =>
  app.dependencies[name] ?? `^${readJson(join(root, 'node_modules', name, 'package.json')).version}`
const own = [...imported].filter((name) => !(name in PEERS)).sort()

// Declarations of what no entry names are left out.
const types = join(made, 'types')
const entries = ['package/samovar', ...adapters.map((name) => `adapters/${name}`)]
const needed = new Set(entries.map((name) => `${name}.d.ts`))
for (const file of needed) {
  const text = readFileSync(join(types, file), 'utf8').replace(
    /((?:from|import\()\s*["']\.[^"']*)\.ts(["'])/g,
    '$1.js$2',
  )
  writeFileSync(join(types, file), text)
  for (const [, from = ''] of text.matchAll(/(?:from|import\()\s*["'](\.[^"']*)\.js["']/g))
    needed.add(relative(types, join(types, dirname(file), `${from}.d.ts`)))
}
for (const file of readdirSync(types, { recursive: true, withFileTypes: true })) {
  const path = join(file.parentPath, file.name)
  if (file.isFile() && !needed.has(relative(types, path))) rmSync(path)
}

const exportOf = (types: string, js: string) => ({ types: `./types/${types}.d.ts`, default: `./${js}.js` })
writeFileSync(
  join(made, 'package.json'),
  `${JSON.stringify(
    {
      name: 'samovar',
      version: app.version,
      description:
        'Cache, state, channels, jobs and limits over Redis, which keep working while it does not.',
      license: app.license,
      type: 'module',
      engines: app.engines,
      sideEffects: false,
      exports: {
        '.': exportOf('package/samovar', 'samovar'),
        ...Object.fromEntries(adapters.map((name) => [`./${name}`, exportOf(`adapters/${name}`, name)])),
        './package.json': './package.json',
      },
      dependencies: Object.fromEntries(own.map((name) => [name, rangeOf(name)])),
      peerDependencies: PEERS,
      peerDependenciesMeta: Object.fromEntries(Object.keys(PEERS).map((name) => [name, { optional: true }])),
    },
    null,
    2,
  )}\n`,
)
cpSync(join(root, 'LICENSE'), join(made, 'LICENSE'))
cpSync(join(root, 'examples/package'), join(made, 'examples'), { recursive: true })
writeFileSync(
  join(made, 'README.md'),
  read('docs/package.md').replaceAll('../examples/package/', 'examples/'),
)
const [file] = JSON.parse(
  execFileSync('npm', ['pack', '--json', '--pack-destination', out], { cwd: made, encoding: 'utf8' }),
)
rmSync(made, { recursive: true })
console.log(join(out, file.filename))
