// How a variable of the environment is described: its schema, and what people are told about it in both languages.
// config.ts reads the values; scripts/generate-docs.ts makes the tables from the descriptions.
import { z } from 'zod'
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

/** The values, or a sentence for each that is malformed. A variable set to nothing counts as unset. */
export function readVariables<V extends Variables>(
  variables: V,
  env: Environment,
): { values: ValuesOf<V>; problems: readonly string[] } {
  const problems: string[] = []
  const values = Object.entries(variables).map(([name, { schema }]) => {
    const parsed = schema.safeParse(env[name] || undefined)
    if (!parsed.success) problems.push(...parsed.error.issues.map((issue) => `${name} ${wording(issue)}`))
    return [name, parsed.data]
  })
  return { values: Object.freeze(Object.fromEntries(values)), problems }
}

// A union reports each branch; people want the one sentence about the branch they meant.
function wording(issue: z.core.$ZodIssue): string {
  if (issue.code !== 'invalid_union') return issue.message
  const messages = issue.errors.flat().map((nested) => nested.message)
  return `must be off, or ${messages.find((message) => message.startsWith('must look')) ?? messages.at(-1)}`
}

export const integer = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d{1,15}$/, `must be a whole number from ${min} to ${max}`)
    .transform(Number)
    .refine((value) => value >= min && value <= max, `must be from ${min} to ${max}`)

export const positive = z
  .string()
  .regex(/^\d{1,9}(\.\d{1,6})?$/, 'must be a positive number')
  .transform(Number)
  .refine((value) => value > 0, 'must be more than 0')

export const flag = z
  .enum(['true', 'false', '1', '0'], { error: 'must be true or false' })
  .transform((value) => value === 'true' || value === '1')

export const names = z.string().transform((value) => value.split(',').map((name) => name.trim()))

/** Over http anybody on the way could change what is said: that is for a server on this machine, as tests have. */
export const serverUrl = z
  .string()
  .refine((value) => URL.canParse(value), 'must be a URL')
  .transform((value) => new URL(value))
  .refine(
    ({ protocol, hostname }) =>
      protocol === 'https:' ||
      (protocol === 'http:' && ['127.0.0.1', '[::1]', 'localhost'].includes(hostname)),
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
