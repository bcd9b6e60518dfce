// What is set under other names than ours: those of other hosts, and misspellings. For config.ts.
import { distance } from 'fastest-levenshtein'
import { variables } from './app-variables.ts'
import { cleanName } from './lib/environment/clean-value.ts'
import { hintsFor, isOtherName } from './lib/environment/other-names.ts'
import { type Configured, cleanOf, type Environment } from './variables.ts'

/** The names that have a value, whoever they belong to. */
export function setIn(env: Environment): string[] {
  return Object.keys(env).filter((name) => {
    const { text } = cleanOf(name, env)
    // Their addresses may be of anything.
    return text !== '' && (!/^(CACHE_URL|CELERY_BROKER_URL)$/.test(name) || /^(redis|valkey)/i.test(text))
  })
}

export interface Named {
  /** Ours that have a value. */
  readonly set: readonly string[]
  readonly features: readonly Configured[]
  /** Whether the Redis has one, wherever it stands. */
  readonly hasPassword: boolean
}

/** What is set under others' names only. */
export function hints({ set, features, hasPassword }: Named, env: Environment): string[] {
  const has = (...names: readonly string[]) => names.some((name) => set.includes(name))
  const hasSource = has('DATABASE_URL', 'SUPABASE_URL', 'SUPABASE_ANON_KEY')
  const ours = namesOf(features)
  const isMissing = (name: string): boolean => {
    if (name === 'REDIS_URL') return !has('REDIS_URL', 'REDIS_HOST')
    if (name === 'REDIS_PASSWORD') return has('REDIS_HOST', 'REDIS_URL') && !hasPassword
    if (/^REDIS_(PORT|DB|USERNAME|TLS)$/.test(name)) return has('REDIS_HOST') && !has('REDIS_URL')
    if (name === 'DATABASE_URL' || name === 'SUPABASE_URL') return !hasSource
    return name !== 'SUPABASE_ANON_KEY'
  }
  return hintsFor(
    ours.filter((name) => !set.includes(name) && isMissing(name)),
    setIn(env),
  )
}

/** One warning for each variable that is nearly, but not quite, one of ours. */
export function nearMisses(features: readonly Configured[], env: Environment): readonly string[] {
  const ours = namesOf(features)
  return Object.keys(env).flatMap((name) => {
    if (ours.includes(cleanName(name)) || name.length < 6 || isOtherName(name)) return []
    // Of a short name two letters are all that tells it from the others (REDIS_CA, REDIS_DB).
    const meant = ours.find(
      (own) => own.length >= 6 && distance(own, name.toUpperCase()) <= (own.length < 9 ? 1 : 2),
    )
    return meant ? [`${name} is not a variable of Samovar; did you mean ${meant}?`] : []
  })
}

const namesOf = (features: readonly Configured[]) =>
  [variables, ...features.map((feature) => feature.variables ?? {})].flatMap(Object.keys)
