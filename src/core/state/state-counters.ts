// The generation counters of the cache, in the state: a map of max registers, which the cache must know in the same
// turn in which it judges an entry. So it is called when they change.
import type { Log } from '../../log.ts'
import { inBackground } from '../background.ts'
import { keys } from '../keys.ts'
import type { Journal } from './disk/journal.ts'
import { mergeEntries } from './kinds/kinds.ts'
import { type MaxRegisterMap, NO_FIELDS } from './kinds/max-register-map.ts'
import type { RedisStateStore } from './redis-state-store.ts'
import type { Standby } from './standby.ts'
import type { StateStore } from './state-store.ts'

export type Fields = MaxRegisterMap['fields']

const KEY = keys.generations

export interface StateCounters {
  /** As they are known here. */
  known(): Fields
  /** Calls back whenever they change here. */
  onChange(listener: (fields: Fields) => void): void
  /** Sets the fields to one new number, larger than any other and than `floor`, and returns it. */
  bump(fields: readonly string[], floor: number): Promise<number>
  /** Another process may have bumped them: asks Redis, where it is asked. */
  refresh(): void
  /**
   * In a merge: copies what Redis has, and journals what it does not have. What it has; rejects with
   * RedisUnavailable.
   */
  compare(): Promise<Fields>
  /** In a merge: puts into Redis what it does not have. Rejects with RedisUnavailable. */
  send(): Promise<void>
  /** Whether Redis does not have all of them. */
  isPending(): boolean
  /** Whether Redis is asked. */
  isRedis(): boolean
  /** Whether Redis tells us of other processes' writes. */
  isTracked(): boolean
}

export interface StateCountersOptions {
  store: StateStore
  /** Undefined: switched off. */
  redis?: RedisStateStore
  journal?: Journal
  standby: Standby
  isRedis?: () => boolean
  isTracked?: () => boolean
  log: Log
}

export function createStateCounters(
  options: StateCountersOptions,
): StateCounters & { changed(key: string): void } {
  const { store, redis, journal, standby, isRedis = () => false, isTracked = () => false, log } = options
  const listeners: ((fields: Fields) => void)[] = []
  // From the start, so that there is always room for them.
  standby.apply(KEY, { value: NO_FIELDS, expiresAtMs: Number.POSITIVE_INFINITY })
  const known = () => standby.kept<MaxRegisterMap>(KEY)?.value.fields ?? NO_FIELDS.fields
  return {
    known,
    onChange(listener) {
      listeners.push(listener)
    },
    bump: (fields, floor) => store.bump(KEY, fields, floor),
    refresh: () =>
      void inBackground(
        store.find(KEY).then(() => {}),
        log,
      ),
    async compare() {
      const there = await redis?.find(KEY)
      if (there) standby.apply(KEY, there)
      const here = standby.kept<MaxRegisterMap>(KEY)
      const isBehind = here && here.value.fields.size > 0 && (!there || mergeEntries(there, here) !== there)
      if (isBehind) journal?.putAll([[KEY, here]])
      return there?.value.kind === 'max-register-map' ? there.value.fields : NO_FIELDS.fields
    },
    async send() {
      const here = standby.kept(KEY)
      if (!redis || !here || !journal?.has(KEY)) return
      await redis.merge([[KEY, here]])
      journal.acknowledge([[KEY, here]])
    },
    isPending: () => journal?.has(KEY) ?? false,
    isRedis,
    isTracked,
    changed(key) {
      if (key === KEY) for (const listener of listeners) listener(known())
    },
  }
}
