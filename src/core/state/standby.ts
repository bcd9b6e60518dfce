// The state role in this process: a copy that is kept warm while Redis answers, and answers while it does not.
// It does not evict. Full while Redis is up: it goes without, and says `partial`. Full in an outage: `state_full`.

import type { Now } from '../../lib/time.ts'
import { type BoundedMemory, createBoundedMemory } from '../bounded-memory.ts'
import { Refusal, stateFull } from '../errors.ts'
import { raised } from './kinds/generations.ts'
import { type Hit, type HitResult, slide } from './kinds/sliding-window-log.ts'
import type { HybridClock } from './kinds/timestamps.ts'
import { type HitLog, mergeEntries, type StateValue, type VersionedEntry } from './kinds/versioned-entry.ts'
import type { Generations, StateStore } from './state-store.ts'

const ROOM_AGAIN = 3 / 4 // of the budget: so little is used that what did not fit may

export interface Standby extends StateStore {
  /** The version kept under the key. */
  kept<V extends StateValue>(key: string): VersionedEntry<V> | undefined
  /** Merges a version that Redis or the disk has. When there is no room for it, no older one stays, and it is `partial`. */
  apply(key: string, version: VersionedEntry): void
  /** Counts a hit that Redis has allowed. */
  count(key: string, hit: Hit): void
  /** Redis no longer has the key. */
  forget(key: string): void
  keys(): IterableIterator<string>
  size(): { keys: number; bytes: number }
  /** `partial` when something of Redis is missing here: it did not fit, or has not been offered yet. */
  coverage(): 'full' | 'partial'
  /** Whether something of Redis did not fit here, limiter logs aside: a key that is not here may be there. */
  lacksSome(): boolean
  /** An earlier life says so. */
  lack(): void
  /** Whether there is room for some of what did not fit. */
  couldFill(): boolean
  /** Whether everything that Redis had when it was filled has been offered. */
  isFilled(): boolean
  /** From here on everything that Redis has is offered; `partial` until that ends. Cut off, what did not fit before still counts. */
  beginFill(): void
  endFill(): void
}

export interface StandbyOptions {
  budgetBytes: number
  /** Learns each version that is applied, so that the next one made here is newer. */
  hybridClock: HybridClock
  /** Told of each key whose version has changed, or that is gone. */
  changed?: (key: string) => void
  now?: Now
}

