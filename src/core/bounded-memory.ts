// Values in this process, within a budget of bytes, over node-cache. That neither counts bytes nor evicts, and it reads
// the wall clock: the budget, the order of eviction, and expiry on an injected clock are kept here.

import NodeCache from 'node-cache'
import type { Now } from '../lib/time.ts'
import { stateFull } from './errors.ts'

const OVERHEAD_BYTES = 420 // measured: of one entry, without its key and its value
const CHECKED = 2 // entries checked for expiry on each write, in turn: an entry that is never read again goes, too

export interface BoundedMemory<V> {
  get(key: string): V | undefined
  /** The value, and when it ends, ms since the epoch. */
  find(key: string): { readonly value: V; readonly expiresAtMs: number } | undefined
  /**
   * Keeps the value until `expiresAtMs`. A full cache evicts; false: the value is larger than the whole budget, and the
   * key has none now. Full state throws `state_full` and keeps the value it had.
   */
  set(key: string, value: V, expiresAtMs: number): boolean
  delete(key: string): void
  /** Every live key, oldest write first. Entries may be written and deleted while it runs. */
  keys(): IterableIterator<string>
  size(): { keys: number; bytes: number }
}

export interface BoundedMemoryOptions<V> {
  budgetBytes: number
  /** `evict`: oldest write first. `refuse`: expired entries make room, no others. */
  whenFull: 'evict' | 'refuse'
  sizeOf: (value: V) => number
  now: Now
}

interface Entry<V> {
  readonly value: V
  readonly expiresAtMs: number
  readonly sizeBytes: number
}

export function createBoundedMemory<V>(options: BoundedMemoryOptions<V>): BoundedMemory<V> {
  const { budgetBytes, whenFull, sizeOf, now } = options
  const cache = new NodeCache({ useClones: false, checkperiod: 0, stdTTL: 0 })
  const order = new Map<string, Entry<V>>() // oldest write first; the sizes and ends in it spare asking node-cache
  // None while nothing can have expired: one that stands still would keep every table that the map has outgrown.
  let turn: ReturnType<typeof order.entries> | undefined
  let bytes = 0
  let earliestEndMs = Number.POSITIVE_INFINITY // no entry ends before: until then a search for expired ones is in vain

  function find(key: string): Entry<V> | undefined {
    const found = cache.get<Entry<V>>(key)
    if (!found || found.expiresAtMs > now()) return found
    remove(key)
    return undefined
  }

  function remove(key: string): void {
    const entry = order.get(key)
    if (!entry) return
    bytes -= entry.sizeBytes
    cache.del(key)
    order.delete(key)
  }

  function dropExpired(): void {
    for (let checked = 0; checked < CHECKED; checked += 1) {
      turn ??= order.entries()
      const { value: entry, done } = turn.next()
      if (done) turn = undefined
      else if (entry[1].expiresAtMs <= now()) remove(entry[0])
    }
  }

  function makeRoom(neededBytes: number, except: string): void {
    if (bytes + neededBytes <= budgetBytes) return
    if (whenFull === 'evict') evict(neededBytes, except)
    else if (earliestEndMs <= now()) dropAllExpired(except)
    if (whenFull === 'refuse' && bytes + neededBytes > budgetBytes) throw stateFull()
  }

  function evict(neededBytes: number, except: string): void {
    for (const key of order.keys()) {
      if (bytes + neededBytes <= budgetBytes) return
      if (key !== except) remove(key)
    }
  }

  function dropAllExpired(except: string): void {
    earliestEndMs = Number.POSITIVE_INFINITY
    turn = undefined
    for (const [key, { expiresAtMs }] of order) {
      if (key !== except && expiresAtMs <= now()) remove(key)
      else earliestEndMs = Math.min(earliestEndMs, expiresAtMs)
    }
  }

  return {
    get: (key) => find(key)?.value,
    find,
    set(key, value, expiresAtMs) {
      const sizeBytes = OVERHEAD_BYTES + key.length * 2 + sizeOf(value)
      if (earliestEndMs <= now()) dropExpired()
      if (whenFull === 'evict' && sizeBytes > budgetBytes) {
        remove(key) // its value is outdated now; the others stay
        return false
      }
      const replacedBytes = order.get(key)?.sizeBytes ?? 0
      makeRoom(sizeBytes - replacedBytes, key)
      if (replacedBytes > 0 && whenFull === 'evict') order.delete(key) // written last, evicted last
      const entry = { value, expiresAtMs, sizeBytes }
      cache.set<Entry<V>>(key, entry)
      order.set(key, entry)
      earliestEndMs = Math.min(earliestEndMs, expiresAtMs)
      bytes += sizeBytes - replacedBytes
      return true
    },
    delete: remove,
    *keys() {
      for (const [key, { expiresAtMs }] of order) {
        if (expiresAtMs > now()) yield key
        else remove(key)
      }
    },
    size: () => ({ keys: order.size, bytes }),
  }
}
