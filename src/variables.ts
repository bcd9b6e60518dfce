// How a variable of the environment is described: its schema, and what people are told about it in both languages.
// config.ts reads the values; scripts/generate-docs.ts makes the tables from the descriptions.
import { z } from 'zod'
import {
  type CleanValue,
  cleanName,
  cleanValue,
  isInjected,
  unreplacedIn,
} from './lib/environment/clean-value.ts'
import { isThisMachine } from './lib/environment/this-machine.ts'
import { yesOrNo } from './lib/environment/url-text.ts'
import type { WebhookScheme } from './lib/webhooks/webhook-scheme.ts'

export interface Variable<T = unknown> {
  /** Of the text in the environment; it says what is wrong without repeating the value. */
  readonly schema: z.ZodType<T, string | undefined>
  readonly en: string
  readonly ru: string
  /** What the tables show as the default, where the schema's own does not say it. */
  readonly default?: string | { readonly en: string; readonly ru: string }
  /** What env.example shows behind the `=`, where that is not the default. */
  readonly example?: string
  readonly isSecret?: true
  /** Its value may have spaces and # in it. */
  readonly isFree?: true
  /** Other programs have the name, too: a value that is theirs is a warning, and the default counts. */
  readonly isGeneric?: true
  /** Not passed on by `npm run up`: it names something of this machine, or the image decides it. */
  readonly isLocal?: true
}

export type Variables = Readonly<Record<string, Variable>>

/** What the schemas make of the environment. */
export type ValuesOf<V extends Variables> = {
  readonly [Name in keyof V]: V[Name] extends Variable<infer T> ? T : never
}

export type Environment = Readonly<Record<string, string | undefined>>

/** Whose variables are read: a feature, as far as the environment is concerned. */
export interface Configured {
  readonly name: string
  /** Features without which it does not work; they come before it in the list. */
  readonly needs?: readonly string[]
  readonly variables?: Variables
  /** How senders of webhooks prove who they are, beside the schemes that the others bring. */
  readonly schemes?: readonly WebhookScheme[]
  /** What is wrong with the values together, one sentence each. */
  check?(values: never, others: Others): readonly string[]
}

/** All that run, for checks that look beyond their own feature. */
export interface Others {
  readonly features: readonly Configured[]
  /** The value of a variable of any of them; undefined where it is not set. */
  variable(name: string): unknown
}

/** The environment by the names that were meant: `export PORT`, and a byte order mark before the first one. */
export function withCleanNames(env: Environment): Environment {
  const clean = Object.entries(env).flatMap(([name, value]) => {
    const meant = cleanName(name)
    return meant === name || env[meant] ? [] : [[meant, value] as const]
  })
  return clean.length === 0 ? env : { ...env, ...Object.fromEntries(clean) }
}

/** What a variable is set to, without what stands around it. */
export function cleanOf(name: string, env: Environment, variable: Pick<Variable, 'isFree'> = {}): CleanValue {
  return cleanValue(env[name] ?? '', name, { isFree: variable.isFree === true })
}

export interface ReadOptions {
  /** Names whose values nothing uses: they are not judged. */
  readonly unused?: readonly string[]
  /** Names whose values have been read before: nothing stands around them any more. */
  readonly plain?: readonly string[]
}

export interface ReadVariables<V extends Variables> {
  readonly values: ValuesOf<V>
  readonly problems: readonly string[]
  readonly warnings: readonly string[]
  /** What was around the values: "PORT (quotes)". */
  readonly surrounded: readonly string[]
  /** Names that have a value of ours. */
  readonly set: readonly string[]
}

/** The values, or a sentence for each that is malformed. A variable set to nothing counts as unset. */
export function readVariables<V extends Variables>(
  variables: V,
  env: Environment,
  { unused = [], plain = [] }: ReadOptions = {},
): ReadVariables<V> {
  const found = {
    problems: [] as string[],
    warnings: [] as string[],
    surrounded: [] as string[],
    set: [] as string[],
  }
  const values = Object.entries<Variable>(variables).map(([name, variable]) => {
    const { schema, isGeneric } = variable
    const clean = plain.includes(name) ? plainOf(env[name]) : cleanOf(name, env, variable)
    const none = schema.safeParse(undefined)
    const unset = [name, none.data] as const
    if (clean.text === '' || unused.includes(name)) {
      // A variable may be demanded.
      if (!none.success)
        found.problems.push(...none.error.issues.map(({ message }) => `${name} ${demanded(message)}`))
      return unset
    }
    if (clean.without.length > 0) found.surrounded.push(`${name} (${clean.without.join(', ')})`)
    found.set.push(name)
    const unreplaced = unreplacedIn(clean)
    if (unreplaced !== undefined) {
      found.problems.push(
        `${name} has ${reference(unreplaced)} in it, which nothing has replaced: write the value itself, ` +
          'or put it in single quotes where it is meant',
      )
      return unset
    }
    const parsed = schema.safeParse(clean.text)
    if (parsed.success) return [name, parsed.data] as const
    if (isInjected(clean.text)) {
      found.warnings.push(
        `${name} is ignored: such a value is what Kubernetes or a link of Docker sets for a service`,
      )
      found.set.pop()
      return unset
    }
    const sentences = parsed.error.issues.map(({ message }) => `${name} ${message}`)
    if (!isGeneric) found.problems.push(...sentences)
    else
      found.warnings.push(
        `${sentences[0]}: the value is taken for another program’s, and the default is used`,
      )
    return unset
  })
  return { values: Object.freeze(Object.fromEntries(values)) as ValuesOf<V>, ...found }
}

