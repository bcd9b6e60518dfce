// The names that the app's schemas know, read from its source: a field that a feature adds is fuzzed by itself.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** In the order of files and lines, so that a seed means the same. */
export function fieldNames(folder = 'src/features'): string[] {
  const names = new Set<string>()
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) =>
    path.endsWith('.ts'),
  )
  for (const path of files.sort()) {
    const source = readFileSync(join(folder, path), 'utf8')
    for (const [, name = ''] of source.matchAll(/\b([a-z_]\w*): z\b/g)) names.add(name)
    for (const [, name = ''] of source.matchAll(/req\.query\.(\w+)/g)) names.add(name)
  }
  return [...names]
}
