// What a feature says of a value it wants cached, and what it gets.

export interface CachePolicy<T> {
  /**
   * How long a value is used without asking the source again, ms, or how long this value is; the cache's own default
   * when not said.
   */
  freshMs?: number | ((value: T) => number)
  /** How much longer it is used while a new one is loaded in the background, or while the source fails, ms. */
  staleMs: number
  /**
   * For how much of `staleMs` nobody waits for the new value; for all of it when not said. After it, the old value is
   * for failures alone.
   */
  unwaitedMs?: number
  /** How long "there is no such thing" is believed, ms; the cache's own default when not said. */
  absentMs?: number
  tags?: readonly string[]
  /**
   * Asked before a load for a caller that has nothing: whether this caller may cause one. Its refusal is the answer.
   * Who joins a load that runs, and who has an old value, is not asked.
   */
  admit?: () => Promise<void>
  /** Throws when the stored JSON is not a T: the entry is then a miss. */
  parse: (json: unknown) => T
}

/** `bypass`: the cache is switched off. */
export type CacheOutcome = 'hit' | 'stale' | 'miss' | 'bypass'

export interface Cached<T> {
  readonly outcome: CacheOutcome
  /** The JSON as it is sent; empty when the value is undefined. */
  readonly body: Buffer
  readonly etag: string
  readonly storedAtMs: number
  readonly freshUntilMs: number
  /** Undefined when the source said that there is none. The same object each time: do not change it. */
  readonly value: T | undefined
}

/** Why a load runs, for sources that keep values of their own. */
export interface LoadAsked {
  /** The last clear that was known when the load began. */
  readonly generation: number
  /** The last clear that concerns the key: what was asked for at a lower `generation` must not be its value. */
  readonly clearedAt: number
  /** There is a copy, which a clear made stale before its time: it is the answer when the source cannot be asked. */
  readonly isCleared: boolean
}

/** Asks the source; undefined when it says that there is none. */
export type Load<T> = (asked: LoadAsked) => Promise<T | undefined>
