// The only reader of the environment: read once, complete, frozen, all problems named together. Features describe their
// variables in their manifests; everybody's are in app-variables.ts.
import { resolve } from 'node:path'
import { variables } from './app-variables.ts'
import { chooseFeatures } from './choose-features.ts'
import { dataDirProblem } from './lib/environment/data-dir.ts'
import { listed } from './lib/environment/other-names.ts'
import { redisOf, unusedOf } from './lib/environment/redis-parts.ts'
import { readLogo } from './lib/environment/site-logo.ts'
import { isLoopback, type RedisTarget } from './lib/redis-url.ts'
import { SECOND } from './lib/time.ts'
import { hints, nearMisses } from './name-hints.ts'
import { databaseOf, overruledWarnings, readAuthority, unusedIn } from './named-servers.ts'
import {
  type Configured,
  cleanOf,
  type Environment,
  readVariables,
  type ValuesOf,
  type Variables,
  withCleanNames,
} from './variables.ts'

/** `embedded`: our own servers, or what answers on loopback; `external`: of a service; `memory`: none. */
export type Mode = 'embedded' | 'external' | 'memory'

/** Thrown with every problem of the environment and of the list of features, one line each. */
export class InvalidEnvironment extends Error {
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(`The configuration is not usable:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`)
    this.problems = problems
  }
}

type Values = ValuesOf<typeof variables>

/** What the command line needs to know, also where other variables are wrong: the rest is not read. */
export function readAdminVariables(given: Environment = process.env) {
  const env = withCleanNames(given)
  const dataDir = cleanOf('DATA_DIR', env, variables.DATA_DIR).text.trim()
  return {
    adminToken: cleanOf('ADMIN_TOKEN', env).text || undefined,
    dataDir: resolve(dataDir || dataDirWithout(env.SAMOVAR_RUN_DIR)),
    port: Number(cleanOf('PORT', env).text) || 8080,
  }
}

export interface UserDir {
  readonly dir: string
  readonly mustBe: boolean
  /** SITE_LOGO is a file in it, and it may be there for that alone. */
  readonly hasLogo?: boolean
}

/** The folder of the user's own app, which is read before it is known what features there are. */
export function readUserDir(given: Environment = process.env): UserDir | undefined {
  const env = withCleanNames(given)
  const asked = cleanOf('USER_DIR', env, variables.USER_DIR).text
  const hasLogo = cleanOf('SITE_LOGO', env, variables.SITE_LOGO).text !== ''
  if (asked !== '') return { dir: resolve(asked), mustBe: true, hasLogo }
  return env.SAMOVAR_RUN_DIR ? { dir: '/app/user', mustBe: false, hasLogo } : undefined
}

/** Where data are kept if nothing is said: the image names a directory of its own for its parts to meet. */
const dataDirWithout = (runDir: string | undefined) => (runDir ? '/data' : 'data')

/**
 * Reads and checks the environment, and which of the features run.
 * @throws InvalidEnvironment with all problems
 */
export function readConfig(
  features: readonly Configured[],
  given: Environment = process.env,
  isTerminal = process.stdout.isTTY === true,
) {
  const env = withCleanNames(given)
  // The image reads it once, for all of its parts, and passes it on as it is: read again, /data/a # b would be /data/a.
  const plain = env.SAMOVAR_EMBEDDED ? ['DATA_DIR'] : []
  const everybodys = readVariables(variables, env, { unused: unusedIn(env), plain })
  const { values } = everybodys
  const choice = chooseFeatures(features, { only: values.FEATURES, off: values.FEATURES_OFF })
  const read = readFeatures(choice.chosen, env)
  const database = databaseOf(everybodys, env)
  const dataDir = everybodys.set.includes('DATA_DIR')
    ? values.DATA_DIR
    : dataDirWithout(values.SAMOVAR_RUN_DIR)
  const logo =
    values.SITE_LOGO === undefined ? undefined : readLogo(values.SITE_LOGO, readUserDir(env)?.dir ?? '.')
  const all = [
    ...everybodys.problems,
    ...(typeof logo === 'string' ? [logo] : []),
    ...listOf(dataDirProblem(dataDir, values.SAMOVAR_RUN_DIR)),
    ...database.problems,
    ...choice.problems,
    ...takenVariables(features),
    ...read.problems,
  ]
  if (all.length > 0) throw new InvalidEnvironment(all)
  const redis = redisOf(values)
  const { main } = redis
  const mode: Mode = modeOf(main)
  const cacheTarget = main === 'off' ? undefined : values.SAMOVAR_RUN_DIR ? inImage(main) : main
  const stateTarget = cacheTarget && (values.STATE_REDIS_URL?.target ?? cacheTarget)
  const ca = readAuthority(values.REDIS_CA_FILE, [cacheTarget, stateTarget])
  const together = [
    ...redis.problems,
    ...ca.problems,
    ...problemsTogether(values, main),
    ...read.problemsTogether(),
  ]
  if (together.length > 0) throw new InvalidEnvironment(together)

  return Object.freeze({
    port: values.PORT,
    mode,
    redis: Object.freeze({
      cache: cacheTarget,
      state: stateTarget,
      /** Whether the state role has a server of its own, so that the other one holds nothing but the cache. */
      hasStateServer: mode === 'embedded' && values.STATE_REDIS_URL !== undefined,
      ca: ca.text,
      budgetMs: values.REDIS_BUDGET_MS ?? (mode === 'external' ? 500 : 100),
      prefix: values.REDIS_PREFIX,
    }),
    cache: Object.freeze({ enabled: values.CACHE_ENABLED, ttlMs: values.REDIS_TTL * SECOND }),
    memoryBudgetBytes: values.MEMORY_BUDGET_MB * 1024 * 1024,
    /** Undefined: not set, and the image chooses. */
    memoryBudgetMb: everybodys.set.includes('MEMORY_BUDGET_MB') ? values.MEMORY_BUDGET_MB : undefined,
    adminToken: values.ADMIN_TOKEN,
    /** The first one signs, each is believed; undefined: one is made, and kept in the data directory. */
    secrets: values.SESSION_SECRET,
    /** Where reference data and records are; neither: SQLite in the data directory. */
    database: Object.freeze({ postgres: database.postgres?.target, supabase: database.supabase }),
    /** The values of each feature that runs, by its name. */
    features: read.values as ReadonlyMap<string, ValuesOf<Variables>>,
    workers: values.WEB_CONCURRENCY,
    site: Object.freeze({
      name: values.SITE_NAME,
      url: values.SITE_URL,
      logo: typeof logo === 'string' ? undefined : logo,
    }),
    hstsSubdomains: values.HSTS_INCLUDE_SUBDOMAINS,
    trustProxy: values.TRUST_PROXY ?? proxiesOf(env),
    dataDir: resolve(dataDir),
    runDir: values.SAMOVAR_RUN_DIR,
    log: Object.freeze({
      level: values.LOG_LEVEL,
      format: values.LOG_FORMAT ?? (isTerminal ? 'pretty' : 'json'),
    }),
    /** Empty where the image has said them before it started the app. */
    warnings: env.SAMOVAR_EMBEDDED
      ? []
      : [
          ...surroundings([...everybodys.surrounded, ...read.surrounded]),
          ...everybodys.warnings,
          ...read.warnings,
          ...redis.warnings,
          ...unusedOf('STATE_REDIS_URL', values.STATE_REDIS_URL?.unused ?? []),
          ...overruledWarnings(main, values, env),
          ...database.warnings,
          ...hints(
            {
              set: [...everybodys.set, ...read.set],
              features,
              hasPassword: main === 'off' || main.password !== undefined,
            },
            env,
          ),
          ...nearMisses(features, env),
        ],
  })
}

