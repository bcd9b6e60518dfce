// The state role: Redis while it answers, the standby while it does not. What Redis answers is copied to the standby;
// what only the standby knows, or what nobody knows that Redis got, is in the journal before the caller has its answer.
import { kindOf } from '../keys.ts'
import type { Failover } from '../redis/failover.ts'
import type { Journal } from './disk/journal.ts'
import { type HitLog, mergeEntries, type VersionedEntry } from './kinds/versioned-entry.ts'
import type { RedisStateStore } from './redis-state-store.ts'
import type { Standby } from './standby.ts'
import type { StateStore } from './state-store.ts'

export interface FailoverStateStoreOptions {
  redis: RedisStateStore
  standby: Standby
  journal: Journal
  failover: Failover
  /** Whether what the standby has under the key is what Redis has: then Redis need not be asked. */
  isKnown: (key: string) => boolean
  /** Which life of Redis we know. */
  life: () => string | undefined
  /** Rejects when Redis is not in that life any more: emptied, or an older state of itself. */
  expectSameLife: (life: string | undefined) => Promise<void>
  /** Told of each key that was written to Redis. */
  written: (key: string) => void
  /** Told that a number was raised which Redis does not have, or may not have: it is to be raised anew. */
  raisedAway: () => void
}

export function createFailoverStateStore(options: FailoverStateStoreOptions): StateStore {
  const { redis, standby, journal, failover, isKnown, life, expectSameLife, written, raisedAway } = options

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
    if (journal.has(key) && failover.isRedis()) return inMemory(key, call)
    return failover.attempt(onRedis, () => inMemory(key, call))
  }

  /** In Redis, then `copy` to the standby, told which life Redis was in when it was asked; or in memory. */
  function mutate<T>(
    key: string,
    call: (store: StateStore) => Promise<T>,
    copy: (answer: T, epoch: string | undefined) => Promise<void> | undefined | void,
  ) {
    return ask(key, call, async () => {
      const epoch = life()
      const answer = await call(redis)
      const copied = copy(answer, epoch)
      if (copied) await copied // most copies are made at once, and a turn of the queue is not free
      written(key)
      return answer
    })
  }

  function find(key: string): Promise<VersionedEntry | undefined> {
    if (failover.isRedis() && isKnown(key)) {
      const known = standby.kept(key)
      // Marks are asked for with every request, and most are not there.
      if (known || (kindOf(key) === 'mark' && standby.coverage() === 'full')) return Promise.resolve(known)
    }
    return ask(
      key,
      (store) => store.find(key),
      () => lookUp(key),
    )
  }

  /** What Redis has is copied. What it has no more goes here, too; what it never had, or has lost, it is owed. */
  async function lookUp(key: string): Promise<VersionedEntry | undefined> {
    const [before, epoch] = [standby.kept(key)?.value, life()]
    const found = await redis.find(key)
    if (found) standby.apply(key, found)
    const here = standby.kept(key)
    if (!here || (found && mergeEntries(found, here) !== here)) return found
    // Written here while we asked; or Redis has been left meanwhile, and is owed it.
    if (here.value !== before || journal.has(key)) return here
    await expectSameLife(epoch)
    if (standby.kept(key)?.value !== before || journal.has(key)) return standby.kept(key)
    if (found) journal.put(key, here)
    else standby.forget(key)
    return found && here
  }

  /** After a version of ours was kept; or after it lost, when the one that is there is not known here yet. */
  function copyRecord(
    key: string,
    version: VersionedEntry,
    won: boolean,
    epoch: string | undefined,
  ): Promise<void> | undefined {
    if (!won) return lookUp(key).then(() => {})
    standby.apply(key, version)
    // What beat it here should have beaten it there.
    const here = standby.kept(key)
    return !here || here.value === version.value ? undefined : expectSameLife(epoch)
  }

  return {
    find,
    putRecord: (key, version) =>
      mutate(
        key,
        (store) => store.putRecord(key, version),
        (won, epoch) => copyRecord(key, version, won, epoch),
      ),
    updateRecord: (key, version, expected) => {
      const before = standby.kept(key)
      return mutate(
        key,
        (store) => store.updateRecord(key, version, expected),
        async (won, epoch) => {
          if (won && before && expected === undefined) await expectSameLife(epoch)
          await copyRecord(key, version, won, epoch)
        },
      )
    },
    claim: (key, claim) => {
      const before = standby.kept<typeof claim.value>(key)
      return mutate(
        key,
        (store) => store.claim(key, claim),
        async (winner, epoch) => {
          // A claim does not go before its time.
          if (before && before.value.timestamp < winner.value.timestamp) await expectSameLife(epoch)
          standby.apply(key, winner)
        },
      )
    },
    putMark: (key, mark) =>
      mutate(
        key,
        (store) => store.putMark(key, mark),
        (winner) => void standby.apply(key, winner),
      ),
    putMembers: (key, members) =>
      mutate(
        key,
        (store) => store.putMembers(key, members),
        () => void standby.apply(key, members),
      ),
    hit: (key, hit) => {
      const count = (store: StateStore) => store.hit(key, hit)
      return ask(key, count, async () => {
        const epoch = life()
        const answer = await count(redis)
        written(key)
        if (!answer.allowed) return answer
        // Redis counts no fewer than we do.
        const hits = standby.kept<HitLog>(key)?.value.hits ?? []
        const counted = hits.filter(({ atMs }) => atMs > hit.nowMs - hit.windowMs).length
        if (counted >= hit.limit - answer.remaining) await expectSameLife(epoch)
        // Redis was too slow for another one meanwhile: since then hits are judged here, where this one is missing. If it is one
        // too many here, Redis has counted one that was refused.
        if (journal.has(key)) return inMemory(key, count)
        standby.count(key, hit)
        return answer
      })
    },
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
