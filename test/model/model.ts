// What a correct store may answer: each method is told what is asked and returns the answers that are allowed. Most
// questions have one; a limiter's hit has two when nobody can know whether Redis counted an earlier one.
import type { ClearScope } from '../../src/core/keys.ts'
import type { Hit } from '../../src/core/state/kinds/sliding-window-log.ts'

export function createModel(tagsOf: (key: string) => readonly string[]) {
  const records = new Map<string, string | null>() // null: destroyed
  const claims = new Map<string, string>()
  const marks = new Map<string, number>()
  const hits = new Map<string, { atMs: number; isCertain: boolean }[]>()
  const loaded = new Map<string, number[]>()
  const cleared = new Map<string, number>() // cache key → the last load that must not be seen any more
  let loads = 0

  function put(key: string, value: string, isAllowed: boolean): boolean[] {
    if (isAllowed) records.set(key, value)
    return [isAllowed]
  }

  function clearKeys(askedAt: number, isCleared: (key: string) => boolean): void {
    for (const key of loaded.keys()) if (isCleared(key)) cleared.set(key, askedAt)
  }

  return {
    read: (key: string) => [records.get(key) ?? undefined],
    write: (key: string, value: string) => put(key, value, records.get(key) !== null),
    update: (key: string, value: string, seen: string | undefined) =>
      put(key, value, records.get(key) === seen),
    destroy(key: string) {
      records.set(key, null)
      return [undefined]
    },
    claim(key: string, who: string) {
      if (!claims.has(key)) claims.set(key, who)
      return [claims.get(key)]
    },
    mark(key: string, number: number) {
      marks.set(key, Math.max(number, marks.get(key) ?? number))
      return [marks.get(key)]
    },
    marked: (key: string) => [marks.get(key)],
    hit(key: string, { nowMs, limit, windowMs }: Hit) {
      const log = hits.get(key) ?? []
      const counted = log.filter(({ atMs }) => atMs > nowMs - windowMs)
      // A hit that shares no window with this one need not count: it is ahead, and the clock was set back.
      const certain = counted.filter(({ atMs, isCertain }) => isCertain && atMs < nowMs + windowMs)
      return [...(certain.length < limit ? [true] : []), ...(counted.length >= limit ? [false] : [])]
    },
    /** The hit was allowed; or refused, but Redis was asked first and may have counted it. */
    counted(key: string, atMs: number, isCertain: boolean) {
      hits.set(key, [...(hits.get(key) ?? []), { atMs, isCertain }])
    },
    /** Hits that the store may have forgotten: those that have left the window, and all that were not on disk. */
    doubt(isDoubtful: (atMs: number) => boolean) {
      for (const [key, log] of hits) {
        const doubted = log.map((hit) => ({ ...hit, isCertain: hit.isCertain && !isDoubtful(hit.atMs) }))
        hits.set(key, doubted)
      }
    },
    load(key: string) {
      loads += 1
      loaded.set(key, [...(loaded.get(key) ?? []), loads])
      return loads
    },
    get: (key: string) => (loaded.get(key) ?? []).filter((load) => load > (cleared.get(key) ?? 0)),
    /** How many loads have begun: those that begin after a clear was asked for may outlive it. */
    loads: () => loads,
    invalidate(key: string, askedAt: number) {
      clearKeys(askedAt, (name) => name === key)
      return [undefined]
    },
    clear(scope: ClearScope, askedAt: number) {
      clearKeys(askedAt, (key) => {
        if (scope === 'all') return true
        return 'tag' in scope ? tagsOf(key).includes(scope.tag) : key.startsWith(scope.prefix)
      })
      return [undefined]
    },
  }
}

export type Model = ReturnType<typeof createModel>
