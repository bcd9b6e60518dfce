// The state role in this process: a copy that is kept warm while Redis answers, and answers while it does not.
// It does not evict. Full while Redis is up: it goes without, and says `partial`. Full in an outage: `state_full`.
// Limiter logs have memory of their own (limits/limiter-logs.ts), and are no part of that.
// Not filled yet: it does not say "absent" of what it does not have, but `state_unknown` (absence/absence.ts).

import type { Now } from '../../lib/time.ts'
import { type BoundedMemory, createBoundedMemory } from '../bounded-memory.ts'
import { Refusal, stateFull } from '../errors.ts'
import type { Absence } from './absence/absence.ts'
import type { HybridClock } from './kinds/hybrid-clock.ts'
import {
  addsNothing,
  isTwin,
  kinds,
  mergeEntries,
  type StateValue,
  type VersionedEntry,
} from './kinds/kinds.ts'
import { headOf } from './kinds/lww-register.ts'
import { bumped, type MaxRegisterMap, NO_FIELDS } from './kinds/max-register-map.ts'
import {
  type Hit,
  type HitResult,
  type SlidingWindowLog,
  slide,
  withoutHit,
} from './kinds/sliding-window-log.ts'
import { createLimiterLogs, type LimiterLogs } from './limits/limiter-logs.ts'
import type { StateStore } from './state-store.ts'

const LOGS_SHARE = 1 / 4 // limiter logs have so much more
const LEAST_LOGS_BYTES = 64 * 1024
const ROOM_AGAIN = 3 / 4 // of the budget: so little is used that what did not fit may

export interface Standby extends StateStore {
  /** The version kept under the key. */
  kept<V extends StateValue>(key: string): VersionedEntry<V> | undefined
  /**
   * Merges a version that Redis or the disk has. When there is no room for it, no older one stays: it is
   * incomplete.
   */
  apply(key: string, version: VersionedEntry): void
  /** Counts a hit that Redis has allowed. */
  countHit(key: string, hit: Hit): void
  /** In which of these logs the hit has room. */
  placeOf: LimiterLogs['place']
  /** Redis no longer has the key. */
  forget(key: string): void
  keys(): IterableIterator<string>
  size(): { keys: number; bytes: number }
  /** `partial` when something of Redis is missing here: it did not fit, or has not been offered yet. */
  coverage(): 'full' | 'partial'
  /** Whether something of Redis did not fit here, limiter logs aside: a key that is not here may be there. */
  isIncomplete(): boolean
  /** The copy on disk says so. */
  setIncomplete(): void
  /** Whether there is room for some of what did not fit. */
  hasRoomAgain(): boolean
  /** Whether a full resync has ended: everything that Redis had then has been offered. */
  isSynced(): boolean
  /**
   * From here on everything that Redis has is offered; `partial` until that ends. If it is cut off, what did not
   * fit before still counts.
   */
  beginResync(): void
  endResync(): void
}

export interface StandbyOptions {
  /** Of everything but limiter logs, which have a quarter of it on top. */
  budgetBytes: number
  /** Learns each version that is applied, so that the next one made here is newer. */
  hybridClock: HybridClock
  /** Whether "absent" may be said; always, unless given. */
  absence?: Pick<Absence, 'expectKnown'>
  /** Called with each key whose version has changed, or that is gone. */
  changed?: (key: string) => void
  /** Called with each key that is given another value of the same time and writer. */
  twin?: (key: string) => void
  now?: Now
}

