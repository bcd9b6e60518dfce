// What the user's files get for the names `samovar`, `zod` and `express`: the first is always this app, as it runs; the
// others are their own packages where they have installed some, else this app's, which in the image's bundle are no
// packages any more but files beside this one.
import { existsSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

/** In the bundle they have this folder's name as well, and end with .js (scripts/bundle.ts). */
function besideThis(name: string): string | undefined {
  const files = [`./${name}.ts`, `./${name}.js`].map((file) => new URL(file, import.meta.url))
  return files.find((file) => existsSync(fileURLToPath(file)))?.href
}

const isMissing = (error: unknown) =>
  ['ERR_MODULE_NOT_FOUND', 'MODULE_NOT_FOUND'].includes((error as NodeJS.ErrnoException).code ?? '')

/** Answers the names for files below that folder; `loaded` is told of each of them that is loaded. */
export function resolveOwnPackages(dir: string, loaded: (file: string) => void): void {
  const below = pathToFileURL(join(dir, '/')).href
  const app = besideThis('features-api')
  registerHooks({
    resolve(name, context, next) {
      if (!context.parentURL?.startsWith(below)) return next(name, context)
      if (name === 'samovar' && app) return { url: app, shortCircuit: true }
      if (name !== 'zod' && name !== 'express') return next(name, context)
      try {
        return next(name, context)
      } catch (error) {
        if (!isMissing(error)) throw error
        return { url: besideThis(name) ?? import.meta.resolve(name), shortCircuit: true }
      }
    },
    load(url, context, next) {
      if (url.startsWith(below) && !url.includes('/node_modules/')) loaded(fileURLToPath(url))
      return next(url, context)
    },
  })
}
