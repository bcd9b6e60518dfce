// The parts of a URL as people write them, before anything is decoded. URL of the standard would take a # or / of a
// password for the beginning of what follows the host, and the host for what stood before it.

export interface UrlText {
  readonly scheme: string
  readonly user: string | undefined
  readonly password: string | undefined
  /** As written: a host, a port, or several of them. */
  readonly authority: string
  /** With its slash. */
  readonly path: string
  /** Names in lower case; of a name that comes twice, both values. */
  readonly parameters: readonly (readonly [string, string])[]
}

/**
 * The parts, a sentence about what is unescaped or malformed, or undefined for what is no URL at all. `knows` says
 * which parameters there are, so that an @ in their values is not taken for the end of a password.
 */
export function splitUrl(text: string, knows: (parameter: string) => boolean): UrlText | string | undefined {
  const [, scheme = '', rest = ''] = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/is.exec(text) ?? []
  if (scheme === '') return undefined
  const unescaped = unescapedIn(rest, knows)
  if (unescaped) return unescaped
  if (rest.includes('#')) return 'has a #: write it as %23 where it belongs to a value, else leave it out'
  const [beforeQuery = '', query = ''] = divide(rest, '?')
  const slash = beforeQuery.indexOf('/')
  const place = slash < 0 ? beforeQuery : beforeQuery.slice(0, slash)
  const at = place.lastIndexOf('@')
  const [user, password] = at < 0 ? [] : divide(place.slice(0, at), ':')
  if (password !== undefined && /^(\[.+\]|<.+>)$/.test(password))
    return 'has a placeholder where its password belongs: write the password itself'
  const parts = {
    scheme: scheme.toLowerCase(),
    authority: place.slice(at + 1),
    path: slash < 0 ? '' : beforeQuery.slice(slash),
  }
  try {
    return {
      ...parts,
      user: user ? decodeURIComponent(user) : undefined,
      password: password ? decodeURIComponent(password) : undefined,
      parameters: [...new URLSearchParams(query.replaceAll('+', '%2B'))].map(([name, value]) => [
        name.toLowerCase(),
        value,
      ]),
    }
  } catch (error) {
    if (error instanceof URIError) return 'has a user or password with a stray %: write it as %25'
    throw error
  }
}

/** Whether the last @, which ends the password, comes after a sign that would end the host: it is the password's. */
function unescapedIn(rest: string, knows: (parameter: string) => boolean): string | undefined {
  const at = rest.lastIndexOf('@')
  const sign = rest.search(/[/?#]/)
  if (sign < 0 || at < sign) return undefined
  if (isQueryOnly(rest, knows)) return undefined
  const signs = [...new Set(rest.slice(0, at).match(/[/?#]/g))]
  const escaped = signs.map((one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`)
  const it = signs.length > 1 ? 'them' : 'it'
  return `has ${signs.join(' and ')} in its user or password: write ${it} as ${escaped.join(' and ')}`
}

/** host/path?known=value: the @ is in a value. */
function isQueryOnly(rest: string, knows: (parameter: string) => boolean): boolean {
  const [before = '', query] = divide(rest, '?')
  if (query === undefined || query.includes('#') || before.replace(/^[^/]*@/, '').includes('@')) return false
  const [, port] = /^(?:[^/]*@)?[^/@]*?(?::([^/@:]*))?(?:\/[^/]*)?$/.exec(before) ?? []
  if (port !== undefined && !/^\d*$/.test(port)) return false
  return [...new URLSearchParams(query).keys()].every((name) => knows(name.toLowerCase()))
}

function divide(text: string, sign: string): [string, string | undefined] {
  const at = text.indexOf(sign)
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)]
}

export interface Place {
  readonly host: string
  readonly port: number | undefined
}

/** One host with or without a port, or a sentence. Undefined where there is none. */
export function placeOf(authority: string): Place | string | undefined {
  if (authority.includes(',')) return 'names several hosts, and one is used: name one'
  const [, bracketed, name, port] = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(.*))?$/s.exec(authority) ?? []
  const host = bracketed ?? name
  if (!host) return undefined
  const isHost = bracketed === undefined ? /^[\p{L}\p{N}._-]+$/u.test(host) : /^[0-9a-f:.]+$/i.test(host)
  if (!isHost) return undefined
  if (port && !isPort(port)) return 'has a port that is not a number from 1 to 65535'
  return { host, port: port ? Number(port) : undefined }
}

export const isPort = (text: string) => /^\d{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= 65_535

/** Which of the two words for a yes or no; undefined for any other. */
export function yesOrNo(text: string): boolean | undefined {
  if (/^(true|1|yes|on|t|y|enabled?)$/i.test(text)) return true
  return /^(false|0|no|off|f|n|disabled?)$/i.test(text) ? false : undefined
}
