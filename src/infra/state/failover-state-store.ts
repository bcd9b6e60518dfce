// The state role: Redis while it answers, the standby while it does not. What Redis answers is copied to the standby;
// what only the standby knows, or what nobody knows that Redis got, is in the journal before the caller has its answer.
import type { Failover } from '../store/failover.ts'
import type { Journal } from './journal.ts'
import type { RedisStateStore } from './redis-state-store.ts'
import type { Standby } from './standby.ts'
import type { StateStore } from './state-store.ts'
import type { Kept } from './state-value.ts'

export interface FailoverStateStoreOptions {
  redis: RedisStateStore
  standby: Standby
  journal: Journal
  failover: Failover
  /** Told of each key that was written to Redis. */
  written: (key: string) => void
}

export function createFailoverStateStore(options: FailoverStateStoreOptions): StateStore {
  const { redis, standby, journal, failover, written } = options

  /** In memory, and in the journal when it changed anything. */
  async function inMemory<T>(key: string, call: (store: StateStore) => Promise<T>): Promise<T> {
    const before = standby.kept(key)
    const answer = await call(standby)
    const after = standby.kept(key)
    if (after && (after.value !== before?.value || after.expiresAtMs !== before.expiresAtMs))
      journal.put(key, after)
    return answer
  }

  /** In Redis, then `copied` to the standby; or in memory. */
  function mutate<T>(
    key: string,
    call: (store: StateStore) => Promise<T>,
    copied: (answer: T) => Kept | undefined,
  ) {
    return failover.attempt(
      async () => {
        const answer = await call(redis)
        const version = copied(answer)
        if (version) standby.absorb(key, version)
        written(key)
        return answer
      },
      () => inMemory(key, call),
    )
  }

  async function readThrough<T extends Kept>(
    key: string,
    call: (store: StateStore) => Promise<T | undefined>,
  ) {
    const before = standby.kept(key)?.value
    const found = await call(redis)
    if (found) standby.absorb(key, found)
    // Gone from Redis, unless it was written here while we asked, or waits to be merged.
    else if (standby.kept(key)?.value === before && !journal.has(key)) standby.forget(key)
    return found
  }

  return {
    record: (key) =>
      failover.attempt(
        () => readThrough(key, (store) => store.record(key)),
        () => standby.record(key),
      ),
    mark: (key) =>
      failover.attempt(
        () => readThrough(key, (store) => store.mark(key)),
        () => standby.mark(key),
      ),
    putRecord: (key, version) =>
      mutate(
        key,
        (store) => store.putRecord(key, version),
        (won) => (won ? version : undefined),
      ),
    updateRecord: (key, version, expected) =>
      mutate(
        key,
        (store) => store.updateRecord(key, version, expected),
        (won) => (won ? version : undefined),
      ),
    claim: (key, claim) =>
      mutate(
        key,
        (store) => store.claim(key, claim),
        (winner) => winner,
      ),
    putMark: (key, mark) =>
      mutate(
        key,
        (store) => store.putMark(key, mark),
        (winner) => winner,
      ),
    hit: (key, hit) =>
      mutate(
        key,
        (store) => store.hit(key, hit),
        ({ allowed }) =>
          allowed
            ? {
                value: { kind: 'log', hits: [{ id: hit.id, atMs: hit.nowMs }] },
                expiresAtMs: hit.nowMs + hit.windowMs,
              }
            : undefined,
      ),
    // Numbers have a merge of their own (clear-numbers.ts): they are raised anew.
    raise: (key, fields, floor) =>
      failover.attempt(
        () => redis.raise(key, fields, floor),
        () => standby.raise(key, fields, floor),
      ),
    generations: (key) =>
      failover.attempt(
        () => redis.generations(key),
        () => standby.generations(key),
      ),
  }
}