/** Zod's own words are of types: "expected string, received undefined". */
const demanded = (message: string) => (/^Invalid (input|option)/.test(message) ? 'must be set' : message)

const plainOf = (text = ''): CleanValue => ({ text, without: [], isLiteral: true })

/** The name in it is no secret; a longer expression might hold one. */
const reference = (text: string) => (/^[${(\s]+[\w.]{1,60}[)}\s]*$/.test(text) ? text : 'a reference')

/** Of the unit that the name or its description has. */
export type Unit = 's' | 'ms' | 'h' | 'MB'

const UNITS: Readonly<Record<Unit, { readonly name: string; readonly words: string }>> = {
  s: { name: 'seconds', words: 's|secs?|seconds?' },
  ms: { name: 'milliseconds', words: 'ms|msecs?|millis|milliseconds?' },
  h: { name: 'hours', words: 'h|hrs?|hours?' },
  MB: { name: 'MB', words: 'mb?|mib|megabytes?' },
}

/** Without the unit it is in anyway, and without the underscores or spaces between digits that people read by. */
function bareNumber(text: string, unit: Unit | undefined): string {
  const bare = unit ? text.replace(new RegExp(`(?<=\\d)\\s*(${UNITS[unit].words})$`, 'i'), '') : text
  return /^\d{1,3}([_\u00a0\u202f]\d{3})+(\.\d+)?$/.test(bare) || /^\d+(_\d+)+(\.\d+)?$/.test(bare)
    ? bare.replaceAll(/[_\u00a0\u202f]/g, '')
    : bare
}

const inUnit = (unit: Unit | undefined) => (unit ? ` of ${UNITS[unit].name}, without another unit` : '')

export const integer = (min: number, max: number, unit?: Unit) =>
  z
    .string()
    .transform((text) => bareNumber(text, unit))
    .pipe(
      z
        .string()
        .regex(/^\d{1,15}$/, `must be a whole number from ${min} to ${max}${inUnit(unit)}`)
        .transform(Number)
        .refine((value) => value >= min && value <= max, `must be from ${min} to ${max}`),
    )

export const positiveIn = (unit?: Unit) =>
  z
    .string()
    .transform((text) => bareNumber(text, unit))
    .pipe(
      z
        .string()
        .regex(/^\d{1,9}(\.\d{1,6})?$/, `must be a positive number${inUnit(unit)}`)
        .transform(Number)
        .refine((value) => value > 0, 'must be more than 0'),
    )
export const positive = positiveIn()

/** In the words of any program, in any case. */
export const flag = z
  .string()
  .refine((text) => yesOrNo(text) !== undefined, 'must be true or false')
  .transform((text) => yesOrNo(text) === true)

/** One of the words, in any case, or of those that other programs have for them. */
export const wordOf = <const W extends string>(
  words: readonly W[],
  others: Readonly<Record<string, W>> = {},
) =>
  z
    .string()
    .transform((text) => others[text.toLowerCase()] ?? text.toLowerCase())
    .pipe(z.enum(words, { error: `must be ${words.slice(0, -1).join(', ')} or ${words.at(-1)}` }))

export const names = z.string().transform((value) =>
  value
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== ''),
)

/** Over http anybody on the way could change what is said: that is for a server on this machine, as tests have. */
export const serverUrl = z
  .string()
  .refine((value) => URL.canParse(value), 'must be a URL that begins with https://')
  .transform((value) => new URL(value))
  .refine(
    ({ protocol, hostname }) => protocol === 'https:' || (protocol === 'http:' && isThisMachine(hostname)),
    'must be https://, or http:// on this machine',
  )

/** What a parser makes of the text; it answers a sentence, or several, where it cannot. */
export const parsedBy = <T extends object>(parse: (text: string) => T | string | readonly string[]) =>
  z.string().transform((value, context): T => {
    const parsed = parse(value)
    const isRefused = typeof parsed === 'string' || isSentences(parsed)
    if (!isRefused) return parsed as T
    for (const message of [parsed].flat())
      context.issues.push({ code: 'custom', message: String(message), input: value })
    return z.NEVER
  })

const isSentences = (parsed: unknown) =>
  Array.isArray(parsed) && parsed.length > 0 && parsed.every((one) => typeof one === 'string')
