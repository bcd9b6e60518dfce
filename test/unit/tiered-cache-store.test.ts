// The tier before Redis, over a second memory store in Redis' place: what it remembers of keys stays within bounds.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { createMemoryStore } from '../../src/core/cache/memory-cache-store.ts'
import { createPendingInvalidations } from '../../src/core/cache/pending-invalidations.ts'
import { createTieredStore } from '../../src/core/cache/tiered-cache-store.ts'
import { recordLog } from '../helpers/log.ts'

const KEYS = 160_000
const MB = 1024 * 1024

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

function heapBytes(): number {
  collectGarbage()
  return process.memoryUsage().heapUsed
}

function openTier(budgetBytes: number) {
  const below = createMemoryStore({ budgetBytes: 1_000 * MB })
  const memory = createMemoryStore({ budgetBytes })
  let invalidate: (key: string | undefined) => void = () => {}
  const store = createTieredStore({
    redis: { ...below, fill: async () => {}, isOlder: async () => false },
    memory,
    failover: {
      attempt: (onRedis) => onRedis(),
      served: () => {},
      isRedis: () => true,
      status: () => ({
        status: 'redis',
        sinceMs: 0,
        activations: 0,
        blips: 0,
        reconnects: 0,
        servedCalls: 0,
        lastError: null,
      }),
      onStatus: () => {},
      foundLoss: () => {},
      start: () => {},
      close: () => {},
    },
    merge: { sweepLater: () => {} },
    pendingInvalidations: createPendingInvalidations(),
    connection: {
      isTracked: () => true,
      onInvalidate: (listener) => {
        invalidate = listener
      },
    },
    inspect: () => ({ remainingMs: 60_000, storedAtMs: 0 }),
    log: recordLog().log,
  })
  return { store, below, memory, invalidate: (key?: string) => invalidate(key) }
}

test('what was read once and has left memory leaves nothing behind', async () => {
  const { store, below } = openTier(100_000)
  const names = Array.from({ length: KEYS }, (_, i) => `key:${i}`)
  for (const name of names) await below.set(name, Buffer.from('1'), 600_000)
  const read = async (some: string[]) => {
    for (const name of some) await store.get(name)
  }
  await read(names.slice(0, KEYS / 4)) // so that what is allocated once is not measured
  const before = heapBytes()
  await read(names.slice(KEYS / 4))
  expect(heapBytes() - before).toBeLessThan(4 * MB) // measured: 2 MB; with a map of the names, 7 MB
}, 60_000)

test('a value is trusted until another client writes its key, or everything is read again', async () => {
  const { store, below, invalidate } = openTier(MB)
  for (const name of ['a', 'b']) {
    await below.set(name, Buffer.from('old'), 60_000)
    await store.get(name)
    await below.set(name, Buffer.from('new'), 60_000)
  }
  expect(['a', 'b'].map((name) => String(store.peek(name)))).toEqual(['old', 'old'])
  invalidate('a')
  expect(['a', 'b'].map((name) => String(store.peek(name)))).toEqual(['undefined', 'old'])
  expect(String(await store.get('a'))).toBe('new')
  store.revalidate()
  expect(['a', 'b'].map((name) => String(store.peek(name)))).toEqual(['undefined', 'undefined'])
  expect(String(await store.get('b'))).toBe('new')
})

test('a value that memory has no room for is served all the same, and is not taken for one in memory', async () => {
  const { store, below, memory } = openTier(1_000)
  await below.set('large', Buffer.alloc(2_000, 'x'), 60_000)
  expect((await store.get('large'))?.length).toBe(2_000)
  expect(store.peek('large')).toBeUndefined()
  expect(memory.size().keys).toBe(0)
})
