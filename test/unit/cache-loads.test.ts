import { createCacheLoads } from '../../src/core/cache/cache-loads.ts'
import { createCacheValues } from '../../src/core/cache/cache-values.ts'
import type { GenerationCounters } from '../../src/core/cache/generation-counters.ts'
import { createMemoryStore } from '../../src/core/cache/memory-cache-store.ts'
import { pause } from '../../src/lib/time.ts'
import { recordLog } from '../helpers/log.ts'

const RENEWED_MS = 2_000 // a third of the lease

test('a lease is not renewed once its load has ended: it would be taken again after its release', async () => {
  const { log } = recordLog()
  const clears = { top: () => 0, isDead: () => false } as unknown as GenerationCounters
  const memory = createMemoryStore({ budgetBytes: 1_000_000 })
  let leases = 0
  const store = {
    ...memory,
    lease: (...args: Parameters<typeof memory.lease>) => {
      leases += 1
      return memory.lease(...args)
    },
    async release(...args: Parameters<typeof memory.release>) {
      await memory.release(...args)
      await pause(RENEWED_MS + 500) // the reply is late
    },
  }
  const values = createCacheValues({ clears, defaultFreshMs: 60_000, log, now: Date.now })
  const loads = createCacheLoads({ store, clears, values, log, now: Date.now })
  const { value } = await loads.run('key', { staleMs: 0, parse: String }, async () => 'loaded')
  expect([value, leases]).toEqual(['loaded', 1])
})
