// The contract between state.ts and the stores that hold the state role's keys: whole versions of values, never halves.
// Implementations: redis-state-store.ts, standby.ts (memory), and failover-state-store.ts, which chooses.
import type { FirstWriteWinsRegister } from './kinds/first-write-wins-register.ts'
import type { Timestamp } from './kinds/kind.ts'
import type { VersionedEntry } from './kinds/kinds.ts'
import type { LwwRegister } from './kinds/lww-register.ts'
import type { Hit, HitResult } from './kinds/sliding-window-log.ts'

/**
 * Every method may reject with RedisUnavailable, `state_full` or `state_unknown`, and with nothing else that is not a
 * bug. `madeAtMs`: when the thing was made that the key stands for; nobody has written it before.
 */
export interface StateStore {
  /** The version under the key, of the kind that was declared: also a tombstone. */
  find(key: string, madeAtMs?: number): Promise<VersionedEntry | undefined>
  /** Merges the version into the one that is there. False when the one given lost. */
  put(key: string, version: VersionedEntry): Promise<boolean>
  /** Keeps the version only over `expected` (undefined: over nothing). */
  replace(
    key: string,
    version: VersionedEntry<LwwRegister>,
    expected: Timestamp | undefined,
    madeAtMs?: number,
  ): Promise<boolean>
  /** Keeps the claim unless there is one already; the claim that is there then. */
  claim(
    key: string,
    claim: VersionedEntry<FirstWriteWinsRegister>,
    madeAtMs?: number,
  ): Promise<VersionedEntry<FirstWriteWinsRegister>>
  hit(key: string, hit: Hit): Promise<HitResult>
  /** Sets the fields to one new number, larger than any in the map and than `floor`, and returns it. */
  bump(key: string, fields: readonly string[], floor: number): Promise<number>
}
