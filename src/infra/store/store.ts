// The contract of the cache role: values that may be lost, and leases on loading them. (The state role's is
// state/state.ts.) Implementations: redis-store.ts, memory-store.ts, and tiered-store.ts, which puts one before the other.

import type { Log } from '../../log.ts'

/** How a load ended that another process may be waiting for. */
export type LeaseEnd = 'done' | 'failed'

/** `taken`: by this call, or already ours. `held`: somebody loads. `failed`: somebody just did, and it failed. */
export type LeaseState = 'taken' | 'held' | 'failed'

export interface Lease {
  readonly key: string
  readonly holder: string
}

/**
 * Keys with expiry. Values are bytes; times are milliseconds.
 * Every method may reject with StoreUnavailable, and with nothing else that is not a bug.
 */
export interface Store {
  get(key: string): Promise<Buffer | undefined>
  /** False, and nothing is written, when `fence` is given and no longer held: the key was deleted meanwhile. */
  set(key: string, value: Buffer, ttlMs: number, fence?: Lease): Promise<boolean>
  /** Deletes the keys and breaks their leases, so that a load that began before cannot write them again. */
  delete(keys: readonly string[]): Promise<void>
  /** Takes the lease on a key that nobody holds, or prolongs our own. */
  lease(lease: Lease, ttlMs: number): Promise<LeaseState>
  /** Gives the lease back if it is still ours; `failed` is remembered for `rememberMs`. */
  release(lease: Lease, end: LeaseEnd, rememberMs: number): Promise<void>
  /** Deletes the keys under `prefix` whose value `isDead` condemns; how many it deleted. */
  sweep(prefix: string, isDead: (key: string, head: Buffer) => boolean): Promise<number>
}

/**
 * `lost`: no connection. `refused`: an error reply. `silent`: over budget on a connection that sent
 * nothing since. `slow`: over budget, but the connection is alive. `spent`: the request has waited long enough for all of
 * its commands together, which says nothing of Redis.
 */
export type UnavailableReason = 'lost' | 'refused' | 'silent' | 'slow' | 'spent'

/** Redis did not do what was asked, or nobody knows whether it did. Never a bug of ours. */
export class StoreUnavailable extends Error {
  readonly reason: UnavailableReason

  constructor(reason: UnavailableReason, message: string, options?: ErrorOptions) {
    super(message, options)
    this.reason = reason
  }
}

export const spent = () => new StoreUnavailable('spent', 'the request has waited for a whole budget')

/** Of each value, what `sweep` shows: enough for a header, not megabytes of body. */
export const HEAD_BYTES = 1_024

/**
 * Work in the background, which never rejects: that Redis goes away meanwhile is the failover's business, and a bug must not end
 * the process.
 */
export async function quietly(work: Promise<void>, log: Log): Promise<void> {
  try {
    await work
  } catch (error) {
    if (!(error instanceof StoreUnavailable)) log.error({ err: error }, 'a bug in work in the background')
  }
}
