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
