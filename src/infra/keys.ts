// Every key name. The kind of a key decides how it is merged after an outage.

/** What a key holds; one merge rule belongs to each kind (docs/architecture.md). */
export type Kind = 'cache entry' | 'load lock' | 'generations' | 'limiter log'

export const keys = {
  /** Cache role. Cached values carry the names their features give them, as operators look them up. */
  entry: (name: string) => name,
  /** Cache role: who is loading the entry of that name right now. */
  loadLock: (entry: string) => `lock:${entry}`,
  /** State role: the numbers of the cache's clears, one field each for all, a prefix and a tag. */
  generations: 'generations',
  /** State role: when the last requests under a policy were made, and by whom. */
  limit: (policy: string, who: string) => `limit:${policy}:${who}`,
} as const

/** What a clear clears. */
export type ClearScope = 'all' | { readonly prefix: string } | { readonly tag: string }

/** The field of `keys.generations` that holds the last clear of that scope. */
export function generationField(scope: ClearScope): string {
  if (scope === 'all') return 'all'
  return 'tag' in scope ? `tag:${scope.tag}` : `prefix:${scope.prefix}`
}

/** The names of the kinds, by the role that holds them. */
export const kinds = {
  cache: ['cache entry', 'load lock'],
  state: ['generations', 'limiter log'],
} satisfies Record<'cache' | 'state', Kind[]>
