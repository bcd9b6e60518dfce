// Where Samovar is. `npm install` of a package removes the link that `npm run new` has made, so it is made again.
import { existsSync, mkdirSync, realpathSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'

const folder = join(import.meta.dirname, '..')
const link = join(folder, 'node_modules/samovar')
if (!existsSync(link)) {
  mkdirSync(join(folder, 'node_modules'), { recursive: true })
  symlinkSync(join(folder, 'FOLDER'), link, 'dir')
}

export const samovar = realpathSync(link)

/** The Node that `npm ci` has brought there: the one that runs this file may be too old for Samovar. */
const brought = join(samovar, 'node_modules/.bin/node')
export const node = existsSync(brought) ? brought : process.execPath
