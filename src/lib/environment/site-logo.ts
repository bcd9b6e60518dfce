// The file of SITE_LOGO.
import { readFileSync } from 'node:fs'
import { extname, resolve } from 'node:path'

const TYPES: Readonly<Record<string, string>> = {
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.webp': 'image/webp',
  '.jpg': 'image/jpeg',
  '.jpeg': 'image/jpeg',
  '.ico': 'image/x-icon',
}
const MOST_KB = 256

/** The image, or a sentence. A relative path is below `dir`. */
export function readLogo(path: string, dir: string): { bytes: Buffer; type: string } | string {
  const file = resolve(dir, path)
  const type = TYPES[extname(file).toLowerCase()]
  if (!type) return `SITE_LOGO must end with one of ${Object.keys(TYPES).join(', ')}`
  try {
    const bytes = readFileSync(file)
    return bytes.byteLength > MOST_KB * 1024 ? `SITE_LOGO may have at most ${MOST_KB} kB` : { bytes, type }
  } catch (error) {
    return `SITE_LOGO is ${file}, which cannot be read (${(error as NodeJS.ErrnoException).code})`
  }
}
