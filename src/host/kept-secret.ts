// The secret that signs cookies and links: made once, and kept in the data directory. Containers and processes that
// share the directory use the same one, in any order they start.
import { randomBytes } from 'node:crypto'
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Log } from '../log.ts'

const FILE = 'session-secret'
const SECRET_BYTES = 32
const LEAST_LENGTH = 32

const codeOf = (error: unknown) => (error as NodeJS.ErrnoException).code

/** The secret kept in the directory. Where none can be kept: one that lasts as long as this process, and a warning. */
export function keepSecret(dataDir: string, log: Log): string {
  const path = join(dataDir, FILE)
  const made = randomBytes(SECRET_BYTES).toString('base64url')
  try {
    return readSecret(path) ?? makeSecret(path, made)
  } catch (error) {
    if (codeOf(error) === undefined) throw error
    log.warn(
      { path, reason: codeOf(error) },
      'the secret of sessions cannot be kept: a restart logs everybody out, and several processes or containers do ' +
        'not know each other’s sessions; set SESSION_SECRET, or make DATA_DIR writable',
    )
    return made
  }
}

/** Undefined when there is none, or too little of one to sign with. */
function readSecret(path: string): string | undefined {
  try {
    const secret = readFileSync(path, 'utf8').trim()
    return secret.length >= LEAST_LENGTH ? secret : undefined
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
    return undefined
  }
}

/** Written under another name first: no reader gets half of it, and two processes that make one use the same. */
function makeSecret(path: string, made: string): string {
  mkdirSync(join(path, '..'), { recursive: true })
  const beside = `${path}.${randomBytes(6).toString('hex')}`
  try {
    writeFileSync(beside, `${made}\n`, { mode: 0o600, flag: 'wx', flush: true })
    try {
      linkSync(beside, path)
    } catch {
      // Another process was first; or the file is damaged; or this file system knows no links.
      if (readSecret(path) === undefined) renameSync(beside, path)
    }
  } finally {
    rmSync(beside, { force: true })
  }
  return readSecret(path) ?? made
}
