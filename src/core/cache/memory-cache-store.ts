// The cache role in this process: the tier before Redis, and the whole cache while Redis is away.
import type { Now } from '../../lib/time.ts'
import { createBoundedMemory } from '../bounded-memory.ts'
import { keys } from '../keys.ts'
import { HEAD_BYTES, type IsDead, type LoadLease, type Store } from './cache-store.ts'

export interface MemoryStore extends Store {
  /** The value, without a promise, which would be most of the cost of a hit. */
  peek(key: string): Buffer | undefined
  deleteNow(keys: readonly string[]): void
  sweepNow(prefix: string, isDead: IsDead): number
  /** Every value, oldest write first; leases are left out. */
  entries(): IterableIterator<[string, Buffer]>
  size(): { keys: number; bytes: number }
}

export interface MemoryStoreOptions {
  budgetBytes: number
  now?: Now
}

export function createMemoryStore({ budgetBytes, now = Date.now }: MemoryStoreOptions): MemoryStore {
  // Values are bytes; the holder of a lease is a string.
  const memory = createBoundedMemory<Buffer | string>({ budgetBytes, whenFull: 'evict', sizeOf, now })
  const holds = ({ key, holder }: LoadLease) => memory.get(key) === holder

  function peek(key: string): Buffer | undefined {
    const value = memory.get(key)
    return Buffer.isBuffer(value) ? value : undefined
  }

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
    deleteNow,
    sweepNow,
    *entries() {
      for (const key of memory.keys()) {
        const value = peek(key)
        if (value) yield [key, value]
      }
    },
    size: memory.size,
    get: async (key) => peek(key),
    async set(key, value, ttlMs, fence) {
      return (!fence || holds(fence)) && memory.set(key, value, now() + ttlMs)
    },
    delete: async (names) => deleteNow(names),
    async lease({ key, holder }, ttlMs) {
      const other = memory.get(key)
      if (other === 'failed') return 'failed'
      if (other !== undefined && other !== holder) return 'held'
      memory.set(key, holder, now() + ttlMs)
      return 'taken'
    },
    async release(lease, end, rememberMs) {
      if (!holds(lease)) return
      if (end === 'failed') memory.set(lease.key, 'failed', now() + rememberMs)
      else memory.delete(lease.key)
    },
    sweep: async (prefix, isDead) => sweepNow(prefix, isDead),
  }
}

const sizeOf = (value: Buffer | string) => (typeof value === 'string' ? value.length * 2 : value.byteLength)
