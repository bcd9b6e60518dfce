// What features use: values and times in, versions made here.
import type { Now } from '../../lib/time.ts'
import type { Stamps } from './stamps.ts'
import type { State } from './state.ts'
import type { StateStore } from './state-store.ts'
import type { Kept, StateRecord } from './state-value.ts'

export interface StateOptions {
  store: StateStore
  stamps: Stamps
  now?: Now
}

export function createState({ store, stamps, now = Date.now }: StateOptions): State {
  const record = (bytes: Buffer | undefined, ttlMs: number): Kept<StateRecord> => ({
    value: { kind: 'record', stamp: stamps.next(), bytes },
    expiresAtMs: now() + ttlMs,
  })
  return {
    async read(key) {
      const found = await store.record(key)
      if (found) stamps.see(found.value.stamp)
      return found?.value.bytes && { bytes: found.value.bytes, stamp: found.value.stamp }
    },
    write: (key, bytes, ttlMs) => store.putRecord(key, record(bytes, ttlMs)),
    update: (key, bytes, ttlMs, expected) => store.updateRecord(key, record(bytes, ttlMs), expected),
    async destroy(key, ttlMs) {
      await store.putRecord(key, record(undefined, ttlMs))
    },
    async claim(key, bytes, ttlMs) {
      const claim = {
        value: { kind: 'claim' as const, stamp: stamps.next(), bytes },
        expiresAtMs: now() + ttlMs,
      }
      const winner = await store.claim(key, claim)
      return { taken: winner.value.bytes.equals(bytes), bytes: winner.value.bytes }
    },
    async mark(key, number, ttlMs) {
      const mark = await store.putMark(key, { value: { kind: 'mark', number }, expiresAtMs: now() + ttlMs })
      return mark.value.number
    },
    marked: async (key) => (await store.mark(key))?.value.number,
    hit: (key, hit) => store.hit(key, hit),
  }
}
