// The Store contract in this process, over node-cache, which neither counts bytes nor evicts and reads the wall
// clock: the budget, the order of eviction and expiry (on an injected clock) are kept here.
import NodeCache from 'node-cache'
import { stateFull } from '../../errors.ts'
import type { Now } from '../../lib/time.ts'
import { keys } from '../keys.ts'
import { raised } from './raised.ts'
import { type LoggedHit, slide } from './sliding-log.ts'
import { type Generations, HEAD_BYTES, type Lease, type Store } from './store.ts'

const OVERHEAD_BYTES = 200 // of one entry: its record, its place in node-cache and in the order, its key
const EXPIRED_SCAN = 16 // entries looked at for expiry on each write, so that what is never read again goes too

type Value = Buffer | Generations | readonly LoggedHit[] | string

interface Kept {
  readonly value: Value
  readonly expiresAtMs: number
  readonly sizeBytes: number
}

export interface MemoryStore extends Store {
  /** The value, at once: what a promise would cost is most of what a hit costs. */
  peek(key: string): Buffer | undefined
  deleteNow(keys: readonly string[]): void
  sweepNow(prefix: string, isDead: (key: string, head: Buffer) => boolean): number
  size(): { keys: number; bytes: number }
}

export interface MemoryStoreOptions {
  budgetBytes: number
  /** A full cache evicts, oldest first; full state refuses with `state_full`. */
  whenFull: 'evict' | 'refuse'
  now?: Now
}

export function createMemoryStore({
  budgetBytes,
  whenFull,
  now = Date.now,
}: MemoryStoreOptions): MemoryStore {
  const cache = new NodeCache({ useClones: false, checkperiod: 0, stdTTL: 0 })
  const order = new Map<string, number>() // key → when it expires; oldest write first
  let bytes = 0

  function read(key: string): Value | undefined {
    const kept = cache.get<Kept>(key)
    if (!kept) return undefined
    if (kept.expiresAtMs > now()) return kept.value
    remove(key)
    return undefined
  }

  function remove(key: string): void {
    bytes -= cache.take<Kept>(key)?.sizeBytes ?? 0
    order.delete(key)
  }

  function write(key: string, value: Value, ttlMs: number): void {
    const expiresAtMs = now() + ttlMs
    const sizeBytes = OVERHEAD_BYTES + key.length * 2 + sizeOf(value)
    const replaced = cache.get<Kept>(key)?.sizeBytes ?? 0
    makeRoom(sizeBytes - replaced, key)
    remove(key)
    if (bytes + sizeBytes > budgetBytes) return // larger than the whole budget: a cache goes without it
    cache.set<Kept>(key, { value, expiresAtMs, sizeBytes })
    order.set(key, expiresAtMs)
    bytes += sizeBytes
  }

  function makeRoom(neededBytes: number, except: string): void {
    let looked = 0
    for (const [key, expiresAtMs] of order) {
      if (expiresAtMs <= now()) remove(key)
      looked += 1
      if (looked === EXPIRED_SCAN) break
    }
    if (bytes + neededBytes <= budgetBytes) return
    for (const [key, expiresAtMs] of order) {
      if (bytes + neededBytes <= budgetBytes) return
      if (key !== except && (whenFull === 'evict' || expiresAtMs <= now())) remove(key)
    }
    if (whenFull === 'refuse' && bytes + neededBytes > budgetBytes) throw stateFull()
  }

  function holds({ key, holder }: Lease): boolean {
    return read(key) === holder
  }

  function deleteNow(names: readonly string[]): void {
    for (const key of names) {
      remove(key)
      remove(keys.loadLock(key))
    }
  }

  function sweepNow(prefix: string, isDead: (key: string, head: Buffer) => boolean): number {
    let deleted = 0
    for (const key of order.keys()) {
      const value = key.startsWith(prefix) ? read(key) : undefined
      if (!Buffer.isBuffer(value) || !isDead(key, value.subarray(0, HEAD_BYTES))) continue
      remove(key)
      deleted += 1
    }
    return deleted
  }

  function peek(key: string): Buffer | undefined {
    const value = read(key)
    return Buffer.isBuffer(value) ? value : undefined
  }

  return {
    peek,
    deleteNow,
    sweepNow,
    size: () => ({ keys: order.size, bytes }),
    get: async (key) => peek(key),
    async set(key, value, ttlMs, fence) {
      if (fence && !holds(fence)) return false
      write(key, value, ttlMs)
      return true
    },
    delete: async (names) => deleteNow(names),
    async lease(lease, ttlMs) {
      const holder = read(lease.key)
      if (holder === 'failed') return 'failed'
      if (holder !== undefined && holder !== lease.holder) return 'held'
      write(lease.key, lease.holder, ttlMs)
      return 'taken'
    },
    async release(lease, end, rememberMs) {
      if (!holds(lease)) return
      if (end === 'failed') write(lease.key, 'failed', rememberMs)
      else remove(lease.key)
    },
    async raise(key, fields, floor) {
      const { generations, top } = raised((read(key) as Generations | undefined) ?? new Map(), fields, floor)
      write(key, generations, Number.POSITIVE_INFINITY)
      return top
    },
    generations: async (key) => new Map(read(key) as Generations | undefined),
    async hit(key, hit) {
      const { log, result } = slide((read(key) as LoggedHit[] | undefined) ?? [], hit)
      if (result.allowed) write(key, log, hit.windowMs)
      return result
    },
    sweep: async (prefix, isDead) => sweepNow(prefix, isDead),
  }
}

function sizeOf(value: Value): number {
  if (Buffer.isBuffer(value)) return value.byteLength
  if (typeof value === 'string') return value.length * 2
  return (value instanceof Map ? value.size : (value as readonly LoggedHit[]).length) * 64
}
