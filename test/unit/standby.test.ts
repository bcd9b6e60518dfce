import { createHybridClock } from '../../src/core/state/kinds/hybrid-clock.ts'
import type { VersionedEntry } from '../../src/core/state/kinds/kinds.ts'
import { createStandby } from '../../src/core/state/standby.ts'

const hybridClock = createHybridClock()
const inAMinute = () => Date.now() + 60_000
const record = (sizeBytes: number): VersionedEntry => ({
  value: { kind: 'lww-register', timestamp: hybridClock.next(), bytes: Buffer.alloc(sizeBytes) },
  expiresAtMs: inAMinute(),
})
const log = (hits: number): VersionedEntry => ({
  value: {
    kind: 'sliding-window-log',
    hits: Array.from({ length: hits }, (_, i) => ({ id: `${i}`, atMs: i })),
  },
  expiresAtMs: inAMinute(),
})
const find = (standby: ReturnType<typeof openSmall>, key: string) =>
  standby.find(key).catch((error: { code?: string }) => error.code)

const openSmall = () => createStandby({ budgetBytes: 3_000, hybridClock })

test('a resync that is cut off does not make absent what did not fit before', async () => {
  const standby = openSmall()
  for (let i = 0; i < 10; i += 1) standby.apply(`session:${i}`, record(300))
  expect(await find(standby, 'session:9')).toBe('state_full')
  standby.beginResync()
  expect(await find(standby, 'session:9')).toBe('state_full')
  expect(standby.coverage()).toBe('partial')
})

test('a resync in which everything fits says so; one in which something does not, says that', async () => {
  const standby = openSmall()
  standby.setIncomplete()
  standby.beginResync()
  standby.apply('session:0', record(300))
  standby.endResync()
  expect(standby.coverage()).toBe('full')
  expect(await find(standby, 'session:9')).toBeUndefined()
  standby.beginResync()
  for (let i = 0; i < 10; i += 1) standby.apply(`session:${i}`, record(300))
  standby.endResync()
  expect(standby.coverage()).toBe('partial')
})

test('a limiter log that does not fit keeps what it had, and makes no other key unknown', async () => {
  const standby = openSmall()
  standby.apply('limit:a', log(2))
  standby.apply('limit:a', log(1_000))
  standby.countHit('limit:b', { id: 'x', nowMs: Date.now(), limit: 1_000, windowMs: 60_000, cost: 900 })
  standby.endResync()
  expect(standby.kept('limit:a')?.value).toMatchObject({ hits: [{ id: '0' }, { id: '1' }] })
  expect(standby.coverage()).toBe('full')
  expect(await find(standby, 'session:nobody')).toBeUndefined()
})

test('a version that does not fit leaves no older one behind', async () => {
  const standby = openSmall()
  standby.apply('session:one', record(10))
  standby.apply('session:one', record(5_000))
  expect(standby.kept('session:one')).toBeUndefined()
  expect(await find(standby, 'session:one')).toBe('state_full')
})

test('a hit that was copied from Redis before its answer came is in the log once', () => {
  const standby = openSmall()
  const hit = { id: 'x', nowMs: Date.now(), limit: 5, windowMs: 60_000, cost: 2 }
  standby.countHit('limit:a', hit)
  standby.countHit('limit:a', hit)
  const { value } = standby.kept('limit:a') ?? {}
  const ids = value?.kind === 'sliding-window-log' ? value.hits.map(({ id }) => id) : []
  expect(ids.sort()).toEqual(['x', 'x:1']) // in the order of their checksums before
})
