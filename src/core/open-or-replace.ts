// Opens a database of our own. What the other files know of it tells whether it is missing, or of an earlier time; a
// damaged one is moved into the quarantine beside it, and what can be read of it is in the new one. None of that keeps
// it from being opened, and none of it goes without an alert.
import { accessSync, chmodSync, constants, existsSync, renameSync, rmSync } from 'node:fs'
import { basename } from 'node:path'
import type { FileProblem } from './files/file-alerts.ts'
import { sizeOf, sumOfFile } from './files/file-sums.ts'
import type { Installation, KnownFile } from './files/installation.ts'
import { KEPT_OF_EACH, setAside } from './files/quarantine.ts'
import { type Salvage, salvage } from './files/salvage.ts'
import { markOf, peekSequence, trackDatabase } from './files/tracked-database.ts'
import { readWriteAheadLog } from './files/write-ahead-log.ts'
import { DamagedDatabase, type Durability, type LocalDatabase, openLocalDatabase } from './sqlite.ts'

export interface OpenOptions {
  schema: string
  /** Makes what else it needs in it; what it throws is passed on. */
  prepare?: (database: LocalDatabase) => void
  durability?: Durability | undefined
  /** Undefined: a copy that nobody else knows of. */
  installation?: Installation | undefined
  /** What may be lost with the file, or with its last part; a sentence. */
  cost?: string
}

export interface Opened {
  readonly database: LocalDatabase
  /** Undefined: it has everything that was ever committed to it, as far as anybody can tell. */
  readonly problem: FileProblem | undefined
}

const STAY = `Of each file the last ${KEPT_OF_EACH} that were set aside stay`

/** Throws when nothing can be opened: no space, no permission. */
export function openOrReplace(path: string, options: OpenOptions): Opened {
  const { prepare = () => {}, installation, cost = '' } = options
  const file = basename(path)
  const known = installation?.known(file)
  if (isWritable(path)) keepPrivate(path) // what is beside it has its mode of then: an owner who mends one mends all
  setAsideForeignLog(path, known, options)
  const before = problemBefore(path, known)
  const { database, salvaged, aside, err } = openOrSalvage(path, options)
  try {
    const mark = markOf(database)
    if (mark) installation?.learn(mark)
    prepare(database)
    if (!installation) return { database, problem: salvaged && 'damaged' }
    const isOlder = known !== undefined && (mark?.sequence ?? 0) < known.sequence
    const isForeign = mark !== undefined && mark.id !== installation.id()
    const problem = salvaged ? 'damaged' : (before ?? (isOlder ? 'older' : isForeign ? 'foreign' : undefined))
    const tracked = trackDatabase(path, database, installation)
    keepPrivate(path)
    if (problem)
      installation.alerts.raise({
        file,
        problem,
        message: `${file} ${sentenceOf(problem, salvaged)}. ${problem === 'foreign' ? '' : cost}`.trim(),
        ...(salvaged && { lost: salvaged.lost }),
        ...(aside && { aside }),
        ...(err !== undefined && { err }),
      })
    return { database: tracked, problem }
  } catch (error) {
    database.close()
    throw error
  }
}

/** Secrets are in it: nobody but its owner reads it. */
function keepPrivate(path: string): void {
  for (const suffix of ['', '-wal', '-shm']) {
    try {
      chmodSync(path + suffix, 0o600)
    } catch {
      // Not there; or not ours: then its owner has decided.
    }
  }
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK)
    return true
  } catch {
    return false
  }
}

function problemBefore(path: string, known: { sum?: string } | undefined): FileProblem | undefined {
  if (!known) return undefined
  if (sizeOf(path) === 0) return existsSync(path) ? 'empty' : 'missing'
  return known.sum !== undefined && known.sum !== sumOfFile(path) ? 'changed' : undefined
}

function sentenceOf(problem: FileProblem, salvaged: Salvage | undefined): string {
  switch (problem) {
    case 'missing':
      return 'is missing, and was here before: a new one begins'
    case 'empty':
      return 'is empty, and was not before: a new one begins'
    case 'older':
      return 'is of an earlier time than it should be, or its -wal is missing or cut: what is in it is used'
    case 'foreign':
      return 'belongs to another installation: what is in it is used'
    case 'changed':
      return 'has changed while no Samovar had it open: what is in it is used, and some of it may be wrong'
    default: {
      const { recovered = 0, lost = 0 } = salvaged ?? {}
      const aside = `was damaged: it is set aside, and its ${recovered} readable rows are in a new one`
      return `${aside}; ${lost} rows are lost. ${STAY}`
    }
  }
}

/**
 * Beside a file that was closed cleanly, and is as it was, a -wal is of a release that does not count, or of another
 * time. The second would set the sequence back, and SQLite would play it into the file.
 */
function setAsideForeignLog(path: string, known: KnownFile | undefined, { installation }: OpenOptions): void {
  if (!installation || known?.sum === undefined || sizeOf(`${path}-wal`) === 0) return
  if (sumOfFile(path) !== known.sum || (peekSequence(path) ?? 0) >= known.sequence) return
  const aside = setAside(path, ['-wal', '-shm'])
  const file = `${basename(path)}-wal`
  const what = `${file} is none of ${basename(path)}, which was closed without`
  const message = `${what}: it is set aside, and nothing is lost. ${STAY}`
  installation.alerts.raise({ file, problem: 'foreign', message, aside })
}

interface OpenedOrSalvaged {
  readonly database: LocalDatabase
  readonly salvaged?: Salvage
  readonly aside?: string
  readonly err?: unknown
}

function openOrSalvage(path: string, options: OpenOptions): OpenedOrSalvaged {
  // SQLite deletes the -wal of an empty file, and drops what is behind a frame that is not sound.
  const log = `${path}-wal`
  const isDamaged = (sizeOf(path) === 0 && sizeOf(log) > 0) || isDamagedLog(log)
  try {
    if (!isDamaged) return { database: openLocalDatabase(path, options.schema, options.durability) }
  } catch (error) {
    if (!(error instanceof DamagedDatabase)) throw error
    return replace(path, options, error)
  }
  return replace(path, options)
}

/** Twice: another process may be writing it. */
function isDamagedLog(path: string): boolean {
  return sizeOf(path) > 0 && readWriteAheadLog(path).isDamaged && readWriteAheadLog(path).isDamaged
}

/** The new one is made beside it: killed in the middle of that, the next process finds the damaged one again. */
function replace(path: string, options: OpenOptions, err?: unknown): OpenedOrSalvaged {
  const { schema, durability, prepare = () => {} } = options
  const beside = `${path}.salvaged`
  for (const suffix of ['', '-wal', '-shm']) rmSync(beside + suffix, { force: true })
  const fresh = openLocalDatabase(beside, schema, durability)
  try {
    const salvaged = salvage(path, fresh, prepare)
    fresh.close()
    const aside = setAside(path)
    renameSync(beside, path)
    return { database: openLocalDatabase(path, schema, durability), salvaged, aside, err }
  } catch (error) {
    fresh.close()
    throw error
  }
}
