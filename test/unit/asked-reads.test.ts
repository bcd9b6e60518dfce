// A read that must ask Redis, because others write there as well: where Redis has what is known here, that is all.
import { createFailoverStateStore } from '../../src/core/state/failover-state-store.ts'
import { createHybridClock } from '../../src/core/state/kinds/hybrid-clock.ts'
import type { VersionedEntry } from '../../src/core/state/kinds/kinds.ts'
import { lwwRegisterOf } from '../../src/core/state/kinds/lww-register.ts'
import { createStandby } from '../../src/core/state/standby.ts'

const hybridClock = createHybridClock()
const KEY = 'session:a'
const version = (text: string): VersionedEntry => ({
  value: lwwRegisterOf(KEY, { timestamp: hybridClock.next(), bytes: Buffer.from(text) }),
  expiresAtMs: Date.now() + 60_000,
})

function open(find: (known: VersionedEntry | undefined) => VersionedEntry | undefined) {
  const did: string[] = []
  const standby = createStandby({ budgetBytes: 1_000_000, hybridClock })
  const store = createFailoverStateStore({
    redis: { find: async (key: string) => find(standby.kept(key)) },
    standby,
    journal: { has: () => false, put: () => did.push('journal') },
    failover: { isRedis: () => true, attempt: (onRedis: () => unknown) => onRedis() },
    absence: { isComplete: () => true },
    kindOf: () => 'lww-register',
    isKnown: () => false,
    epoch: () => 'epoch',
    expectSameEpoch: async () => void did.push('epoch'),
    takesHit: () => true,
    written: () => {},
  } as unknown as Parameters<typeof createFailoverStateStore>[0])
  return { did, standby, store }
}

test('the version that is known here, or none anywhere: Redis is asked nothing more, and nothing is journaled', async () => {
  const same = open((known) => known)
  expect(await same.store.find(KEY)).toBeUndefined()
  const known = version('x')
  same.standby.apply(KEY, known)
  expect((await same.store.find(KEY))?.value).toBe(known.value)
  expect(same.did).toEqual([])
})

test('a newer version of Redis is copied; an older one is told of what is known here', async () => {
  const [older, newer] = [version('older'), version('newer')]
  const ahead = open(() => newer)
  ahead.standby.apply(KEY, older)
  expect((await ahead.store.find(KEY))?.value).toBe(newer.value)
  expect(ahead.standby.kept(KEY)?.value).toBe(newer.value)
  expect(ahead.did).toEqual([])

  const behind = open(() => older)
  behind.standby.apply(KEY, newer)
  expect((await behind.store.find(KEY))?.value).toBe(newer.value)
  expect(behind.did).toEqual(['epoch', 'journal'])
})
