// The admin token of an installation whose operator has set none: made at the first start and kept in the data
// directory, so that what needs a token can be used. `samovar token` (cli/samovar.ts) prints it.
import { randomBytes } from 'node:crypto'
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Log } from '../../log.ts'

const FILE = 'admin-token'
const TOKEN_BYTES = 24
/** What ADMIN_TOKEN may be, too: an operator may write one of their own into the file. */
const USABLE = /^[\x21-\x7e]{8,}$/

const INSTEAD = 'ADMIN_TOKEN in the environment is used instead of it'

export const adminTokenPath = (dataDir: string) => join(dataDir, FILE)

/** What somebody has written there is no token. It is theirs, and stays. */
export class UnusableToken extends Error {
  constructor(path: string) {
    super(`${path} holds no usable token: 8 or more printable ASCII characters without spaces`)
  }
}

/**
 * What is kept there; undefined where there is none, or the file is empty.
 * @throws UnusableToken
 */
export function readAdminToken(dataDir: string): string | undefined {
  const path = adminTokenPath(dataDir)
  try {
    const found = readFileSync(path, 'utf8').trim()
    if (found !== '' && !USABLE.test(found)) throw new UnusableToken(path)
    return found || undefined
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    return undefined
  }
}

/** The token kept in the directory, made where there is none. Where none can be kept: one that nobody knows. */
export function keepAdminToken(dataDir: string, log: Log): string {
  const path = adminTokenPath(dataDir)
  const made = randomBytes(TOKEN_BYTES).toString('base64url')
  try {
    const token = readAdminToken(dataDir) ?? makeToken(dataDir, made)
    log.info({ path }, `admin token: in ${path}; the command "samovar token" prints it, and ${INSTEAD}`)
    return token
  } catch (error) {
    if (error instanceof UnusableToken) {
      log.warn(
        { path },
        `${error.message}. What needs the admin token is closed to everybody until the file holds one, or is deleted ` +
          `and the app started again, which makes one; or ${INSTEAD}`,
      )
      return made
    }
    const reason = (error as NodeJS.ErrnoException).code
    if (reason === undefined) throw error
    log.warn(
      { path, reason },
      `the admin token cannot be kept in ${path} (${reason}): what needs it is closed to everybody; ` +
        'set ADMIN_TOKEN, or make DATA_DIR readable and writable',
    )
    return made
  }
}

/** Two processes that make one use the same. */
function makeToken(dataDir: string, made: string): string {
  const path = adminTokenPath(dataDir)
  mkdirSync(dataDir, { recursive: true })
  const beside = `${path}.${randomBytes(6).toString('hex')}`
  try {
    writeFileSync(beside, `${made}\n`, { mode: 0o600, flag: 'wx', flush: true })
    try {
      linkSync(beside, path)
    } catch {
      // Another process was first; or the file is empty; or this file system knows no links.
      if (readAdminToken(dataDir) === undefined) renameSync(beside, path)
    }
  } finally {
    rmSync(beside, { force: true })
  }
  return readAdminToken(dataDir) ?? made
}
