// npm run build: the app as a few files in dist/, each entry with what it needs, and what several need, or one needs
// later, in chunks beside them. Hundreds of files read one by one are most of a start on a quarter of a core.
// In dist/, too: the folders `static`, the licences of what is bundled, and packages.json, the names of the packages
// that stay packages (scripts/image-packages.ts copies those).
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type BuildOptions, build, type Plugin } from 'esbuild'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const src = join(root, 'src')
const dist = join(root, 'dist')

/** Files of theirs are read as files, or they are programs of their own. */
const PACKAGES = ['pm2', 'pg', 'pino-pretty', 'partysocket', '@bull-board/ui']
/** Named by libraries, and looked for in vain: they have a substitute. */
const ABSENT = ['ioredis', 'bullmq-otel', 'bufferutil', 'utf-8-validate', 'pg-native']

/** A module that looks for files beside itself finds them at the same place below dist/, whichever chunk it is in. */
const ownPlaces: Plugin = {
  name: 'own-places',
  setup({ onLoad }) {
    onLoad({ filter: /\.ts$/ }, ({ path }) => {
      const text = readFileSync(path, 'utf8')
      if (path.includes('node_modules') || !text.includes('import.meta.url')) return undefined
      const place = JSON.stringify(`./${relative(src, path)}`)
      return {
        loader: 'ts',
        contents: text.replaceAll('import.meta.url', `new URL(${place}, import.meta.url).href`),
      }
    })
  },
}

/** An ES import of a builtin reads each of its names, and those of node:http load all of Node's own undici. */
const builtins: Plugin = {
  name: 'builtins',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /./ }, ({ kind, path, namespace }) => {
      if (!isBuiltin(path)) return undefined
      return kind === 'import-statement' && namespace !== 'builtin'
        ? { path, namespace: 'builtin' }
        : { path, external: true }
    })
    onLoad({ filter: /./, namespace: 'builtin' }, ({ path }) => ({
      contents: `module.exports = require(${JSON.stringify(path)})`,
    }))
  },
}

/**
 * What is imported later, `await import('x')`, or is an entry, has its names, also where it is CommonJS and a bundler
 * sees none.
 */
const lazyPackages: Plugin = {
  name: 'lazy-packages',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^[^./]/ }, ({ kind, path, importer }) =>
      (kind === 'dynamic-import' && importer.startsWith(src) && !isBuiltin(path)) ||
      (kind === 'entry-point' && path === 'express')
        ? { path, namespace: 'lazy' }
        : undefined,
    )
    onLoad({ filter: /./, namespace: 'lazy' }, async ({ path }) => {
      const names = Object.keys(await import(path)).filter((name) => /^\w+$/.test(name))
      const from = JSON.stringify(path)
      // For `require`, which gets what it gets of the package. By a name of ours: esbuild makes no identifier of that one.
      const required = `import whole from ${from}\nconst own = whole\nexport { own as 'module.exports' }\n`
      const contents = `${path === 'express' ? required : ''}export { ${names.join(', ')} } from ${from}`
      return { contents, resolveDir: root }
    })
  },
}

/** Whose work begins when a feature is set up: to read the variables of features (src/cli/embedded.ts) none is needed. */
const SERVING =
  /^(express|express-session|helmet|ws|bullmq|redis|pino|openid-client|node:(http|https|sqlite|zlib|dns\/promises))$/

/** In their place is something of which every member is the same: to be imported, called, and inherited from. */
const withoutServing: Plugin = {
  name: 'without-serving',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: SERVING }, ({ path }) => ({ path, namespace: 'unused' }))
    onLoad({ filter: /./, namespace: 'unused' }, () => ({
      contents: `class Unused { static [Symbol.toPrimitive]() { return 'unused' } }
const unused = new Proxy(Unused, {
  get: (of, name) => typeof name === 'symbol' || name === 'prototype' ? of[name] : unused,
  apply: () => unused,
  getPrototypeOf: () => unused,
})
module.exports = unused`,
    }))
  },
}

const together: BuildOptions & { metafile: true } = {
  absWorkingDir: root,
  outdir: dist,
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  metafile: true,
  external: [...PACKAGES.flatMap((name) => [name, `${name}/*`]), ...ABSENT],
  // Of redis only the client: what it adds are commands of modules, which cost each start and nobody sends.
  alias: { redis: '@redis/client' },
  // Libraries that are CommonJS ask for what Node has by `require`.
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
  minifySyntax: true,
  minifyWhitespace: true, // fewer bytes to decode at each start
  lineLimit: 120, // and a stack still says where
  keepNames: true,
  legalComments: 'none', // the whole texts are in licences.txt
  logLevel: 'warning',
  plugins: [builtins, ownPlaces, lazyPackages],
}

rmSync(dist, { recursive: true, force: true })
const { metafile } = await build({
  ...together,
  entryPoints: {
    main: 'src/main.ts',
    embedded: 'src/cli/embedded.ts',
    samovar: 'src/cli/samovar.ts',
    // What the user's own features import (src/user/own-packages.ts): the running instance, since chunks are shared.
    'user/features-api': 'src/user/features-api.ts',
    'user/zod': 'zod',
    'user/express': 'express',
  },
  splitting: true,
})
// For an image without an app of the user's: what it shares with the app would be megabytes that it reads at each start
// and has no use for. Code of the user's needs the same instances as in the app, and gets the one above.
await build({
  ...together,
  entryPoints: { 'embedded-alone': 'src/cli/embedded.ts' },
  plugins: [withoutServing, ...(together.plugins ?? [])],
})

for (const folder of readdirSync(src, { recursive: true, encoding: 'utf8' }))
  if (/(^|\/)static$/.test(folder)) cpSync(join(src, folder), join(dist, folder), { recursive: true })

const bundled = new Set(
  Object.keys(metafile.inputs).flatMap((path) => /.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? []),
)
const licences = [...bundled].sort().map((folder) => {
  const file = readdirSync(join(root, folder)).find((name) => /^(licen[cs]e|copying)/i.test(name))
  const { name, version, license } = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'))
  const text = file ? readFileSync(join(root, folder, file), 'utf8').trim() : `licence: ${license}`
  return `${name} ${version}\n\n${text}\n`
})
writeFileSync(join(dist, 'licences.txt'), licences.join(`\n${'-'.repeat(80)}\n\n`))
writeFileSync(join(dist, 'packages.json'), `${JSON.stringify(PACKAGES)}\n`)
