// The secret that signs cookies and links: made once, and kept in the data directory. Containers and processes that
// share the directory use the same one, in any order they start. It is there twice, in the file session-secret and in
// samovar.db, and the sound one restores the other; the checksum of the file is in `installation`, because releases
// before this one take all of the file for the secret.
import { randomBytes } from 'node:crypto'
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FileProblem } from '../core/files/file-alerts.ts'
import { sumOf } from '../core/files/file-sums.ts'
import type { Installation } from '../core/files/installation.ts'
import { readFact } from '../core/state/disk/state-disk.ts'
import type { Log } from '../log.ts'

const FILE = 'session-secret'
const SECRET_BYTES = 32
const LEAST_LENGTH = 32
/** What an operator writes into the file for a new secret: everybody is logged out. */
const RENEW = 'renew'
const LOGGED_OUT = 'A new one is made, and everybody is logged out'

const codeOf = (error: unknown) => (error as NodeJS.ErrnoException).code

/** The secret as a fact of samovar.db: with its checksum. */
export const secretFact = (secret: string) => ({ [FILE]: `${sumOf(secret)} ${secret}` })

/** The secret kept in the directory. Where none can be kept: one that lasts as long as this process, and a warning. */
export function keepSecret(dataDir: string, log: Log, installation: Installation): string {
  const path = join(dataDir, FILE)
  const made = randomBytes(SECRET_BYTES).toString('base64url')
  const known = installation.known(FILE)
  try {
    const found = readSecret(path)
    if (found && found !== RENEW && known?.sum === sumOf(found)) return found
    const secret =
      found === RENEW ? replaceSecret(path, made) : choose(path, made, found, known, installation)
    installation.note(FILE, { sequence: known?.sequence ?? 0, sum: sumOf(secret) })
    return secret
  } catch (error) {
    if (codeOf(error) === undefined) throw error
    const copy = copyIn(dataDir)
    if (copy !== undefined) {
      const message = `${FILE} cannot be read (${codeOf(error)}): its copy in samovar.db is used`
      const advice = 'Give the file to the user of this process, and see that it may read it'
      installation.alerts.raise({ file: FILE, problem: 'unusable', message, advice })
      return copy
    }
    log.warn(
      { path, reason: codeOf(error) },
      'the secret of sessions cannot be kept: a restart logs everybody out, and several processes or containers do ' +
        'not know each other’s sessions; set SESSION_SECRET, or make DATA_DIR writable',
    )
    return made
  }
}

/** Of the file and of the copy the one that is sound; a new one where neither is. */
function choose(
  path: string,
  made: string,
  found: string | undefined,
  known: { sum?: string } | undefined,
  { alerts }: Installation,
): string {
  const tell = (problem: FileProblem, message: string) => alerts.raise({ file: FILE, problem, message })
  const copy = copyIn(join(path, '..'))
  const problem = found === undefined ? 'missing' : found === '' ? 'empty' : 'damaged'
  if (copy !== undefined && copy !== found) {
    tell(problem, `${FILE} was ${problem}: it is restored from its copy in samovar.db, and nothing is lost`)
    return replaceSecret(path, copy)
  }
  if (found !== undefined && isEnough(found)) {
    if (known?.sum !== undefined && copy === undefined)
      tell(
        'changed',
        `${FILE} is not what it was, and has no copy: it is used, and cookies signed with another one are refused`,
      )
    return found
  }
  if (known) tell(problem, `${FILE} was ${problem}, and has no copy. ${LOGGED_OUT}`)
  return makeSecret(path, made)
}

function copyIn(dataDir: string): string | undefined {
  const [sum, secret] = (readFact(join(dataDir, 'samovar.db'), FILE) ?? '').split(' ')
  return secret !== undefined && sum === sumOf(secret) ? secret : undefined
}

/** Undefined when there is none. */
function readSecret(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
    return undefined
  }
}

const isEnough = (secret: string | undefined) => secret !== undefined && secret.length >= LEAST_LENGTH

/** Two processes that make one use the same. */
function makeSecret(path: string, made: string): string {
  return writeBeside(path, made, (beside) => {
    try {
      linkSync(beside, path)
    } catch {
      // Another process was first; or the file is damaged; or this file system knows no links.
      if (!isEnough(readSecret(path))) renameSync(beside, path)
    }
  })
}

const replaceSecret = (path: string, secret: string) =>
  writeBeside(path, secret, (beside) => renameSync(beside, path))

/** Written under another name first: no reader gets half of it. What is in the file then. */
function writeBeside(path: string, secret: string, move: (beside: string) => void): string {
  mkdirSync(join(path, '..'), { recursive: true })
  const beside = `${path}.${randomBytes(6).toString('hex')}`
  try {
    writeFileSync(beside, `${secret}\n`, { mode: 0o600, flag: 'wx', flush: true })
    move(beside)
  } finally {
    rmSync(beside, { force: true })
  }
  return readSecret(path) ?? secret
}
