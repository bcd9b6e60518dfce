// The state role: Redis while it answers, the standby while it does not. What Redis answers is copied to the standby. A
// write that Redis may not have is journaled before it is acknowledged.
import { isOutOfMemory, isStateUnknown } from '../errors.ts'
import type { FindKind } from '../keys.ts'
import type { Failover } from '../redis/failover.ts'
import type { Absence } from './absence/absence.ts'
import type { Journal } from './disk/journal.ts'
import { mergeEntries, type VersionedEntry } from './kinds/kinds.ts'
import { type Hit, type HitResult, type SlidingWindowLog, withoutHit } from './kinds/sliding-window-log.ts'
import type { RedisStateStore } from './redis-state-store.ts'
import type { Standby } from './standby.ts'
import type { StateStore } from './state-store.ts'

export interface FailoverStateStoreOptions {
  redis: RedisStateStore
  standby: Standby
  journal: Journal
  failover: Failover
  absence: Pick<Absence, 'isComplete' | 'untilMore'>
  kindOf: FindKind
  /** Whether the standby has the version that Redis has: then Redis need not be asked. */
  isKnown: (key: string) => boolean
  /** The epoch of Redis that is known here. */
  epoch: () => string | undefined
  /** Rejects when Redis is not in that epoch any more: emptied, or an older state of itself. */
  expectSameEpoch: (epoch: string | undefined) => Promise<void>
  /** Whether limiter logs may take room of Redis. */
  takesHit: () => boolean
  /** Called with each key that was written to Redis. */
  written: (key: string) => void
}

