import { createMemoryStore } from '../../src/core/cache/memory-cache-store.ts'
import { createClock } from '../helpers/clock.ts'

const KB = Buffer.alloc(1_000)

describe('a cache that is full', () => {
  test('stays within its bytes and drops the oldest write first', async () => {
    const store = createMemoryStore({ budgetBytes: 10_000 })
    for (let i = 0; i < 50; i += 1) await store.set(`key-${i}`, KB, 60_000)
    expect(store.size().bytes).toBeLessThanOrEqual(10_000)
    expect(store.peek('key-49')).toBeDefined()
    expect(store.peek('key-0')).toBeUndefined()
  })

  test('goes without a value that is larger than all of it, and forgets the one it had', async () => {
    const store = createMemoryStore({ budgetBytes: 10_000 })
    await store.set('key', KB, 60_000)
    await store.set('key', Buffer.alloc(20_000), 60_000)
    expect(store.peek('key')).toBeUndefined()
    expect(store.size()).toEqual({ keys: 0, bytes: 0 })
  })

  test('says that it did not take a value larger than all of it, and evicts none for it', async () => {
    const store = createMemoryStore({ budgetBytes: 10_000 })
    for (const key of ['a', 'b', 'c']) expect(await store.set(key, KB, 60_000)).toBe(true)
    expect(await store.set('large', Buffer.alloc(20_000), 60_000)).toBe(false)
    expect(await store.set('a', Buffer.alloc(20_000), 60_000)).toBe(false)
    expect(['a', 'b', 'c', 'large'].map((key) => store.peek(key) !== undefined)).toEqual([
      false,
      true,
      true,
      false,
    ])
  })

  test('counts no byte twice, whatever is written, overwritten, expired and deleted', async () => {
    const { now, turn } = createClock()
    const store = createMemoryStore({ budgetBytes: 50_000, now })
    for (let i = 0; i < 2_000; i += 1) {
      const key = `key-${i % 37}`
      if (i % 5 === 0) store.deleteNow([key])
      else await store.set(key, Buffer.alloc((i * 7) % 900), 1 + ((i * 13) % 500))
      turn(i % 11)
    }
    store.deleteNow(Array.from({ length: 37 }, (_, i) => `key-${i}`))
    expect(store.size()).toEqual({ keys: 0, bytes: 0 })
  })
})

test('expiry follows the injected clock', async () => {
  const { now, turn } = createClock()
  const store = createMemoryStore({ budgetBytes: 10_000, now })
  await store.set('key', KB, 1_000)
  turn(999)
  expect(store.peek('key')).toBeDefined()
  turn(1)
  expect(store.peek('key')).toBeUndefined()
})
