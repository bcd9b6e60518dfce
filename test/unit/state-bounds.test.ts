// Every bounded thing of the state role says when it did not take something.
import { createDamageLog } from '../../src/core/damage-log.ts'
import { createKeyKinds } from '../../src/core/keys.ts'
import { createChangeFeed } from '../../src/core/state/change-feed.ts'
import { createJournal } from '../../src/core/state/disk/journal.ts'
import { createHybridClock } from '../../src/core/state/kinds/hybrid-clock.ts'
import type { VersionedEntry } from '../../src/core/state/kinds/kinds.ts'
import { createMergeReport } from '../../src/core/state/merge/merge-report.ts'
import type { RedisStateStore } from '../../src/core/state/redis-state-store.ts'
import { createStandby } from '../../src/core/state/standby.ts'
import { recordLog } from '../helpers/log.ts'

const hybridClock = createHybridClock()
const inAMinute = () => Date.now() + 60_000
const mark = (number: number): VersionedEntry => ({
  value: { kind: 'max-register', number },
  expiresAtMs: inAMinute(),
})

test('the lists of an outage are bounded, and the last line says how many more there were', () => {
  const report = createMergeReport()
  for (let i = 0; i < 250; i += 1) report.addConflict(`webhook:s:${i} was processed twice`)
  for (let i = 0; i < 117; i += 1) report.addAccepted(`webhook:s:${i}`)
  const { conflicts, accepted } = report.take()
  expect(conflicts).toHaveLength(101)
  expect(conflicts.at(-1)).toBe('and 150 more')
  expect(accepted).toHaveLength(101)
  expect(accepted.at(-1)).toBe('and 17 more')
})

test('a journal that is given more than it may hold keeps it, says so once, and refuses new keys', () => {
  const { log, lines } = recordLog()
  const journal = createJournal(log)
  journal.putAll(Array.from({ length: 100_001 }, (_, i) => [`revoked:${i}`, mark(i)] as const))
  journal.putAll([['revoked:more', mark(1)]])
  expect(journal.size()).toBe(100_002)
  expect(lines.map(({ message }) => message)).toEqual([
    'the journal is full: until Redis has it, new keys are refused with state_full',
  ])
  expect(() => journal.put('revoked:new', mark(1))).toThrow(expect.objectContaining({ code: 'state_full' }))
  journal.put('revoked:1', mark(9)) // it has a place already
})

test('limiter logs and sessions take no room of each other', async () => {
  const standby = createStandby({ budgetBytes: 4_000, hybridClock })
  const hit = { id: 'x', nowMs: Date.now(), limit: 5, windowMs: 60_000 }
  const count = async (i: number) =>
    standby.hit(`limit:p:${i}`, hit).then(
      () => true,
      (error) => error.code,
    )
  const counted = await Promise.all(Array.from({ length: 500 }, (_, i) => count(i)))
  expect([counted[0], counted.at(-1)]).toEqual([true, 'state_full'])
  const bytes = Buffer.alloc(2_500)
  const value = { kind: 'lww-register', timestamp: hybridClock.next(), bytes } as const
  expect(await standby.put('session:x', { value, expiresAtMs: inAMinute() })).toBe(true)
  expect(standby.kept('limit:p:0')).toBeDefined()
  expect(standby.coverage()).toBe('partial') // no resync has ended, but nothing is missing
  expect(standby.isIncomplete()).toBe(false)
})

test('generation counters are not refused by a full memory', async () => {
  const standby = createStandby({ budgetBytes: 2_000, hybridClock })
  const none = { kind: 'max-register-map', fields: new Map() } as const
  standby.apply('generations', { value: none, expiresAtMs: Number.POSITIVE_INFINITY })
  for (let i = 0; i < 10; i += 1) standby.apply(`revoked:${i}`, mark(i))
  const many = Array.from({ length: 900 }, (_, i) => `tag:${i}`)
  expect(await standby.bump('generations', many, 0)).toBe(1)
  expect(await standby.bump('generations', ['all'], 0)).toBe(2)
})

test('more changed keys than can be noted ask for a full resync', () => {
  const feed = createChangeFeed({
    redis: {} as RedisStateStore,
    standby: createStandby({ budgetBytes: 1_000, hybridClock }),
    journal: createJournal(),
    kindOf: createKeyKinds([]),
    epoch: () => undefined,
    expectSameEpoch: async () => {},
  })
  for (let i = 0; i < 100_000; i += 1) feed.note(`limit:p:${i}`)
  expect([feed.has('limit:p:other'), feed.takeOverflow()]).toEqual([false, false])
  feed.note('limit:p:one-more')
  expect([feed.has('limit:p:other'), feed.takeOverflow(), feed.takeOverflow()]).toEqual([true, true, false])
})

test('a damaged key is named once, and no more than a hundred are; all are counted', () => {
  const { log, lines } = recordLog()
  const damage = createDamageLog(log)
  for (let i = 0; i < 150; i += 1) damage.note('Redis', `session:${i % 120}`)
  expect(damage.count()).toBe(150)
  expect(lines).toHaveLength(101)
  expect(lines.at(-1)?.message).toBe(
    'more keys are damaged than are named in this log: the others are only counted',
  )
})
