// Which values count as entries after soft clears: over a store whose Redis is a second memory.
import { createCache } from '../../src/core/cache/cache.ts'
import type { GenerationCounters } from '../../src/core/cache/generation-counters.ts'
import { createGenerationCounters } from '../../src/core/cache/generation-counters.ts'
import { createMemoryStore } from '../../src/core/cache/memory-cache-store.ts'
import { bumped, NO_FIELDS } from '../../src/core/state/kinds/max-register-map.ts'
import type { StateCounters } from '../../src/core/state/state-counters.ts'
import { recordLog } from '../helpers/log.ts'

function createCounters(): GenerationCounters {
  let map = NO_FIELDS
  let changed: (fields: typeof map.fields) => void = () => {}
  const counters = {
    known: () => map.fields,
    onChange: (listener: typeof changed) => {
      changed = listener
    },
    async bump(fields: readonly string[], floor: number) {
      const { entry, top } = bumped(map, fields, floor)
      map = entry.value
      changed(map.fields)
      return top
    },
    isRedis: () => false,
    isTracked: () => true,
    isPending: () => false,
  } as unknown as StateCounters
  return createGenerationCounters({ counters, log: recordLog().log })
}

test('stale copies are counted apart, one less with each that is loaded again, and none after a hard clear', async () => {
  const memory = createMemoryStore({ budgetBytes: 1_000_000 })
  const store = {
    ...memory,
    sweepBehind: async (isDead: Parameters<typeof memory.sweepNow>[1]) => memory.sweepNow('', isDead),
  }
  const { log } = recordLog()
  const cache = createCache({ store, clears: createCounters(), enabled: true, log })
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
