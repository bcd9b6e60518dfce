// node scripts/production-lock.ts FOLDER: package.json and the lock file there, of what runs alone. `npm sbom --omit=dev`
// also leaves out what a tool of development needs as well: express, as soon as one of them depends on it.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const [folder = ''] = process.argv.slice(2)
const read = (name: string) => JSON.parse(readFileSync(join(import.meta.dirname, '..', name), 'utf8'))
const [description, lock] = [read('package.json'), read('package-lock.json')]

for (const root of [description, lock.packages['']]) delete root.devDependencies
for (const [path, { dev, devOptional }] of Object.entries<{ dev?: true; devOptional?: true }>(lock.packages))
  if (dev || devOptional) delete lock.packages[path]

mkdirSync(folder, { recursive: true })
writeFileSync(join(folder, 'package.json'), JSON.stringify(description))
writeFileSync(join(folder, 'package-lock.json'), JSON.stringify(lock))
