// What a kind of value is: how two versions of it become one, the same in Lua, and how it is written in Redis and
// on disk. Every merge is commutative, associative and idempotent, so it does not matter who merges, how often, or
// in which order.

import type { Corrupt } from '../../../lib/codec.ts'
import type { Script } from '../../redis/script-runner.ts'

/**
 * Hybrid logical timestamp of a write: compared as a string, later is larger, no two are equal. Of a value that is
 * stored it ends with the value's checksum (timestamped.ts).
 */
export type Timestamp = string

/** A value and when it ends, ms since the epoch. */
export interface Entry<V> {
  readonly value: V
  readonly expiresAtMs: number
}

/** Names with a number each: how Redis holds a sorted set or a hash. */
export type Pairs = readonly (readonly [string, number])[]

/** What a sorted set or a hash in Redis turned out to be. */
export interface DecodedPairs<V> {
  readonly value: V
  /** Entries that are none of ours: the value is without them. */
  readonly damaged: Pairs
  /** Whether all others have checksums. */
  readonly isCurrent: boolean
}

export type Argument = string | number | Buffer

export interface Kind<V extends { readonly kind: string }> {
  readonly name: V['kind']
  /** Its name in samovar.db: every release reads it. */
  readonly storedAs: string
  /** The one version that two make. Of a register or a map `a` itself when `b` adds nothing to it. */
  merge(a: Entry<V>, b: Entry<V>): Entry<V>
  /**
   * The same in Redis, in one atomic step.
   *   KEYS[1] the key    ARGV[1] the time left, ms, then `toArguments`    returns 1; or, of a register, { 1, or 0 when
   *   the version given lost, and what was there }, where that has to be looked at
   */
  readonly script: Script
  toArguments(value: V, key: string): readonly Argument[]
  readonly inRedis: InRedis<V>
  readonly onDisk: {
    encode(entry: Entry<V>, key: string): Buffer
    /** `columnMs`: when it ends, by the column beside it. */
    decode(bytes: Buffer, key: string, columnMs: number): Entry<V> | Corrupt
  }
  /** What it takes in memory, measured, with what bounded-memory.ts counts. */
  sizeOf(value: V): number
}

export type InRedis<V> =
  | {
      readonly type: 'string'
      encode(value: V, key: string): Buffer
      decode(bytes: Buffer, key: string): V | Corrupt
      /** Whether bytes that could be decoded have a checksum. */
      isCurrent(bytes: Buffer): boolean
    }
  | {
      readonly type: 'zset' | 'hash'
      decode(pairs: Pairs, key: string): DecodedPairs<V>
    }

/** For registers: one of the two versions wins whole. Of equal ones, the one that ends last. */
export const mergeBy =
  <V>(beats: (a: V, b: V) => boolean) =>
  (a: Entry<V>, b: Entry<V>): Entry<V> => {
    if (beats(a.value, b.value)) return a
    return beats(b.value, a.value) || b.expiresAtMs > a.expiresAtMs ? b : a
  }

/** For sets: what either has is in the result. */
export const mergeWith =
  <V>(union: (a: V, b: V) => V) =>
  (a: Entry<V>, b: Entry<V>): Entry<V> => ({
    value: union(a.value, b.value),
    expiresAtMs: Math.max(a.expiresAtMs, b.expiresAtMs),
  })
