// What features use: values and times in, versions made here.
import type { Now } from '../../lib/time.ts'
import { kindOf } from '../keys.ts'
import type { Hit } from './kinds/sliding-window-log.ts'
import type { HybridClock } from './kinds/timestamps.ts'
import type { StateKind, StateRecord, StateValue, VersionedEntry } from './kinds/versioned-entry.ts'
import type { State } from './state.ts'
import type { StateStore } from './state-store.ts'

export interface StateOptions {
  store: StateStore
  hybridClock: HybridClock
  /** Every key of the standby. */
  known: () => Iterable<string>
  now?: Now
}

export function createState({ store, hybridClock, known, now = Date.now }: StateOptions): State {
  const record = (bytes: Buffer | undefined, ttlMs: number): VersionedEntry<StateRecord> => ({
    value: { kind: 'record', timestamp: hybridClock.next(), bytes },
    expiresAtMs: now() + ttlMs,
  })
  async function find<K extends StateKind>(key: string, kind: K) {
    expectKind(key, kind)
    return (await store.find(key)) as VersionedEntry<Extract<StateValue, { kind: K }>> | undefined
  }
  return {
    async read(key) {
      const found = await find(key, 'record')
      if (found) hybridClock.see(found.value.timestamp)
      return found?.value.bytes && { bytes: found.value.bytes, timestamp: found.value.timestamp }
    },
    async write(key, bytes, ttlMs) {
      expectKind(key, 'record')
      return store.putRecord(key, record(bytes, ttlMs))
    },
    async update(key, bytes, ttlMs, expected) {
      expectKind(key, 'record')
      return store.updateRecord(key, record(bytes, ttlMs), expected)
    },
    async destroy(key, ttlMs) {
      expectKind(key, 'record')
      await store.putRecord(key, record(undefined, ttlMs))
    },
    async claim(key, bytes, ttlMs) {
      expectKind(key, 'claim')
      const claim = {
        value: { kind: 'claim' as const, timestamp: hybridClock.next(), bytes },
        expiresAtMs: now() + ttlMs,
      }
      const winner = await store.claim(key, claim)
      return { taken: winner.value.bytes.equals(bytes), bytes: winner.value.bytes }
    },
    claimed: async (key) => (await find(key, 'claim'))?.value.bytes,
    async mark(key, number, ttlMs) {
      expectKind(key, 'mark')
      const mark = await store.putMark(key, { value: { kind: 'mark', number }, expiresAtMs: now() + ttlMs })
      return mark.value.number
    },
    marked: async (key) => (await find(key, 'mark'))?.value.number,
    async include(key, member, ttlMs) {
      expectKind(key, 'members')
      const untilMs = now() + ttlMs
      const members = [{ id: member, untilMs }]
      await store.putMembers(key, { value: { kind: 'members', members }, expiresAtMs: untilMs })
    },
    async members(key) {
      const found = await find(key, 'members')
      return (found?.value.members ?? []).filter(({ untilMs }) => untilMs > now()).map(({ id }) => id)
    },
    async hit(key, hit) {
      expectKind(key, 'log')
      expectCost(hit)
      return store.hit(key, hit)
    },
    list: async (word) => [...known()].filter((key) => key.startsWith(`${word}:`)),
  }
}

/** A key of another kind would be written, and never read back: that is a bug of whoever made the key. */
function expectKind(key: string, kind: StateKind): void {
  if (kindOf(key) !== kind) throw new TypeError(`${key} is not declared as a ${kind} in keys.ts`)
}

/** A hit that costs more than there is at all could never be allowed: that is a bug of whoever set the limit. */
function expectCost({ cost = 1, limit }: Hit): void {
  if (!Number.isInteger(cost) || cost < 1 || cost > limit)
    throw new TypeError(`a hit that costs ${cost} under a limit of ${limit}`)
}
