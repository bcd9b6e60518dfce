// The contract of the cache role: values that may be lost, and leases on loading them. (The state role's is
// state/state.ts.) Implementations: redis-cache-store.ts, memory-cache-store.ts, and tiered-cache-store.ts, which puts
// memory before Redis.

/** How a load ended that another process may be waiting for. */
export type LoadEnd = 'done' | 'failed'

/** `taken`: by this call, or already ours. `held`: another loader has it. `failed`: the last load just did. */
export type LoadLeaseState = 'taken' | 'held' | 'failed'

/** Who loads a value. It is the fence of the write as well: see `Store.set`. */
export interface LoadLease {
  readonly key: string
  readonly holder: string
}

/**
 * Keys with expiry. Values are bytes; times are milliseconds.
 * Every method may reject with RedisUnavailable, and with nothing else that is not a bug.
 */
export interface Store {
  get(key: string): Promise<Buffer | undefined>
  /**
   * False, and nothing is written, when `fence` is given and no longer held (the key has been deleted since), or when
   * memory alone is to hold the value and it is larger than its whole budget.
   */
  set(key: string, value: Buffer, ttlMs: number, fence?: LoadLease): Promise<boolean>
  /** Deletes the keys and breaks their leases, so that a load that began before cannot write them again. */
  delete(keys: readonly string[]): Promise<void>
  /** Takes the lease on a key that nobody holds, or prolongs our own. */
  lease(lease: LoadLease, ttlMs: number): Promise<LoadLeaseState>
  /** Gives the lease back if it is still ours; `failed` is remembered for `rememberMs`. */
  release(lease: LoadLease, end: LoadEnd, rememberMs: number): Promise<void>
  /**
   * Deletes the keys under `prefix` whose value `isDead` condemns; with `below`, those at least that were loaded before
   * that clear, which Redis can tell by itself. Returns how many it deleted.
   */
  sweep(prefix: string, isDead: IsDead, below?: number): Promise<number>
}

/** Whether the value, of which `head` is the beginning, is of no use any more. */
export type IsDead = (key: string, head: Buffer) => boolean

/** How much of each value `sweep` reads: enough for a header, not megabytes of body. */
export const HEAD_BYTES = 1_024
