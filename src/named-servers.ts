// Which Redis and which database the variables name together, for config.ts. What others make useless is not judged.
import { readFileSync } from 'node:fs'
import { variables } from './app-variables.ts'
import { hintsFor, listed } from './lib/environment/other-names.ts'
import { overruled, unusedOf } from './lib/environment/redis-parts.ts'
import { type PostgresUrl, readPostgresUrl } from './lib/postgres-url.ts'
import type { RedisTarget } from './lib/redis-url.ts'
import { setIn } from './name-hints.ts'
import { cleanOf, type Environment, type ReadVariables, readVariables, type ValuesOf } from './variables.ts'

type Values = ValuesOf<typeof variables>

/** Nothing reads these as the others are set, so that they may be for another program, or be injected. */
export function unusedIn(env: Environment): string[] {
  const url = cleanOf('REDIS_URL', env).text
  const isOff = url !== '' && 'isOff' in (variables.REDIS_URL.schema.safeParse(url).data ?? {})
  const hasRedis = url !== ''
  const hasDatabase = cleanOf('DATABASE_URL', env).text !== ''
  return [
    ...(hasRedis ? ['REDIS_HOST', 'REDIS_PORT', 'REDIS_DB', 'REDIS_TLS'] : []),
    ...(isOff ? ['STATE_REDIS_URL', 'REDIS_CA_FILE', 'REDIS_PREFIX', 'REDIS_BUDGET_MS'] : []),
    ...(hasDatabase && !OF_SQLITE.test(cleanOf('DATABASE_URL', env).text)
      ? ['SUPABASE_URL', 'SUPABASE_ANON_KEY']
      : []),
  ]
}

/** What of the parts says something else than the REDIS_URL that wins. */
export function overruledWarnings(main: RedisTarget | 'off', values: Values, env: Environment): string[] {
  if (main === 'off' || !values.REDIS_URL) return []
  const parts = Object.entries(variables).filter(([name]) => PARTS.includes(name))
  const { values: said } = readVariables(Object.fromEntries(parts), env)
  const names = overruled(main, said)
  if (names.length === 0) return []
  const tls = names.includes('REDIS_TLS') && said.REDIS_TLS ? ': for TLS write rediss://' : ''
  return [`REDIS_URL wins over ${listed(names)}, which ${names.length > 1 ? 'are' : 'is'} not read${tls}`]
}
const PARTS = ['REDIS_HOST', 'REDIS_PORT', 'REDIS_DB', 'REDIS_USERNAME', 'REDIS_PASSWORD', 'REDIS_TLS']

function readText(path: string): { readonly text: string } | { readonly problem: string } {
  try {
    return { text: readFileSync(path, 'utf8') }
  } catch (error) {
    return { problem: `cannot be read: ${(error as NodeJS.ErrnoException).code}` }
  }
}

/** Read where there is TLS to check. */
export function readAuthority(path: string | undefined, targets: readonly (RedisTarget | undefined)[]) {
  const hasTls = targets.some((target) => target && 'tls' in target.at && target.at.tls)
  const found = path !== undefined && hasTls ? readText(path) : undefined
  if (found === undefined) return { text: undefined, problems: [] }
  if ('problem' in found) return { text: undefined, problems: [`REDIS_CA_FILE ${found.problem}`] }
  return { text: found.text, problems: [] }
}

const OF_SQLITE = /^(file|sqlite3?|sqljs)(\+\w+)?:/i

/** PostgreSQL wins over Supabase: a project there with Prisma has both. */
export function databaseOf({ values, set }: ReadVariables<typeof variables>, env: Environment) {
  const { DATABASE_URL: text, SUPABASE_URL: url, SUPABASE_ANON_KEY: anonKey } = values
  const problems: string[] = []
  const warnings: string[] = []
  let postgres: PostgresUrl | undefined
  if (text && OF_SQLITE.test(text)) {
    warnings.push('DATABASE_URL is a file of SQLite: it is not read, ours are in DATA_DIR')
  } else if (text) {
    const parsed = readPostgresUrl(text, {
      sslmode: cleanOf('PGSSLMODE', env).text || undefined,
      readFile: readText,
    })
    if (typeof parsed === 'string') problems.push(`DATABASE_URL ${parsed}`)
    else {
      postgres = parsed
      warnings.push(
        ...unusedOf('DATABASE_URL', parsed.unused),
        ...parsed.warnings.map((one) => `DATABASE_URL: ${one}`),
      )
    }
    if (cleanOf('SUPABASE_URL', env).text && cleanOf('SUPABASE_ANON_KEY', env).text)
      warnings.push('DATABASE_URL and SUPABASE_URL are both set: DATABASE_URL is used, SUPABASE_URL is not')
  }
  const supabase = url && anonKey && !postgres ? Object.freeze({ url, anonKey }) : undefined
  const hasUrl = set.includes('SUPABASE_URL')
  if (!postgres && hasUrl !== set.includes('SUPABASE_ANON_KEY') && (url ?? anonKey)) {
    const others = hintsFor(
      set.includes('SUPABASE_URL') ? ['SUPABASE_ANON_KEY'] : ['SUPABASE_URL'],
      setIn(env),
    )
    // With another's name for the other half, both are another program's.
    if (others.length > 0) warnings.push(...others)
    else problems.push('SUPABASE_URL and SUPABASE_ANON_KEY belong together: set both or neither')
  }
  return { postgres, supabase, problems, warnings }
}
