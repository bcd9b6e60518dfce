// The state role: Redis while it answers, the standby while it does not.
import type { Failover, Merge } from './failover.ts'
import type { Store } from './store.ts'

export interface FailoverStoreOptions {
  redis: Store
  standby: Store
  failover: Failover
}

export interface FailoverStore extends Store {
  /** The numbers that were raised while Redis was away, or that nobody knows it got. */
  readonly merge: Merge
  pendingCount(): number
}

export function createFailoverStore({ redis, standby, failover }: FailoverStoreOptions): FailoverStore {
  const away = new Map<string, { fields: Set<string>; floor: number }>()
  const either = <T>(call: (store: Store) => Promise<T>) =>
    failover.attempt(
      () => call(redis),
      () => call(standby),
    )

  function remember(key: string, fields: Iterable<string>, floor: number): void {
    const before = away.get(key)
    away.set(key, {
      fields: new Set([...(before?.fields ?? []), ...fields]),
      floor: Math.max(floor, before?.floor ?? 0),
    })
  }

  return {
    get: (key) => either((store) => store.get(key)),
    set: (key, value, ttlMs, fence) => either((store) => store.set(key, value, ttlMs, fence)),
    delete: (keys) => either((store) => store.delete(keys)),
    lease: (lease, ttlMs) => either((store) => store.lease(lease, ttlMs)),
    release: (lease, end, rememberMs) => either((store) => store.release(lease, end, rememberMs)),
    generations: (key) => either((store) => store.generations(key)),
    hit: (key, hit) => either((store) => store.hit(key, hit)),
    sweep: (prefix, isDead) => either((store) => store.sweep(prefix, isDead)),

    raise: (key, fields, floor) =>
      failover.attempt(
        () => redis.raise(key, fields, floor),
        async () => {
          const number = await standby.raise(key, fields, floor)
          remember(key, fields, number)
          return number
        },
      ),

    pendingCount: () => [...away.values()].reduce((total, { fields }) => total + fields.size, 0),

    // Raised anew, so with a number above all that Redis gave meanwhile: twice clears more, never less.
    merge: {
      isPending: () => away.size > 0,
      async run() {
        for (const [key, { fields, floor }] of [...away]) {
          away.delete(key)
          try {
            await redis.raise(key, [...fields], floor)
          } catch (error) {
            remember(key, fields, floor)
            throw error
          }
        }
      },
    },
  }
}