export function createStandby({
  budgetBytes,
  hybridClock,
  absence = { expectKnown: () => {} },
  changed = () => {},
  twin = () => {},
  now = Date.now,
}: StandbyOptions): Standby {
  const memory: BoundedMemory<StateValue> = createBoundedMemory({
    budgetBytes,
    whenFull: 'refuse',
    sizeOf: (value) => kinds[value.kind].sizeOf(value),
    now,
  })
  const logs = createLimiterLogs({ budgetBytes: Math.max(budgetBytes * LOGS_SHARE, LEAST_LOGS_BYTES), now })
  let isIncomplete = false
  let isResyncIncomplete = false // found since the last one began
  let isSynced = false

  const kept = <V extends StateValue>(key: string) =>
    (memory.find(key) ?? logs.find(key)) as VersionedEntry<V> | undefined

  /** What is not here is absent in Redis, too, unless it did not fit or has not been read: then nobody can say. */
  function unknown(madeAtMs?: number): undefined {
    if (isIncomplete) throw stateFull()
    absence.expectKnown(madeAtMs)
  }

  /** An older version must not be taken for this one. A log that stays as it was still counts most of the hits. */
  function didNotFit(key: string, { value }: VersionedEntry): void {
    if (isLog(value)) return
    memory.delete(key)
    changed(key)
    isIncomplete = true
    isResyncIncomplete = true
  }

  function keep(key: string, { value, expiresAtMs }: VersionedEntry): void {
    if (!isLog(value)) memory.set(key, value, expiresAtMs)
    else if (!logs.set(key, { value, expiresAtMs })) throw stateFull()
    changed(key)
  }

  /** Merges a version into the one that is kept, `mine`. False when the one given lost. */
  function put(key: string, version: VersionedEntry, mine: VersionedEntry | undefined): boolean {
    if (mine && isTwin(mine.value, version.value)) twin(key)
    const merged = mine ? mergeEntries(mine, version) : version
    if (merged !== mine) keep(key, merged)
    return merged !== mine || mine.value === version.value
  }

  function keepHit(key: string, hit: Hit): HitResult {
    const { log, result } = slide(key, withoutHit(kept<SlidingWindowLog>(key)?.value.hits ?? [], hit), hit)
    // The last one may be ahead of this one: the clock may have been set back.
    const lastMs = Math.floor(log.at(-1)?.atMs ?? hit.nowMs)
    const expiresAtMs = lastMs + hit.windowMs
    if (result.allowed) keep(key, { value: { kind: 'sliding-window-log', hits: log }, expiresAtMs })
    return result
  }

  return {
    kept,
    apply(key, version) {
      if (version.expiresAtMs <= now()) return
      if ('timestamp' in version.value) hybridClock.see(version.value.timestamp)
      const mine = kept(key)
      if (mine && addsNothing(mine, version)) return
      try {
        put(key, version, mine)
      } catch (error) {
        if (!(error instanceof Refusal)) throw error
        didNotFit(key, version)
      }
    },
    forget(key) {
      // Counters only grow, and must always have room (state-counters.ts).
      if (kept(key)?.value.kind === 'max-register-map') return
      memory.delete(key)
      logs.delete(key)
      changed(key)
    },
    countHit(key, hit) {
      try {
        keepHit(key, { ...hit, limit: Number.POSITIVE_INFINITY })
      } catch (error) {
        if (!(error instanceof Refusal)) throw error // counted in Redis; no room here
      }
    },
    placeOf: logs.place,
    *keys() {
      yield* memory.keys()
      yield* logs.keys()
    },
    size: () => ({
      keys: memory.size().keys + logs.size().keys,
      bytes: memory.size().bytes + logs.size().bytes,
    }),
    isSynced: () => isSynced,
    coverage: () => (isSynced && !isIncomplete ? 'full' : 'partial'),
    isIncomplete: () => isIncomplete,
    setIncomplete() {
      isIncomplete = true
    },
    hasRoomAgain() {
      if (!isIncomplete) return false
      for (const _ of memory.keys()); // what has expired takes no room any more
      return memory.size().bytes < budgetBytes * ROOM_AGAIN
    },
    beginResync() {
      isResyncIncomplete = false
      isSynced = false
    },
    endResync() {
      isIncomplete = isResyncIncomplete
      isSynced = true
    },

    async find(key, madeAtMs) {
      const found = kept(key)
      // Until it has been merged with what Redis has, it may be a part of it.
      if (found?.value.kind === 'expiring-set') absence.expectKnown()
      return found ?? unknown(madeAtMs)
    },
    async put(key, version) {
      // A set of one would be taken for all of it.
      const mine = kept(key)
      if (version.value.kind === 'expiring-set' && !mine && isIncomplete) throw stateFull()
      return put(key, version, mine)
    },
    async replace(key, version, expected, madeAtMs) {
      const found = (kept(key) ?? unknown(madeAtMs))?.value
      if ((found?.kind === 'lww-register' ? headOf(found) : undefined) !== expected) return false
      keep(key, version)
      return true
    },
    async claim(key, claim, madeAtMs) {
      const mine = kept<typeof claim.value>(key)
      if (mine) return mine
      unknown(madeAtMs)
      keep(key, claim)
      return claim
    },
    hit: async (key, hit) => keepHit(key, hit),
    async bump(key, fields, floor) {
      const { entry, top } = bumped(kept<MaxRegisterMap>(key)?.value ?? NO_FIELDS, fields, floor)
      keep(key, entry)
      return top
    },
  }
}

const isLog = (value: StateValue): value is SlidingWindowLog => value.kind === 'sliding-window-log'
