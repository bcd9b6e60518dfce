// Which values count as entries after soft clears: over a store whose Redis is a second memory.
import { createCache } from '../../src/core/cache/cache.ts'
import { createMemoryStore } from '../../src/core/cache/memory-cache-store.ts'
import { recordLog } from '../helpers/log.ts'
import { createMemoryCounters } from '../helpers/memory-counters.ts'

test('stale copies are counted apart, one less with each that is loaded again, and none after a hard clear', async () => {
  const memory = createMemoryStore({ budgetBytes: 1_000_000 })
  const store = {
    ...memory,
    sweepBehind: async (isDead: Parameters<typeof memory.sweepNow>[1]) => memory.sweepNow('', isDead),
  }
  const { log } = recordLog()
  const cache = createCache({ store, clears: createMemoryCounters(), enabled: true, log })
  const policy = { staleMs: 60_000, parse: String, tags: ['some'] }
  const read = (key: string) => cache.getOrLoad(key, policy, async () => 'value')
  for (const key of ['a:1', 'a:2', 'b:1']) await read(key)
  expect(cache.staleCopies()).toEqual({ memory: 0, redis: 0 })
  expect(await cache.clear({ prefix: 'a:' }, { isSoft: true })).toBe(2)
  await cache.close()
  expect(cache.staleCopies()).toEqual({ memory: 2, redis: 2 })
  expect(await cache.clear('all', { isSoft: true })).toBe(1)
  await cache.close()
  expect(cache.staleCopies()).toEqual({ memory: 3, redis: 3 })
  expect((await read('a:1')).outcome).toBe('miss')
  expect(cache.staleCopies()).toEqual({ memory: 2, redis: 2 })
  await cache.clear('all')
  await cache.close()
  expect([cache.staleCopies(), memory.size().keys]).toEqual([{ memory: 0, redis: 0 }, 0])
})
