// What a request asks for, in the one form that routers understand.

/** Path and query; undefined for what is no target. Also of a whole URL, which servers must take: RFC 9112, 3.2.2. */
export function pathOf(target: string): string | undefined {
  if (target.startsWith('/') || target === '*') return target
  if (!URL.canParse(target)) return undefined
  const { pathname, search } = new URL(target)
  return pathname.startsWith('/') ? pathname + search : undefined
}
