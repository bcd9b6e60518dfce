// Opens a database of our own; a damaged one is moved into the quarantine beside it, and a new one begins.
import { mkdirSync, renameSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { DamagedDatabase, type Durability, type LocalDatabase, openLocalDatabase } from './sqlite.ts'

/** Throws when neither can be done: no space, no permission. */
export function openOrReplace(
  path: string,
  schema: string,
  replaced: (fields: { err: DamagedDatabase; aside: string }) => void,
  durability?: Durability,
): LocalDatabase {
  try {
    return openLocalDatabase(path, schema, durability)
  } catch (error) {
    if (!(error instanceof DamagedDatabase)) throw error
    const aside = setAside(path)
    replaced({ err: error, aside })
    return openLocalDatabase(path, schema, durability)
  }
}

/** Moves it, and what SQLite keeps beside it, into the quarantine; where it is now. */
export function setAside(path: string): string {
  const time = new Date().toISOString().replaceAll(':', '')
  const aside = join(dirname(path), 'quarantine', `${time}-${basename(path)}`)
  mkdirSync(dirname(aside), { recursive: true })
  for (const suffix of ['', '-wal', '-shm']) moveIfThere(path + suffix, aside + suffix)
  return aside
}

function moveIfThere(from: string, to: string): void {
  try {
    renameSync(from, to)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}
