// Loads the features of the user's folder: of the contract of ours (src/feature.ts), with no more rights, and such that
// a mistake in one of them is a sentence that names its file and line.
import { fileURLToPath, pathToFileURL } from 'node:url'
import { InvalidEnvironment } from '../config.ts'
import type { Link } from '../feature.ts'
import type { Installed } from '../host/wiring.ts'
import { SECOND } from '../lib/time.ts'
import type { UserFolder } from './folder.ts'
import { guarded, type UserFeature } from './guarded.ts'
import { resolveOwnPackages } from './own-packages.ts'
import { placeBelow, placeIn, placeOf, whyNotLoaded } from './place.ts'

/** What a file may wait for at its top, `await connect()`: a start is not begun, and then left hanging. */
const LOAD_MS = 60 * SECOND

/** image/entrypoint.sh takes them out of the environment. */
const NOT_PASSED = new Set(['SECRET_KEY', 'PUBLIC_KEY', 'NODE_OPTIONS'])

/** Where the app's own code is: src/, or dist/ in the image; and its packages, which in the image are in dist/. */
const APP = [
  fileURLToPath(new URL('..', import.meta.url)),
  fileURLToPath(new URL('../../node_modules/', import.meta.url)),
]

export interface LoadedFeature {
  readonly file: string
  readonly feature: Installed
}

/** @throws InvalidEnvironment with the first thing that is wrong */
export async function loadFeatures({ dir, features: files }: UserFolder): Promise<readonly LoadedFeature[]> {
  const read: string[] = []
  resolveOwnPackages(dir, (file) => read.push(file))
  const loaded: LoadedFeature[] = []
  for (const file of files) {
    for (const found of featuresIn(await loadFile(file, dir, read), file))
      loaded.push({ file, feature: guarded(found, { file, dir }) })
  }
  return inOrderOfNeed(loaded)
}

/** What a file exports. @throws InvalidEnvironment */
export async function loadFile(file: string, dir: string, read: readonly string[]): Promise<object> {
  let timer: NodeJS.Timeout | undefined
  const tooLate = new Promise<never>((_resolve, reject) => {
    const sentence = `${file} does not end loading within ${LOAD_MS / SECOND} s: what does it await at its top?`
    timer = setTimeout(() => reject(new InvalidEnvironment([sentence])), LOAD_MS)
  })
  const leave = () => {
    process.stderr.write(
      `${new InvalidEnvironment([`${file} ends the process while it is loaded`]).message}\n`,
    )
    process.exitCode = 78
  }
  process.once('exit', leave)
  try {
    return await Promise.race([import(pathToFileURL(file).href) as Promise<object>, tooLate])
  } catch (error) {
    if (error instanceof InvalidEnvironment) throw error
    throw new InvalidEnvironment([whyNotLoaded(error, file, dir, read)])
  } finally {
    clearTimeout(timer)
    process.off('exit', leave)
  }
}

/** Whatever it exports that is a feature, by any name; a CommonJS file exports the same value twice. */
function featuresIn(module: object, file: string): readonly UserFeature[] {
  const exported = new Set(
    Object.values(module).filter((value) => typeof value === 'object' && value !== null),
  )
  const found = [...exported].filter((value): value is UserFeature => 'name' in value && 'setup' in value)
  if (found.length === 0)
    throw new InvalidEnvironment([
      `${file} exports no feature: export default defineFeature({ name: …, setup(context) { … } })`,
    ])
  for (const feature of found) {
    const problem = problemOf(feature)
    if (problem) throw new InvalidEnvironment([`${problem} (${placeOf('defineFeature', file)})`])
  }
  return found
}

