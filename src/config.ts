// The only reader of the environment: read once, complete, frozen, all problems named together. Features describe their
// variables in their manifests; everybody's are in app-variables.ts.
import { resolve } from 'node:path'
import { distance } from 'fastest-levenshtein'
import { variables } from './app-variables.ts'
import { chooseFeatures } from './choose-features.ts'
import { isLoopback, type RedisTarget } from './lib/redis-url.ts'
import { SECOND } from './lib/time.ts'
import {
  type Configured,
  type Environment,
  readVariables,
  type ValuesOf,
  type Variables,
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
export function readAdminVariables(env: Environment = process.env) {
  return {
    adminToken: env.ADMIN_TOKEN || undefined,
    dataDir: resolve(env.DATA_DIR || 'data'),
    port: Number(env.PORT) || 8080,
  }
}

/**
 * Reads and checks the environment, and which of the features run.
 * @throws InvalidEnvironment with all problems
 */
export function readConfig(
  features: readonly Configured[],
  env: Environment = process.env,
  isTerminal = process.stdout.isTTY === true,
) {
  const { values, problems } = readVariables(variables, env)
  const choice = chooseFeatures(features, { only: values.FEATURES, off: values.FEATURES_OFF })
  const read = readFeatures(choice.chosen, env)
  const all = [...problems, ...choice.problems, ...takenVariables(features), ...read.problems]
  if (all.length > 0) throw new InvalidEnvironment(all)
  const together = [...problemsTogether(values), ...read.problemsTogether()]
  if (together.length > 0) throw new InvalidEnvironment(together)

  const main = values.REDIS_URL ?? targetFromParts(values)
  const mode: Mode = modeOf(main)
  const cacheTarget = main === 'off' ? undefined : main
  return Object.freeze({
    port: values.PORT,
    mode,
    redis: Object.freeze({
      cache: cacheTarget,
      state: cacheTarget && (values.STATE_REDIS_URL ?? cacheTarget),
      /** Whether the state role has a server of its own, so that the other one holds nothing but the cache. */
      hasStateServer: mode === 'embedded' && values.STATE_REDIS_URL !== undefined,
      ca: values.REDIS_CA_FILE,
      budgetMs: values.REDIS_BUDGET_MS ?? (mode === 'external' ? 500 : 100),
      prefix: values.REDIS_PREFIX,
    }),
    cache: Object.freeze({ enabled: values.CACHE_ENABLED, ttlMs: values.REDIS_TTL * SECOND }),
    memoryBudgetBytes: values.MEMORY_BUDGET_MB * 1024 * 1024,
    adminToken: values.ADMIN_TOKEN,
    /** The first one signs, each is believed; undefined: one is made, and kept in the data directory. */
    secrets: values.SESSION_SECRET,
    /** Where reference data and records are; neither: SQLite in the data directory. */
    database: Object.freeze({ postgres: values.DATABASE_URL, supabase: supabaseOf(values) }),
    /** The values of each feature that runs, by its name. */
    features: read.values as ReadonlyMap<string, ValuesOf<Variables>>,
    workers: values.WEB_CONCURRENCY,
    hstsSubdomains: values.HSTS_INCLUDE_SUBDOMAINS,
    trustProxy: values.TRUST_PROXY ?? (isOnPlatform(env) ? 1 : 0),
    dataDir: resolve(values.DATA_DIR),
    runDir: values.SAMOVAR_RUN_DIR,
    log: Object.freeze({
      level: values.LOG_LEVEL,
      format: values.LOG_FORMAT ?? (isTerminal ? 'pretty' : 'json'),
    }),
    warnings: nearMisses(features, env),
  })
}

/** What platforms that have a proxy of their own in front, and no other way in, set themselves. */
const PLATFORMS = ['AMVERA', 'RAILWAY_ENVIRONMENT', 'RENDER', 'FLY_APP_NAME', 'DYNO']
const isOnPlatform = (env: Environment) => PLATFORMS.some((name) => (env[name] ?? '') !== '')

export type Config = ReturnType<typeof readConfig>

function readFeatures(features: readonly Configured[], env: Environment) {
  const values = new Map<string, ValuesOf<Variables>>()
  const problems: string[] = []
  for (const { name, variables: own = {} } of features) {
    const read = readVariables(own, env)
    values.set(name, read.values)
    problems.push(...read.problems)
  }
  return {
    values,
    problems,
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

function problemsTogether(values: Values): string[] {
  const { SUPABASE_URL: url, SUPABASE_ANON_KEY: anonKey } = values
  const main = values.REDIS_URL ?? targetFromParts(values)
  const isEmbeddedTls = main !== 'off' && modeOf(main) === 'embedded' && 'tls' in main.at && main.at.tls
  return [
    ...(isEmbeddedTls
      ? ['REDIS_URL must be redis:// for a Redis on this machine: the embedded one speaks no TLS']
      : []),
    ...((url === undefined) !== (anonKey === undefined)
      ? ['SUPABASE_URL and SUPABASE_ANON_KEY belong together: set both or neither']
      : []),
    ...(url && anonKey && values.DATABASE_URL
      ? ['DATABASE_URL and SUPABASE_URL are both set: reference data has one place']
      : []),
  ]
}

const modeOf = (main: RedisTarget | 'off'): Mode =>
  main === 'off' ? 'memory' : isLoopback(main) ? 'embedded' : 'external'

function supabaseOf({ SUPABASE_URL: url, SUPABASE_ANON_KEY: anonKey }: Values) {
  return url && anonKey ? Object.freeze({ url, anonKey }) : undefined
}

function targetFromParts(values: Values): RedisTarget {
  return {
    at: {
      host: values.REDIS_HOST ?? 'localhost',
      port: values.REDIS_PORT ?? 6379,
      tls: values.REDIS_TLS ?? false,
    },
    database: values.REDIS_DB ?? 0,
    ...(values.REDIS_USERNAME && { username: values.REDIS_USERNAME }),
    ...(values.REDIS_PASSWORD && { password: values.REDIS_PASSWORD }),
  }
}

/** One warning for each variable that is nearly, but not quite, one of ours. */
function nearMisses(features: readonly Configured[], env: Environment): readonly string[] {
  const ours = [variables, ...features.map((feature) => feature.variables ?? {})].flatMap(Object.keys)
  return Object.keys(env).flatMap((name) => {
    if (ours.includes(name) || name.length < 6) return []
    const meant = ours.find((own) => own.length >= 6 && distance(own, name.toUpperCase()) <= 2)
    return meant ? [`${name} is not a variable of Samovar; did you mean ${meant}?`] : []
  })
}
