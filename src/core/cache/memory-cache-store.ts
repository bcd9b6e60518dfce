// The cache role in this process: the tier before Redis, and the whole cache while Redis is away.
import type { Now } from '../../lib/time.ts'
import { createBoundedMemory } from '../bounded-memory.ts'
import { keys } from '../keys.ts'
import { HEAD_BYTES, type IsDead, type LoadLease, type Store } from './cache-store.ts'

const MOST_LEASES = 10_000 // beyond them those that have ended are looked for

export interface MemoryStore extends Store {
  /** The value, without a promise, which would be most of the cost of a hit. */
  peek(key: string): Buffer | undefined
  setNow(key: string, value: Buffer, ttlMs: number): boolean
  deleteNow(keys: readonly string[]): void
  sweepNow(prefix: string, isDead: IsDead): number
  /** Every value, oldest write first; leases are left out. */
  entries(): IterableIterator<[string, Buffer]>
  /** The number of values, and the bytes of all. */
  size(): { keys: number; bytes: number }
}

export interface MemoryStoreOptions {
  budgetBytes: number
  now?: Now
}

export function createMemoryStore({ budgetBytes, now = Date.now }: MemoryStoreOptions): MemoryStore {
  // Values are bytes; the holder of a lease is a string.
  const memory = createBoundedMemory<Buffer | string>({ budgetBytes, whenFull: 'evict', sizeOf, now })
  const leases = new Set<string>() // and failures that are remembered: they are no values; some may have ended
  const holds = ({ key, holder }: LoadLease) => memory.get(key) === holder

  function keepLease(key: string, value: string, ttlMs: number): void {
    memory.set(key, value, now() + ttlMs)
    leases.add(key)
    if (leases.size > MOST_LEASES) countLeases()
  }

  function countLeases(): number {
    for (const key of leases) if (typeof memory.get(key) !== 'string') leases.delete(key)
    return leases.size
  }

  function peek(key: string): Buffer | undefined {
    const value = memory.get(key)
    return Buffer.isBuffer(value) ? value : undefined
  }

  const setNow = (key: string, value: Buffer, ttlMs: number) => memory.set(key, value, now() + ttlMs)

  function deleteNow(names: readonly string[]): void {
    for (const key of names) {
      memory.delete(key)
      memory.delete(keys.loadLock(key))
    }
  }

  function sweepNow(prefix: string, isDead: IsDead): number {
    let deleted = 0
    for (const key of memory.keys()) {
      const value = key.startsWith(prefix) ? peek(key) : undefined
      if (!value || !isDead(key, value.subarray(0, HEAD_BYTES))) continue
      memory.delete(key)
      deleted += 1
    }
    return deleted
  }

  return {
    peek,
    setNow,
    deleteNow,
    sweepNow,
    *entries() {
      for (const key of memory.keys()) {
        const value = peek(key)
        if (value) yield [key, value]
      }
    },
    size() {
      const leased = countLeases()
      const { keys, bytes } = memory.size()
      return { keys: keys - leased, bytes }
    },
    get: async (key) => peek(key),
    async set(key, value, ttlMs, fence) {
      return (!fence || holds(fence)) && setNow(key, value, ttlMs)
    },
    delete: async (names) => deleteNow(names),
    async lease({ key, holder }, ttlMs) {
      const other = memory.get(key)
      if (other === 'failed') return 'failed'
      if (other !== undefined && other !== holder) return 'held'
      keepLease(key, holder, ttlMs)
      return 'taken'
    },
    async release(lease, end, rememberMs) {
      if (!holds(lease)) return
      if (end === 'failed') keepLease(lease.key, 'failed', rememberMs)
      else memory.delete(lease.key)
    },
    sweep: async (prefix, isDead) => sweepNow(prefix, isDead),
  }
}

const sizeOf = (value: Buffer | string) => (typeof value === 'string' ? value.length * 2 : value.byteLength)
