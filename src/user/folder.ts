// What there is in the folder of the user's own app. Reads names, and runs nothing.
import { readdirSync, realpathSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { InvalidEnvironment, type UserDir } from '../config.ts'

const FEATURE_FILES = ['feature.ts', 'feature.js', 'feature.mjs', 'feature.cjs']
const SERVER_FILES = ['samovar.config.js', 'samovar.config.mjs', 'samovar.config.cjs', 'samovar.config.ts']
/** Folders in which a feature of the app is not looked for. */
const OTHERS = new Set(['node_modules', 'test', 'tests', 'dist', 'build', 'coverage'])

export interface UserFolder {
  /** As the system knows it: paths in stacks begin with it. */
  readonly dir: string
  /** Files that export features: of the folder, then of its subfolders by their names. */
  readonly features: readonly string[]
  /** The file that names a server. */
  readonly server: string | undefined
}

/** Undefined where the folder need not be there, and is not. @throws InvalidEnvironment */
export function readUserFolder(asked: UserDir | undefined): UserFolder | undefined {
  if (!asked) return undefined
  const { dir: given, mustBe, hasLogo } = asked
  if (!isFolder(given)) {
    if (!mustBe) return undefined
    throw new InvalidEnvironment([`USER_DIR is ${given}, and there is no such folder`])
  }
  const dir = realpathSync(given)
  refuseUnreadable(dir)
  const features = [...oneOf(dir, FEATURE_FILES), ...foldersIn(dir).flatMap((at) => oneOf(at, FEATURE_FILES))]
  const [server] = oneOf(dir, SERVER_FILES)
  if (features.length === 0 && !server && !hasLogo)
    throw new InvalidEnvironment([
      `${dir} has neither a feature.js, feature.mjs or feature.ts, in itself or in a folder of it, nor a ` +
        'samovar.config.js: nothing there would run',
    ])
  return { dir, features, server }
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory()
  } catch {
    return false // not there, a link to itself, or not for our eyes
  }
}

/** The first of the names that is there; several would be one feature twice. */
function oneOf(dir: string, names: readonly string[]): string[] {
  const there = namesIn(dir)
  return names
    .filter((name) => there.includes(name))
    .slice(0, 1)
    .map((name) => join(dir, name))
}

/** Of the folder, and of a folder `features` in it. */
const foldersIn = (dir: string): string[] =>
  namesIn(dir)
    .filter((name) => !name.startsWith('.') && !OTHERS.has(name) && isFolder(join(dir, name)))
    .sort()
    .flatMap((name) =>
      name === 'features' ? [join(dir, name), ...foldersIn(join(dir, name))] : [join(dir, name)],
    )

/** None in a folder that is closed to us: the files of a database in the user's folder are no feature. */
function namesIn(dir: string): string[] {
  try {
    return readdirSync(dir)
  } catch {
    return []
  }
}

function refuseUnreadable(dir: string): void {
  try {
    readdirSync(dir)
    statSync(join(dir, '.'))
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new InvalidEnvironment([`${dir} cannot be read (${code}): the app’s user must be able to`])
  }
}
