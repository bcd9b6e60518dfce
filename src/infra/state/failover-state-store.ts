// The state role: Redis while it answers, the standby while it does not. What Redis answers is copied to the standby;
// what only the standby knows, or what nobody knows that Redis got, is in the journal before the caller has its answer.
import type { Failover } from '../store/failover.ts'
import type { Emptied } from './emptied.ts'
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
  emptied: Emptied
  /** Told of each key that was written to Redis. */
  written: (key: string) => void
  /** Told that a number was raised which Redis does not have, or may not have: it is to be raised anew. */
  raisedAway: () => void
}

export function createFailoverStateStore(options: FailoverStateStoreOptions): StateStore {
  const { redis, standby, journal, failover, emptied, written, raisedAway } = options

  /** In memory, and in the journal when it changed anything: both before this returns, so that no merge falls between. */
  function inMemory<T>(key: string, call: (store: StateStore) => Promise<T>): Promise<T> {
    const before = standby.kept(key)
    const answer = call(standby)
    const after = standby.kept(key)
    if (after && (after.value !== before?.value || after.expiresAtMs !== before.expiresAtMs))
      journal.put(key, after)
    return answer
  }

  /** A key that waits to be merged is newer here than in Redis, also while Redis answers (slowly, say). */
  function ask<T>(
    key: string,
    call: (store: StateStore) => Promise<T>,
    onRedis: () => Promise<T>,
  ): Promise<T> {
    if (journal.has(key)) return inMemory(key, call)
    return failover.attempt(onRedis, () => inMemory(key, call))
  }

  /** In Redis, then `copy` to the standby; or in memory. */
  function mutate<T>(
    key: string,
    call: (store: StateStore) => Promise<T>,
    copy: (answer: T) => Promise<void> | void,
  ) {
    return ask(key, call, async () => {
      const answer = await call(redis)
      await copy(answer)
      written(key)
      return answer
    })
  }

  function find(key: string): Promise<Kept | undefined> {
    return ask(
      key,
      (store) => store.find(key),
      async () => {
        const [before, emptiedBefore] = [standby.kept(key)?.value, emptied.times()]
        const found = await redis.find(key)
        if (found) standby.absorb(key, found)
        else if (before && ((await emptied.look()) || emptied.times() > emptiedBefore))
          return inMemory(key, (store) => store.find(key))
        // Gone from Redis, unless it was written here while we asked.
        else if (standby.kept(key)?.value === before && !journal.has(key)) standby.forget(key)
        return found
      },
    )
  }

  /** After a version of ours was kept; or after it lost, when the one that is there is not known here yet. */
  async function copyRecord(key: string, version: Kept, won: boolean): Promise<void> {
    const current = won ? version : await redis.find(key)
    if (current) standby.absorb(key, current)
  }

  return {
    find,
    putRecord: (key, version) =>
      mutate(
        key,
        (store) => store.putRecord(key, version),
        (won) => copyRecord(key, version, won),
      ),
    updateRecord: (key, version, expected) =>
      mutate(
        key,
        (store) => store.updateRecord(key, version, expected),
        (won) => copyRecord(key, version, won),
      ),
    claim: (key, claim) =>
      mutate(
        key,
        (store) => store.claim(key, claim),
        (winner) => void standby.absorb(key, winner),
      ),
    putMark: (key, mark) =>
      mutate(
        key,
        (store) => store.putMark(key, mark),
        (winner) => void standby.absorb(key, winner),
      ),
    putMembers: (key, members) =>
      mutate(
        key,
        (store) => store.putMembers(key, members),
        () => void standby.absorb(key, members),
      ),
    hit: (key, hit) =>
      mutate(
        key,
        (store) => store.hit(key, hit),
        ({ allowed }) => {
          if (allowed) standby.count(key, hit)
        },
      ),
    raise: (key, fields, floor) =>
      failover.attempt(
        () => redis.raise(key, fields, floor),
        () => {
          raisedAway()
          return standby.raise(key, fields, floor)
        },
      ),
    generations: (key) =>
      failover.attempt(
        () => redis.generations(key),
        () => standby.generations(key),
      ),
  }
}
