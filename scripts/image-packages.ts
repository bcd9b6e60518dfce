// node scripts/image-packages.ts TARGET: the packages that are not in the bundle (dist/packages.json) and what they
// depend on, into TARGET, as a node_modules of their own. Maps and types stay behind: nothing in the image reads them.
import { cpSync, existsSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const modules = join(root, 'node_modules')
const target = process.argv[2]
if (!target) throw new Error('usage: node scripts/image-packages.ts TARGET')

const read = (path: string) => JSON.parse(readFileSync(path, 'utf8'))

/** Where Node finds that package from a folder. */
function find(name: string, from: string): string {
  for (let folder = from; folder.startsWith(root); folder = dirname(folder)) {
    const found = join(folder, 'node_modules', name)
    if (existsSync(join(found, 'package.json'))) return found
  }
  throw new Error(`${name} is not installed for ${from}`)
}

const wanted = new Set<string>()
function want(name: string, from: string): void {
  const folder = find(name, from)
  if (wanted.has(folder)) return
  wanted.add(folder)
  const { dependencies = {}, optionalDependencies = {} } = read(join(folder, 'package.json'))
  for (const other of Object.keys(dependencies)) if (!(other in optionalDependencies)) want(other, folder)
}
for (const name of read(join(root, 'dist/packages.json')) as string[]) want(name, root)

for (const folder of wanted)
  cpSync(folder, join(target, relative(modules, folder)), {
    recursive: true,
    filter: (path) =>
      !/\.(map|d\.[cm]?ts)$/.test(path) && !relative(folder, path).split('/').includes('node_modules'),
  })