const listOf = <T>(found: T | undefined) => (found === undefined ? [] : [found])

/** One line for all: a container's environment keeps what Compose and dotenv take away. */
const surroundings = (found: readonly string[]) =>
  found.length === 0 ? [] : [`read without what stands around the value: ${listed(found)}`]

/**
 * What platforms set themselves that have proxies of their own in front, and no other way in; and how many of them
 * write into X-Forwarded-For. Fly's appends the address that it was called at behind the client's
 * (github.com/superfly/flyctl/issues/121); on Render Cloudflare and a proxy of Render's stand in front
 * (github.com/arcjet/arcjet-js/issues/5411).
 */
const PROXIES = { AMVERA: 1, RAILWAY_ENVIRONMENT: 1, RENDER: 3, FLY_APP_NAME: 2, DYNO: 1 }

function proxiesOf(env: Environment): number {
  const [, proxies = 0] = Object.entries(PROXIES).find(([name]) => (env[name] ?? '') !== '') ?? []
  return proxies
}

export type Config = ReturnType<typeof readConfig>

function readFeatures(features: readonly Configured[], env: Environment) {
  const values = new Map<string, ValuesOf<Variables>>()
  const reads = features.map(({ name, variables: own = {} }) => {
    const read = readVariables(own, env)
    values.set(name, read.values)
    return read
  })
  return {
    values,
    problems: reads.flatMap(({ problems }) => problems),
    warnings: reads.flatMap(({ warnings }) => warnings),
    surrounded: reads.flatMap(({ surrounded }) => surrounded),
    set: reads.flatMap(({ set }) => set),
    /** To be asked where each value by itself is well-formed. */
    problemsTogether: () =>
      features.flatMap(({ name, check }) => [
        ...(check?.(values.get(name) as never, { features, variable: valueIn(values) }) ?? []),
      ]),
  }
}

/** Finds the value of a variable, whichever feature's it is. */
export const valueIn = (values: ReadonlyMap<string, ValuesOf<Variables>>) => (variable: string) =>
  [...values.values()].find((own) => Object.hasOwn(own, variable))?.[variable]

function takenVariables(features: readonly Configured[]): string[] {
  const owners = new Map(Object.keys(variables).map((name) => [name, 'the app']))
  return features.flatMap(({ name: feature, variables: own = {} }) =>
    Object.keys(own).flatMap((name) => {
      const owner = owners.get(name)
      owners.set(name, owner ?? `the feature ${feature}`)
      return owner === undefined ? [] : [`the variable ${name} of the feature ${feature} is ${owner}’s`]
    }),
  )
}

function problemsTogether({ PORT: port }: Values, main: RedisTarget | 'off'): string[] {
  const isTaken = main !== 'off' && isLoopback(main) && 'port' in main.at && main.at.port === port
  return isTaken ? [`PORT is ${port}, and the Redis on this machine has that port: choose another one`] : []
}

/** The embedded Redis is at 127.0.0.1, however this machine is named: there may be no IPv6 for ::1, or no such name. */
const inImage = (main: RedisTarget): RedisTarget =>
  isLoopback(main) && 'host' in main.at ? { ...main, at: { ...main.at, host: '127.0.0.1' } } : main

const modeOf = (main: RedisTarget | 'off'): Mode =>
  main === 'off' ? 'memory' : isLoopback(main) ? 'embedded' : 'external'
