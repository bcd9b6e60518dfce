// Values in this process, within a budget of bytes, over node-cache, which neither counts bytes nor evicts and reads
// the wall clock: the budget, the order of eviction, and expiry on an injected clock are kept here.

import NodeCache from 'node-cache'
import type { Now } from '../lib/time.ts'
import { stateFull } from './errors.ts'

const OVERHEAD_BYTES = 420 // measured: of one entry besides its key and its value
const LOOKED_AT = 2 // entries looked at for expiry on each write, in turn, so that what is never read again goes too

export interface BoundedMemory<V> {
  get(key: string): V | undefined
  /** The value, and when it ends, ms since the epoch. */
  find(key: string): { readonly value: V; readonly expiresAtMs: number } | undefined
  /** Keeps the value until `expiresAtMs`. A full cache evicts; full state throws `state_full` and keeps what it had. */
  set(key: string, value: V, expiresAtMs: number): void
  delete(key: string): void
  /** Every live key, oldest write first; it may be changed meanwhile. */
  keys(): IterableIterator<string>
  size(): { keys: number; bytes: number }
}

export interface BoundedMemoryOptions<V> {
  budgetBytes: number
  /** `evict`: oldest write first. `refuse`: what has expired makes room, nothing else. */
  whenFull: 'evict' | 'refuse'
  sizeOf: (value: V) => number
  now: Now
}

interface Held<V> {
  readonly value: V
  readonly expiresAtMs: number
  readonly sizeBytes: number
}

export function createBoundedMemory<V>(options: BoundedMemoryOptions<V>): BoundedMemory<V> {
  const { budgetBytes, whenFull, sizeOf, now } = options
  const cache = new NodeCache({ useClones: false, checkperiod: 0, stdTTL: 0 })
  const order = new Map<string, number>() // key → when it expires; oldest write first
  let turn = order.entries()
  let bytes = 0
  let earliestEndMs = Number.POSITIVE_INFINITY // no entry ends before: what is full and has nothing expired is not searched

  function held(key: string): Held<V> | undefined {
    const found = cache.get<Held<V>>(key)
    if (!found || found.expiresAtMs > now()) return found
    remove(key)
    return undefined
  }

  function remove(key: string): void {
    bytes -= cache.take<Held<V>>(key)?.sizeBytes ?? 0
    order.delete(key)
  }

  function dropExpired(): void {
    for (let looked = 0; looked < LOOKED_AT; looked += 1) {
      const { value: entry, done } = turn.next()
      if (done) turn = order.entries()
      else if (entry[1] <= now()) remove(entry[0])
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
    for (const [key, expiresAtMs] of order) {
      if (key !== except && expiresAtMs <= now()) remove(key)
      else earliestEndMs = Math.min(earliestEndMs, expiresAtMs)
    }
  }

  return {
    get: (key) => held(key)?.value,
    find: held,
    set(key, value, expiresAtMs) {
      const sizeBytes = OVERHEAD_BYTES + key.length * 2 + sizeOf(value)
      dropExpired()
      const replacedBytes = cache.get<Held<V>>(key)?.sizeBytes ?? 0
      makeRoom(sizeBytes - replacedBytes, key)
      if (bytes - replacedBytes + sizeBytes > budgetBytes) return remove(key) // a cache goes without what is too large
      if (replacedBytes > 0 && whenFull === 'evict') order.delete(key) // written last, evicted last
      cache.set<Held<V>>(key, { value, expiresAtMs, sizeBytes })
      order.set(key, expiresAtMs)
      earliestEndMs = Math.min(earliestEndMs, expiresAtMs)
      bytes += sizeBytes - replacedBytes
    },
    delete: remove,
    *keys() {
      for (const [key, expiresAtMs] of order) {
        if (expiresAtMs > now()) yield key
        else remove(key)
      }
    },
    size: () => ({ keys: order.size, bytes }),
  }
}
