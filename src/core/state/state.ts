// The contract of the state role: data that must be neither lost nor evicted, and that outlives its Redis.
// Made by create-state.ts over a StateStore (state-store.ts), which knows where the keys are.
import type { Timestamp } from './kinds/kind.ts'
import type { Hit, HitResult, LogPlace } from './kinds/sliding-window-log.ts'

export interface Versioned {
  readonly bytes: Buffer
  readonly timestamp: Timestamp
}

export interface ClaimResult {
  /** True for the caller who claimed first, also when it asks again with the same bytes. */
  readonly taken: boolean
  /** What the first one claimed it with. */
  readonly bytes: Buffer
}

/** What the caller knows of the thing that a key stands for. */
export interface Asked {
  /**
   * When it was made, ms: nobody can have written the key before. Where nobody could be asked since this process began,
   * what was made after that is absent, instead of `state_unknown`.
   */
  readonly madeAtMs?: number | undefined
}

/**
 * Times are milliseconds; the kind of a key is declared with `defineKeys` (keys.ts). Every method may reject with
 * RedisUnavailable, with `state_full` while Redis is away and memory is used up, with `state_unknown` where its answer
 * depends on what nobody could be asked about yet, and with nothing else that is not a bug.
 */
export interface State {
  /** The newest version; undefined when there is none, or a tombstone. */
  read(key: string, asked?: Asked): Promise<Versioned | undefined>
  /** Writes a newer version. False when there is a tombstone: it stays. */
  write(key: string, bytes: Buffer, ttlMs: number): Promise<boolean>
  /** Writes only over the version `expected` (undefined: over nothing). False when another one is there. */
  update(
    key: string,
    bytes: Buffer,
    ttlMs: number,
    expected: Timestamp | undefined,
    asked?: Asked,
  ): Promise<boolean>
  /** Puts a tombstone there for `ttlMs`, which must outlast any copy of the key. */
  destroy(key: string, ttlMs: number): Promise<void>
  /** Claims the key for the caller who asks first. */
  claim(key: string, bytes: Buffer, ttlMs: number, asked?: Asked): Promise<ClaimResult>
  /** What the key was claimed with. */
  claimed(key: string, asked?: Asked): Promise<Buffer | undefined>
  /** Raises the number under the key to at least `number`, and returns what it is then. */
  mark(key: string, number: number, ttlMs: number): Promise<number>
  /** `madeAtMs`: what was marked before that makes no difference to the caller. */
  marked(key: string, asked?: Asked): Promise<number | undefined>
  /** Adds the member for `ttlMs`, or prolongs it. Of many, the 200 that end last stay. */
  include(key: string, member: string, ttlMs: number): Promise<void>
  /** The members whose time has not ended. */
  members(key: string): Promise<readonly string[]>
  /**
   * Counts the hit, all it costs or nothing, unless the window that ends now would hold more than `limit`. Where room
   * is short, in the first of the `coarser` logs that has some, or in a number of this process: never `state_full`.
   */
  hit(key: string, hit: Hit, coarser?: readonly LogPlace[]): Promise<HitResult>
  /** How many hits of the last `windowMs` are counted in the log; nothing is counted. */
  hits(key: string, windowMs: number): Promise<number>
  /** The keys with this first word that this process knows: all, while its copy is full. Some may be tombstones. */
  list(word: string): Promise<readonly string[]>
}
