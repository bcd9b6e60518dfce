// The quarantine of the data directory: files that are not used any more, until somebody has looked at them. They may
// be as large as the data, so of each file only the last few stay.
import { mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

export const KEPT_OF_EACH = 3

const COMPANIONS = ['-wal', '-shm']
const ENTRY = /^(\d{4}-\d\d-\d\dT\d{6}\.\d{3}Z)-(.+?)(?:-wal|-shm)?$/

/** Moves the file, and what SQLite keeps beside it, into the quarantine beside it; where it is now. */
export function setAside(path: string, suffixes = ['', ...COMPANIONS]): string {
  const time = new Date().toISOString().replaceAll(':', '')
  const aside = join(dirname(path), 'quarantine', `${time}-${basename(path)}`)
  mkdirSync(dirname(aside), { recursive: true })
  for (const suffix of suffixes) moveIfThere(path + suffix, aside + suffix)
  try {
    dropOldest(dirname(aside), basename(path))
  } catch {
    // Not ours to remove: no reason not to open a new file.
  }
  return aside
}

function dropOldest(quarantine: string, file: string): void {
  const timesByName = new Map<string, string>()
  for (const name of readdirSync(quarantine)) {
    const [, time, of] = ENTRY.exec(name) ?? []
    if (time !== undefined && of === file) timesByName.set(name, time)
  }
  const kept = new Set([...new Set(timesByName.values())].sort().slice(-KEPT_OF_EACH))
  for (const [name, time] of timesByName) if (!kept.has(time)) rmSync(join(quarantine, name))
}

function moveIfThere(from: string, to: string): void {
  try {
    renameSync(from, to)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}
