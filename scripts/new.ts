// npm run new -- ../my-app: a small project with one feature of its own, from scripts/template. Nothing is downloaded:
// it is linked to this folder, whose app runs it in development and in its tests.
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { basename, join, relative, resolve } from 'node:path'

const samovar = join(import.meta.dirname, '..')
const NAMED = ['package.json', 'Dockerfile', 'README.md', 'scripts/dev.js', 'scripts/samovar.js']

/** The folder that was made, or a sentence. */
export function createProject(path: string): { folder: string } | string {
  const folder = resolve(path)
  const name = basename(folder).toLowerCase()
  if (!/^[a-z][a-z0-9-]{0,60}$/.test(name)) return `${name} is no name for a project: use a-z, 0-9 and -`
  if (!relative(samovar, folder).startsWith('..'))
    return `${folder} is inside Samovar’s folder: use ../${name}`
  if (existsSync(folder) && readdirSync(folder).length > 0)
    return `${folder} is there already, and is not empty`
  cpSync(join(samovar, 'scripts/template'), folder, { recursive: true })
  for (const hidden of ['dockerignore', 'gitignore'])
    renameSync(join(folder, hidden), join(folder, `.${hidden}`))
  for (const file of NAMED) {
    const text = readFileSync(join(folder, file), 'utf8')
    writeFileSync(
      join(folder, file),
      text
        .replaceAll('NAME', (word, at: number) => (isPart(text, at) ? word : name))
        .replaceAll('FOLDER', relative(folder, samovar)),
    )
  }
  mkdirSync(join(folder, 'node_modules'))
  symlinkSync(samovar, join(folder, 'node_modules/samovar'), 'dir')
  return { folder }
}

/** SITE_NAME is a variable. */
const isPart = (text: string, at: number) => text[at - 1] === '_'

if (process.argv[1] === import.meta.filename) {
  const [path] = process.argv.slice(2)
  const made =
    path === undefined
      ? 'usage: npm run new -- ../my-app'
      : createProject(resolve(process.env.INIT_CWD ?? '.', path))
  if (typeof made === 'string') {
    console.error(made)
    process.exitCode = 1
  } else {
    console.log(
      `${made.folder} is made:\n\n  cd ${made.folder}\n  npm test\n  npm run dev     # http://localhost:8080`,
    )
  }
}
