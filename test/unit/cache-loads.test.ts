import { createCacheLoads } from '../../src/core/cache/cache-loads.ts'
import { createCacheValues } from '../../src/core/cache/cache-values.ts'
import type { GenerationCounters } from '../../src/core/cache/generation-counters.ts'
import { createMemoryStore } from '../../src/core/cache/memory-cache-store.ts'
import { requestSignal, withRequestSignal } from '../../src/lib/async/request-signal.ts'
import { pause } from '../../src/lib/time.ts'
import { recordLog } from '../helpers/log.ts'

const clears = {
  top: () => 0,
  isDead: () => false,
  isStale: () => false,
  clearedAt: () => 0,
} as unknown as GenerationCounters

function createLoads() {
  const { log, lines } = recordLog()
  const store = createMemoryStore({ budgetBytes: 10_000_000 })
  const values = createCacheValues({ clears, defaultFreshMs: 60_000, log, now: Date.now })
  const loads = createCacheLoads({ store, clears, values, log, now: Date.now })
  return { loads, store, lines }
}
const policy = { staleMs: 0, parse: String }
const turn = () => new Promise(setImmediate)

test('a load that nobody waits for any more ends, tells what it asked, and gives its lease back', async () => {
  const { loads, store, lines } = createLoads()
  const gone = new AbortController()
  let inner: AbortSignal | undefined
  const hanging = withRequestSignal(gone.signal, () =>
    loads.run('key', policy, () => {
      inner = requestSignal()
      return new Promise<string>(() => {})
    }),
  )
  await turn()
  expect(await store.lease({ key: 'lock:key', holder: 'other' }, 1_000)).toBe('held')
  gone.abort()
  await expect(hanging).rejects.toMatchObject({ code: 'abandoned' })
  await turn()
  expect([inner?.aborted, lines]).toEqual([true, []])
  const again = await loads.run('key', policy, async () => 'loaded')
  expect(again.value).toBe('loaded')
})

test('a load lives while one of its callers waits, and the one that left is let go at once', async () => {
  const { loads } = createLoads()
  const [gone, stays] = [new AbortController(), new AbortController()]
  let answer: (value: string) => void = () => {}
  const run = () =>
    loads.run(
      'key',
      policy,
      () =>
        new Promise<string>((resolve) => {
          answer = resolve
        }),
    )
  const first = withRequestSignal(gone.signal, run)
  const second = withRequestSignal(stays.signal, run)
  await turn()
  gone.abort()
  await expect(first).rejects.toMatchObject({ code: 'abandoned' })
  answer('loaded')
  expect((await second).value).toBe('loaded')
})

test('so many loads run at a time, and one too many is refused', async () => {
  const { loads } = createLoads()
  const gone = new AbortController()
  const outcomes = withRequestSignal(gone.signal, () =>
    Promise.allSettled(
      Array.from({ length: 2_100 }, (_, i) =>
        loads.run(`key-${i}`, policy, () => new Promise<string>(() => {})),
      ),
    ),
  )
  await expect(loads.run('other', policy, async () => 'loaded')).rejects.toMatchObject({
    code: 'too_many_loads',
    retryAfterMs: 2_000,
  })
  gone.abort()
  const codes = (await outcomes).map((one) => one.status === 'rejected' && one.reason.code)
  expect(codes.filter((code) => code === 'too_many_loads')).toHaveLength(100)
  await turn()
  expect((await loads.run('other', policy, async () => 'loaded')).value).toBe('loaded')
})

const RENEWED_MS = 2_000 // a third of the lease

test('a lease is not renewed once its load has ended: it would be taken again after its release', async () => {
  const { log } = recordLog()
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

/** Loads whose clears are `cleared`, by key, as another process' are: nobody here is told of them. */
function createClearedLoads() {
  const { log } = recordLog()
  const cleared = new Map<string, number>()
  const clears = {
    top: () => Math.max(0, ...cleared.values()),
    isDead: (key: string, { generation }: { generation: number }) => (cleared.get(key) ?? 0) > generation,
    isStale: () => false,
    clearedAt: (key: string) => cleared.get(key) ?? 0,
  } as unknown as GenerationCounters
  const store = createMemoryStore({ budgetBytes: 10_000_000 })
  const values = createCacheValues({ clears, defaultFreshMs: 60_000, log, now: Date.now })
  return { loads: createCacheLoads({ store, clears, values, log, now: Date.now }), cleared }
}
const hanging = () => new Promise<string>(() => {})

test('of clears one after another, each finds the loads that began before it, not the last one alone', async () => {
  const { loads, cleared } = createClearedLoads()
  for (const key of ['a', 'b', 'c']) loads.run(key, policy, hanging).catch(() => {}) // given up after the test
  await turn()
  cleared.set('a', 1).set('b', 2)
  expect(loads.cleared()).toEqual(['a', 'b'])
  await Promise.all(loads.cleared().map(loads.supersede))
  expect(loads.cleared()).toEqual([])
})

test('who asks after a clear joins no load from before it, whoever cleared, and causes one', async () => {
  const { loads, cleared } = createClearedLoads()
  loads.run('a', policy, hanging).catch(() => {}) // given up after the test
  await turn()
  expect(loads.isRunning('a')).toBe(true)
  cleared.set('a', 1)
  expect(loads.isRunning('a')).toBe(false)
  const both = [loads.run('a', policy, async () => 'new'), loads.run('a', policy, async () => 'newer')]
  expect(loads.isRunning('a')).toBe(true)
  expect((await Promise.all(both)).map(({ value }) => value)).toEqual(['new', 'new'])
})
