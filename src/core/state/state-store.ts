// The contract between state.ts and whatever holds the state role's keys: whole versions of values, never halves.
// Implementations: redis-state-store.ts, standby.ts (memory), and failover-state-store.ts, which chooses.
import type { Hit, HitResult } from './kinds/sliding-window-log.ts'
import type { Claim, Mark, Members, StateRecord, Timestamp, VersionedEntry } from './kinds/versioned-entry.ts'

/** Numbers by field; each is larger than any that was raised before it. */
export type Generations = ReadonlyMap<string, number>

/** Every method may reject with RedisUnavailable or `state_full`, and with nothing else that is not a bug. */
export interface StateStore {
  /** The version under the key, of the kind that keys.ts says: also a destroyed record. */
  find(key: string): Promise<VersionedEntry | undefined>
  /** Keeps the newer of two versions. False when the one given lost. */
  putRecord(key: string, version: VersionedEntry<StateRecord>): Promise<boolean>
  /** Keeps the version only over `expected` (undefined: over nothing). */
  updateRecord(
    key: string,
    version: VersionedEntry<StateRecord>,
    expected: Timestamp | undefined,
  ): Promise<boolean>
  /** Keeps the claim unless there is one already; the claim that is there then. */
  claim(key: string, claim: VersionedEntry<Claim>): Promise<VersionedEntry<Claim>>
  /** Keeps the larger of two marks; the one that is there then. */
  putMark(key: string, mark: VersionedEntry<Mark>): Promise<VersionedEntry<Mark>>
  /** Adds the members to those that are there. */
  putMembers(key: string, members: VersionedEntry<Members>): Promise<void>
  hit(key: string, hit: Hit): Promise<HitResult>
  /** Sets the fields to one new number, larger than any in the set and than `floor`, and returns it. */
  raise(key: string, fields: readonly string[], floor: number): Promise<number>
  generations(key: string): Promise<Generations>
}
