// Who may send webhooks, as WEBHOOK_SECRETS says it: source[:scheme]=secret[|secret], comma-separated; and what
// WEBHOOK_ADDRESSES and WEBHOOK_API_URLS say of them: source=value[|value].
import type { WebhookScheme } from './webhook-scheme.ts'

/** As it is written. */
export interface WebhookSource {
  /** Where none is named: the scheme that has the source's name, or `standard`. */
  readonly scheme?: string
  /** Each of them is good: the old one and the new one while they are being changed. None: the scheme's variable. */
  readonly secrets: readonly string[]
}

const MOST_SECRETS = 5
const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/
/** Between entries: not the comma of a secret that Supabase writes as v1,whsec_… */
const COMMA = /,(?!(?<=[=|]v1a?,)wh(?:sec|pk|sk)_)/

/** Nothing but entries, divided by spaces, line breaks or semicolons. A secret may hold those: GitHub's is any text. */
const ANOTHER = /^[^\s;]{8,}([\s;]+[A-Za-z0-9][\w-]{0,63}(:[a-z0-9-]+)?=[^\s;]{8,})+[\s;]*$/

/** The sources by name; or a sentence for each problem, which names entries by number and repeats nothing of them. */
export function parseWebhookSources(text: string): ReadonlyMap<string, WebhookSource> | string[] {
  const sources = new Map<string, WebhookSource>()
  const problems = text.split(COMMA).flatMap((entry, i): string[] => {
    const problem = addSource(sources, entry.trim())
    return problem === undefined ? [] : [`entry ${i + 1} ${problem}`]
  })
  return problems.length > 0 ? problems : sources
}

function addSource(sources: Map<string, WebhookSource>, entry: string): string | undefined {
  const equals = entry.indexOf('=') // the first: base64 ends with others
  const [name = '', scheme, ...rest] = (equals < 0 ? entry : entry.slice(0, equals)).split(':')
  if (equals < 0 && (scheme === undefined || rest.length > 0))
    return 'must be source=secret or source:scheme=secret'
  if (!NAME.test(name)) return 'must begin with a name of letters, digits, _ and -'
  if (rest.length > 0) return 'has a scheme of two words: it must be source:scheme=secret'
  if (sources.has(name)) return 'has the name of another one'
  if (ANOTHER.test(entry.slice(equals + 1))) return 'holds another entry: divide entries by commas'
  const secrets = equals < 0 ? [] : entry.slice(equals + 1).split('|')
  if (secrets.length > MOST_SECRETS) return `has more than ${MOST_SECRETS} secrets`
  sources.set(name, { ...(scheme !== undefined && { scheme }), secrets })
  return undefined
}

/** The scheme of a source; undefined: there is none of that name. */
export function schemeOf(
  name: string,
  { scheme }: WebhookSource,
  schemes: readonly WebhookScheme[],
): WebhookScheme | undefined {
  const named = (wanted: string) => schemes.find((one) => one.name === wanted)
  return scheme === undefined ? (named(name) ?? named('standard')) : named(scheme)
}

export interface SchemeProblemsOptions {
  schemes: readonly WebhookScheme[]
  /** Whether that variable is set. */
  isSet: (variable: string) => boolean
}

/** A sentence for each source whose scheme or secrets are wrong; it repeats nothing of the secrets. */
export function schemeProblems(
  sources: ReadonlyMap<string, WebhookSource>,
  { schemes, isSet }: SchemeProblemsOptions,
): string[] {
  const known = schemes.map(({ name }) => name).join(', ')
  return [...sources].flatMap(([name, source], i) => {
    const scheme = schemeOf(name, source, schemes)
    const problem = scheme ? secretProblem(source, scheme, isSet) : `has a scheme that is none of: ${known}`
    return problem === undefined ? [] : [`entry ${i + 1} ${problem}`]
  })
}

function secretProblem(
  { secrets }: WebhookSource,
  { checkSecret, secretVariable }: WebhookScheme,
  isSet: SchemeProblemsOptions['isSet'],
): string | undefined {
  if (secrets.length === 0) {
    if (secretVariable === undefined) return 'must be source=secret or source:scheme=secret'
    return isSet(secretVariable) ? undefined : `names no secret, and ${secretVariable} is not set`
  }
  if (secrets.includes('')) return checkSecret?.('') ?? 'has an empty secret'
  return secrets.map((secret) => checkSecret?.(secret)).find((problem) => problem !== undefined)
}

/** `source=value[|value]`, comma-separated; or a sentence for each problem. */
export function parseOfSources(text: string): ReadonlyMap<string, readonly string[]> | string[] {
  const found = new Map<string, readonly string[]>()
  const problems = text.split(',').flatMap((entry, i): string[] => {
    const [, name, values] = /^([^=]+)=(.+)$/.exec(entry.trim()) ?? []
    if (name === undefined || values === undefined || !NAME.test(name))
      return [`entry ${i + 1} must be source=value`]
    if (found.has(name)) return [`entry ${i + 1} has the name of another one`]
    found.set(
      name,
      values.split('|').map((value) => value.trim()),
    )
    return []
  })
  return problems.length > 0 ? problems : found
}

/** The bytes of a Standard Webhooks secret, as Svix (`whsec_…`) and Supabase (`v1,whsec_…`) show it. */
export function standardKey(secret: string): Buffer {
  return Buffer.from(standardBase64(secret), 'base64')
}

export const standardBase64 = (secret: string) => secret.replace(/^(?:v1,)?(?:whsec_)?/, '')