/** What TypeScript would have said. */
function problemOf({
  name,
  setup,
  needs = [],
  variables = {},
  navigation = [],
  migrations = [],
}: UserFeature) {
  if (typeof name !== 'string') return 'the name of a feature is a text'
  if (!/^[\w-]+$/.test(name))
    return `the name "${name}" of a feature has more than letters, digits and dashes`
  if (!Array.isArray(needs)) return `needs of the feature ${name} is no list of names`
  if (typeof setup !== 'function') return `setup of the feature ${name} is no function`
  if (!Array.isArray(navigation) || !navigation.every(isLink))
    return `navigation of the feature ${name} is no list of { path: '/…', en: '…', ru: '…' }`
  if (!Array.isArray(migrations) || !migrations.every((step) => typeof step === 'string'))
    return `migrations of the feature ${name} are no list of SQL texts`
  const unread = Object.entries(variables).find(([, one]) => typeof one?.schema?.safeParse !== 'function')
  const taken = Object.keys(variables).find((variable) => NOT_PASSED.has(variable))
  if (taken)
    return `the image does not pass ${taken} on, which pm2 or Node takes: give the variable another name`
  if (unread) return `the variable ${unread[0]} of the feature ${name} has no schema: { schema: z.string() }`
  return undefined
}

const isLink = (link: Partial<Link> | null) =>
  typeof link?.path === 'string' && link.path.startsWith('/') && Boolean(link.en && link.ru)

/** A feature comes after those of the same folder that it needs; a circle stays as it is, and is refused later. */
function inOrderOfNeed(loaded: readonly LoadedFeature[]): LoadedFeature[] {
  const waiting = [...loaded]
  const ordered: LoadedFeature[] = []
  while (waiting.length > 0) {
    const missing = new Set(waiting.map(({ feature: { name } }) => name))
    const isReady = ({ feature: { needs = [] } }: LoadedFeature) => !needs.some((need) => missing.has(need))
    const at = Math.max(0, waiting.findIndex(isReady))
    ordered.push(...waiting.splice(at, 1))
  }
  return ordered
}

/** The problems, each with the place of what it names in the user's files. */
export function withPlaces(error: InvalidEnvironment, loaded: readonly LoadedFeature[]): InvalidEnvironment {
  return new InvalidEnvironment(
    error.problems.map((problem) => {
      const place = loaded.map((one) => placeOfProblem(problem, one)).find((found) => found !== undefined)
      return place === undefined || problem.includes(place.replace(/:\d+$/, ''))
        ? problem
        : `${problem} (${place})`
    }),
  )
}

function placeOfProblem(problem: string, { file, feature }: LoadedFeature): string | undefined {
  const words = problem.split(/[^\w-]+/)
  const has = (word: string) => words.includes(word)
  const variable = Object.keys(feature.variables ?? {}).find(has)
  if (variable) return placeOf(variable, file)
  if (problem.startsWith(`migrations of the feature ${feature.name}:`)) return placeOf('migrations', file)
  const isNamed = problem.includes('feature') && has(feature.name)
  return isNamed ? placeOf(new RegExp(`name:\\s*['"\`]${feature.name}`), file) : undefined
}

/**
 * Of an error nobody has caught: whose it is, and where. A socket or a promise that was let go need not name any file;
 * beside features of the user's it is taken for theirs. Undefined where it is the app's own.
 */
export function ownerOf(error: unknown, dir: string, loaded: readonly LoadedFeature[]) {
  if (loaded.length === 0) return undefined
  const place = placeIn(error, dir) ?? placeBelow(error, `${dir}/`)
  if (place === undefined) {
    if (APP.some((folder) => placeBelow(error, folder) !== undefined)) return undefined
    const names = loaded.map(({ feature }) => feature.name)
    return { place: 'a place that its stack does not name', feature: names.join(' or ') }
  }
  const owners = loaded.filter(({ file }) => place.startsWith(file.replace(/[^/]*$/, '')))
  const [closest] = owners.sort((a, b) => b.file.length - a.file.length)
  return { place, feature: closest?.feature.name ?? loaded[0]?.feature.name ?? 'user' }
}
