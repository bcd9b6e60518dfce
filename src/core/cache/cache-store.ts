// The contract of the cache role: values that may be lost, and leases on loading them. (The state role's is
// state/state.ts.) Implementations: redis-store.ts, memory-store.ts, and tiered-store.ts, which puts one before the other.

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
 * Every method may reject with RedisUnavailable, and with nothing else that is not a bug.
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

/** Of each value, what `sweep` shows: enough for a header, not megabytes of body. */
export const HEAD_BYTES = 1_024
