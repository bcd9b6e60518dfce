// What a value of the environment means without what stands around it. `docker --env-file`, panels and editors keep
// quotes, comments and line breaks that Compose and dotenv take away; people paste all of them.

export interface CleanValue {
  readonly text: string
  /** What was taken away, in words: "quotes", "a comment". */
  readonly without: readonly string[]
  /** In single quotes nothing is replaced, so that anything can be said. */
  readonly isLiteral: boolean
}

/** White space in JavaScript's sense (no-break spaces and byte order marks too), and what has no width. */
const BLANK_START = /^[\s\u200b-\u200d\u2060\0]+/
const BLANK_END = /[\s\u200b-\u200d\u2060\0]+$/
const QUOTES: ReadonlyMap<string, string> = new Map([
  ['"', '"'],
  ["'", "'"],
  ['`', '`'],
  ['“', '”'],
  ['„', '“'],
  ['‘', '’'],
  ['«', '»'],
])
/** How other programs write that there is no value: Laravel, and templates that had none. */
const NOTHING = /^(null|\(null\)|\(empty\)|undefined|nil)$/

/**
 * The value of the variable, or '' where there is none. A comment begins with white space and `#`; where a value may
 * have spaces itself (`isFree`), white space must follow, too. Quotes around the whole keep everything inside, spaces
 * at its ends only where it `isFree`.
 */
export function cleanValue(raw: string, name: string, { isFree = false } = {}): CleanValue {
  const without = new Set<string>()
  let isLiteral = false
  let text = trim(raw, without)
  const withName = new RegExp(`^(?:export\\s+)?${name}\\s*=\\s*`).exec(text)
  if (withName) {
    without.add('its own name')
    text = text.slice(withName[0].length)
  }
  // Quotes in quotes: of a file whose values were quoted, inside a list of Compose that is quoted as well.
  for (let layer = 0; layer < 2; layer += 1) {
    const quoted = unquote(text)
    if (!quoted) break
    without.add('quotes')
    if (quoted.hasComment) without.add('a comment')
    isLiteral = quoted.quote === "'"
    text = trimLines(quoted.inside, without, quoted.quote !== "'")
    if (!isFree) text = trim(text, without)
    if (isLiteral) break
  }
  if (!without.has('quotes')) text = uncomment(text, isFree, without)
  if (!isLiteral && NOTHING.test(text)) {
    without.add('the word for nothing')
    text = ''
  }
  return { text, without: [...without], isLiteral }
}

function trim(text: string, without: Set<string>): string {
  const trimmed = text.replace(BLANK_START, '').replace(BLANK_END, '')
  if (trimmed !== text) without.add(/[\r\n]/.test(text) ? 'line breaks' : 'white space')
  return trimmed
}

/** Spaces may be meant; line breaks, real or written as \n, are not: `echo` and copying leave them. */
function trimLines(text: string, without: Set<string>, isEscaped: boolean): string {
  const breaks = isEscaped ? /(?:[\r\n]|\\[rn])+$/ : /[\r\n]+$/
  const trimmed = text.replace(/^[\r\n\ufeff]+/, '').replace(breaks, '')
  if (trimmed !== text) without.add('line breaks')
  return trimmed
}

function unquote(text: string) {
  const quote = text[0] ?? ''
  const close = QUOTES.get(quote)
  if (!close) return undefined
  const isEscaping = quote === '"'
  let end = 1
  while (end < text.length && text[end] !== close) end += isEscaping && text[end] === '\\' ? 2 : 1
  const rest = text.slice(end + 1)
  if (end >= text.length || !/^\s*(#.*)?$/s.test(rest)) return undefined
  const inside = text.slice(1, end)
  return {
    quote,
    inside: isEscaping ? inside.replace(/\\(["\\])/g, '$1') : inside,
    hasComment: rest.trim() !== '',
  }
}

function uncomment(text: string, isFree: boolean, without: Set<string>): string {
  const comment = isFree ? /(^|\s+)#(\s.*)?$/s : /(^|\s+)#.*$/s
  const cut = text.replace(comment, '')
  if (cut !== text) without.add('a comment')
  return cut
}

const BRACED = /\$\{\{.*?\}\}|\$\{[A-Za-z_][^}]*\}|\$\([A-Z_][A-Z0-9_]*\)|\{\{.*?\}\}/
const BARE = /(?<![^:/@])\$[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+(?![^:/@?])/

/**
 * A reference that whoever should have replaced it has left in the text: `${NAME}`, `$(NAME)`, `{{ NAME }}`; `$A_NAME`
 * only where it is a whole part, because a password may have a $ in it.
 */
export function unreplacedIn({ text, isLiteral }: CleanValue): string | undefined {
  if (isLiteral) return undefined
  return (BRACED.exec(text) ?? BARE.exec(text))?.[0]
}

/** As Kubernetes and Docker's links say where a service is: no setting, whatever the name. */
export const isInjected = (text: string) => /^(tcp|udp|sctp):\/\/[^/\s]+$/i.test(text)

/** The name that was meant: files carry `export `, a byte order mark or spaces into it. */
export const cleanName = (name: string) =>
  name
    .replace(BLANK_START, '')
    .replace(/^export\s+/, '')
    .replace(BLANK_END, '')
