// Where to go after a login: a path of this site and nothing else, or a link to us could end at another site's page.

/** Where to go when nothing else is said. */
export const AFTER_LOGIN = '/account'

const HERE = 'http://here.invalid'

/** The path (with its query) as browsers would read it, or undefined when it leads anywhere else. */
export function localPath(given: string): string | undefined {
  if (!given.startsWith('/') || given.length > 500 || !URL.canParse(given, HERE)) return undefined
  const { origin, pathname, search } = new URL(given, HERE)
  // '//host', '/\host' and '/<tab>/host' all name another origin; '/.//host' becomes '//host' only once it is parsed.
  return origin === HERE && !pathname.startsWith('//') ? pathname + search : undefined
}
