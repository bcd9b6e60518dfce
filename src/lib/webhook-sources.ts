// Who may send webhooks, as WEBHOOK_SECRETS says it: source[:scheme]=secret[|secret], comma-separated.

export type WebhookScheme = 'standard' | 'github' | 'telegram'

export interface WebhookSource {
  readonly scheme: WebhookScheme
  /** Each of them is good: the old one and the new one while they are being changed. */
  readonly secrets: readonly string[]
}

const MOST_SECRETS = 5
const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

const SECRETS: Record<WebhookScheme, { rule: string; isGood(secret: string): boolean }> = {
  standard: {
    rule: 'needs secrets of 24 to 64 bytes in base64, with or without whsec_',
    isGood(secret) {
      const key = standardKey(secret)
      return key.length >= 24 && key.length <= 64 && BASE64.test(secret.replace(/^whsec_/, ''))
    },
  },
  github: {
    rule: 'needs secrets of at least 8 characters',
    isGood: (secret) => secret.length >= 8,
  },
  telegram: {
    rule: 'needs secrets of 8 to 256 letters, digits, _ and -',
    isGood: (secret) => /^[\w-]{8,256}$/.test(secret),
  },
}

/** The bytes of a Standard Webhooks secret. */
export function standardKey(secret: string): Buffer {
  return Buffer.from(secret.replace(/^whsec_/, ''), 'base64')
}

/** The sources by name; or a sentence for each problem, which names entries by number and repeats nothing of them. */
export function parseWebhookSources(text: string): ReadonlyMap<string, WebhookSource> | string[] {
  const sources = new Map<string, WebhookSource>()
  const problems = text.split(',').flatMap((entry, i): string[] => {
    const problem = addSource(sources, entry.trim())
    return problem === undefined ? [] : [`entry ${i + 1} ${problem}`]
  })
  return problems.length > 0 ? problems : sources
}

function addSource(sources: Map<string, WebhookSource>, entry: string): string | undefined {
  const equals = entry.indexOf('=') // the first: base64 ends with others
  if (equals < 0) return 'must be source=secret or source:scheme=secret'
  const [name = '', scheme = 'standard', ...rest] = entry.slice(0, equals).split(':')
  if (!NAME.test(name)) return 'must begin with a name of letters, digits, _ and -'
  if (rest.length > 0 || !isScheme(scheme)) return 'has a scheme that is not standard, github or telegram'
  if (sources.has(name)) return 'has the name of another one'
  const secrets = entry.slice(equals + 1).split('|')
  if (secrets.length > MOST_SECRETS) return `has more than ${MOST_SECRETS} secrets`
  if (!secrets.every(SECRETS[scheme].isGood)) return SECRETS[scheme].rule
  sources.set(name, { scheme, secrets })
  return undefined
}

const isScheme = (text: string): text is WebhookScheme => Object.hasOwn(SECRETS, text)