export function createStandby({
  budgetBytes,
  hybridClock,
  changed = () => {},
  now = Date.now,
}: StandbyOptions): Standby {
  const memory: BoundedMemory<StateValue> = createBoundedMemory({
    budgetBytes,
    whenFull: 'refuse',
    sizeOf,
    now,
  })
  const numbers = new Map<string, Generations>()
  const logs = new Set<string>() // keys of limiter logs, of some that have expired too
  let lacks = false
  let lackedSinceFill = false // found while a fill was under way
  let isFilled = false

  const kept = <V extends StateValue>(key: string) => memory.find(key) as VersionedEntry<V> | undefined

  /** What is not here is not there either, unless it did not fit: then nobody can say, and `state_full` says so. */
  function unknown(): undefined {
    if (lacks) throw stateFull()
  }

  /** An older version must not be taken for this one. A log that stays as it was still counts most of the hits. */
  function didNotFit(key: string, { value }: VersionedEntry): void {
    if (value.kind === 'log') return
    memory.delete(key)
    changed(key)
    lacks = true
    lackedSinceFill = true
  }

  /** Keeps the version, if need be in the place of limiter logs: a limit forgotten is better than a login lost. */
  function keep(key: string, { value, expiresAtMs }: VersionedEntry): void {
    try {
      memory.set(key, value, expiresAtMs)
    } catch (error) {
      if (!(error instanceof Refusal) || value.kind === 'log' || !shedLogs()) throw error
      memory.set(key, value, expiresAtMs)
    }
    if (value.kind === 'log') noteLog(key)
    changed(key)
  }

  /** Nobody tells when a log expires: those that have are dropped from the list when they are most of it. */
  function noteLog(key: string): void {
    logs.add(key)
    if (logs.size <= 100 + 2 * memory.size().keys) return
    for (const name of logs) if (!memory.get(name)) logs.delete(name)
  }

  function shedLogs(): boolean {
    const keptLogs = [...logs].filter((key) => memory.get(key))
    for (const key of keptLogs) memory.delete(key)
    logs.clear()
    return keptLogs.length > 0
  }

  /** Merges a version into what is kept; true when it, or one equal to it, is kept now. */
  function put(key: string, version: VersionedEntry): boolean {
    const mine = kept(key)
    const merged = mine ? mergeEntries(mine, version) : version
    if (merged !== mine) keep(key, merged)
    return merged.value === version.value || merged === version
  }

  function keepHit(key: string, hit: Hit): HitResult {
    const { log, result } = slide(kept<HitLog>(key)?.value.hits ?? [], hit)
    // The last one may be ahead of this one: the clock may have been set back.
    const lastMs = log.at(-1)?.atMs ?? hit.nowMs
    if (result.allowed) keep(key, { value: { kind: 'log', hits: log }, expiresAtMs: lastMs + hit.windowMs })
    return result
  }

  return {
    kept,
    apply(key, version) {
      if (version.expiresAtMs <= now()) return
      if ('timestamp' in version.value) hybridClock.see(version.value.timestamp)
      try {
        put(key, version)
      } catch (error) {
        if (!(error instanceof Refusal)) throw error
        didNotFit(key, version)
      }
    },
    forget(key) {
      memory.delete(key)
      changed(key)
    },
    count(key, hit) {
      try {
        keepHit(key, { ...hit, limit: Number.POSITIVE_INFINITY })
      } catch (error) {
        if (!(error instanceof Refusal)) throw error // counted in Redis; no room here
      }
    },
    keys: () => memory.keys(),
    size: () => memory.size(),
    isFilled: () => isFilled,
    coverage: () => (isFilled && !lacks ? 'full' : 'partial'),
    lacksSome: () => lacks,
    lack() {
      lacks = true
    },
    couldFill() {
      if (!lacks) return false
      for (const _ of memory.keys()); // what has expired takes no room any more
      return memory.size().bytes < budgetBytes * ROOM_AGAIN
    },
    beginFill() {
      lackedSinceFill = false
      isFilled = false
    },
    endFill() {
      lacks = lackedSinceFill
      isFilled = true
    },

    find: async (key) => kept(key) ?? unknown(),
    putRecord: async (key, version) => put(key, version),
    async updateRecord(key, version, expected) {
      if (stampOf(kept(key) ?? unknown()) !== expected) return false
      keep(key, version)
      return true
    },
    async claim(key, claim) {
      const mine = kept<typeof claim.value>(key)
      if (mine) return mine
      unknown()
      keep(key, claim)
      return claim
    },
    async putMark(key, mark) {
      put(key, mark)
      return kept<typeof mark.value>(key) ?? mark
    },
    async putMembers(key, members) {
      if (!kept(key)) unknown() // a list of one would be taken for all of it
      put(key, members)
    },
    hit: async (key, hit) => keepHit(key, hit),
    async raise(key, fields, floor) {
      const { generations, top } = raised(numbers.get(key) ?? new Map(), fields, floor)
      numbers.set(key, generations)
      return top
    },
    generations: async (key) => numbers.get(key) ?? new Map(),
  }
}

function stampOf(version: VersionedEntry | undefined): string | undefined {
  if (version?.value.kind !== 'record') return undefined
  return version.value.bytes === undefined ? `${version.value.timestamp}!` : version.value.timestamp
}

/** Measured, with what bounded-memory.ts counts: 712 bytes for a record under a key of 72 letters, besides its bytes. */
function sizeOf(value: StateValue): number {
  if (value.kind === 'log') return value.hits.length * 120
  if (value.kind === 'members') return value.members.length * 160
  return value.kind === 'mark' ? 40 : 150 + (value.bytes?.byteLength ?? 0)
}