export function createFailoverStateStore(options: FailoverStateStoreOptions): StateStore {
  const { redis, standby, journal, failover, absence, kindOf, isKnown, expectSameEpoch, takesHit, written } =
    options

  /**
   * In memory, and in the journal when it changed anything: both before this returns, so that no merge falls
   * between.
   */
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
    const fromMemory = () => {
      const answer = inMemory(key, call)
      if (absence.isComplete()) return answer
      // Once more is known, for as long as the caller may wait.
      return answer.catch(async (error: unknown) => {
        if (!isStateUnknown(error)) throw error
        await absence.untilMore()
        return ask(key, call, onRedis)
      })
    }
    if (journal.has(key) && failover.isRedis()) return fromMemory()
    return failover.attempt(onRedis, fromMemory)
  }

  /** In Redis, then `copy` to the standby, with the epoch in which Redis was asked; or in memory. */
  function mutate<T>(
    key: string,
    call: (store: StateStore) => Promise<T>,
    copy: (answer: T, epoch: string | undefined) => Promise<void> | undefined | void,
  ) {
    return ask(key, call, async () => {
      const epoch = options.epoch()
      const answer = await call(redis)
      const copied = copy(answer, epoch)
      if (copied) await copied // most copies are made in the same turn, and another one is not free
      written(key)
      return answer
    })
  }

  function find(key: string, madeAtMs?: number): Promise<VersionedEntry | undefined> {
    if (failover.isRedis() && isKnown(key)) {
      const known = standby.kept(key)
      // Asked for with every request, and most are absent.
      const isAbsent = kindOf(key) === 'max-register' && standby.coverage() === 'full'
      if (known || isAbsent) return Promise.resolve(known)
    }
    return ask(
      key,
      (store) => store.find(key, madeAtMs),
      () => lookUp(key),
    )
  }

  /**
   * What Redis has is copied. What it has no more is dropped here, too; what it never had, or has lost, is
   * journaled.
   */
  async function lookUp(key: string): Promise<VersionedEntry | undefined> {
    const [before, epoch] = [standby.kept(key)?.value, options.epoch()]
    const found = await redis.find(key)
    if (found) standby.apply(key, found)
    const here = standby.kept(key)
    if (here === found) return found // Redis has the version that is known here, or neither has any
    if (!here || (found && mergeEntries(found, here) !== here)) return found
    // Written here while we asked; or Redis has been left since, and it is journaled.
    if (here.value !== before || journal.has(key)) return here
    await expectSameEpoch(epoch)
    if (standby.kept(key)?.value !== before || journal.has(key)) return standby.kept(key)
    if (found) journal.put(key, here)
    else if (!standby.isSynced())
      return here // it may be missing because its name was damaged (open-state.ts)
    else standby.forget(key)
    return found && here
  }

  /** After our version was kept; or after it lost, when the one that beat it is not known here yet. */
  function copyVersion(
    key: string,
    version: VersionedEntry,
    won: boolean,
    epoch: string | undefined,
  ): Promise<void> | undefined {
    if (!won) return lookUp(key).then(() => {})
    standby.apply(key, version)
    if (version.value.kind !== 'lww-register') return undefined
    // What beat it here should have beaten it there.
    const here = standby.kept(key)
    return !here || here.value === version.value ? undefined : expectSameEpoch(epoch)
  }

  /**
   * Undefined where Redis is full, or has no room for logs. For a hit that is no outage: sessions are read all the
   * same, and a write of theirs that does not fit says so itself. The hit is counted here alone.
   */
  async function countIn(key: string, hit: Hit): Promise<HitResult | undefined> {
    if (!takesHit()) return undefined
    try {
      return await redis.hit(key, hit)
    } catch (error) {
      if (!isOutOfMemory(error)) throw error
      return undefined
    }
  }

  return {
    find,
    put: (key, version) =>
      mutate(
        key,
        (store) => store.put(key, version),
        (won, epoch) => copyVersion(key, version, won, epoch),
      ),
    replace: (key, version, expected, madeAtMs) => {
      const before = standby.kept(key)
      return mutate(
        key,
        (store) => store.replace(key, version, expected, madeAtMs),
        async (won, epoch) => {
          if (won && before && expected === undefined) await expectSameEpoch(epoch)
          await copyVersion(key, version, won, epoch)
        },
      )
    },
    claim: (key, claim, madeAtMs) => {
      const before = standby.kept<typeof claim.value>(key)
      return mutate(
        key,
        (store) => store.claim(key, claim, madeAtMs),
        async (winner, epoch) => {
          // A claim does not go before its time.
          if (before && before.value.timestamp < winner.value.timestamp) await expectSameEpoch(epoch)
          standby.apply(key, winner)
        },
      )
    },
    hit: (key, hit) => {
      const count = (store: StateStore) => store.hit(key, hit)
      return ask(key, count, async () => {
        const epoch = options.epoch()
        const answer = await countIn(key, hit)
        if (!answer) return failover.isRedis() ? standby.hit(key, hit) : inMemory(key, count)
        written(key)
        if (!answer.allowed) return answer
        // Redis counts no fewer than we do. The log may have been copied from there since this hit was counted.
        const hits = withoutHit(standby.kept<SlidingWindowLog>(key)?.value.hits ?? [], hit)
        const counted = hits.filter(({ atMs }) => Math.floor(atMs) > hit.nowMs - hit.windowMs).length
        if (counted >= hit.limit - answer.remaining) await expectSameEpoch(epoch)
        // Redis was too slow for another one, which is journaled: since then hits are judged here, where this one
        // is missing. If it is one too many here, Redis has counted one that was refused.
        if (journal.has(key)) return inMemory(key, count)
        // Redis was full for some of those that are counted here.
        if (counted + (hit.cost ?? 1) > hit.limit) return standby.hit(key, hit)
        standby.countHit(key, hit)
        return answer
      })
    },
    bump: (key, fields, floor) =>
      mutate(
        key,
        (store) => store.bump(key, fields, floor),
        (top) => {
          const numbers = new Map([...fields, 'top'].map((field) => [field, top]))
          const value = { kind: 'max-register-map', fields: numbers } as const
          standby.apply(key, { value, expiresAtMs: Number.POSITIVE_INFINITY })
        },
      ),
  }
}
