// Limiter logs where room is short: a client is counted with its network, then with all; nobody gets a new log by
// pushing an old one out, and a hit always has an answer.
import { createKeyKinds, keys } from '../../src/core/keys.ts'
import { coarserOf } from '../../src/core/limited-groups.ts'
import { createLimiter, createOwnLimits, type Policy } from '../../src/core/limiter.ts'
import { createState } from '../../src/core/state/create-state.ts'
import { createHybridClock } from '../../src/core/state/kinds/hybrid-clock.ts'
import { createCoarseCounts } from '../../src/core/state/limits/coarse-counts.ts'
import { createStandby } from '../../src/core/state/standby.ts'
import { createClock } from '../helpers/clock.ts'
import { recordLog } from '../helpers/log.ts'

const policy: Policy = { name: 'p', limit: 3, windowMs: 60_000 }

function open() {
  const clock = createClock(Date.now())
  const hybridClock = createHybridClock()
  const standby = createStandby({ budgetBytes: 1_000, hybridClock, now: clock.now }) // logs: 64 KiB
  const began: string[] = []
  const state = createState({
    store: standby,
    kindOf: createKeyKinds([]),
    hybridClock,
    known: standby.keys,
    placeOf: standby.placeOf,
    coarse: createCoarseCounts((key) => began.push(key)),
    now: clock.now,
  })
  const limiter = createLimiter({ state, now: clock.now })
  const allowed = async (who: string) => (await limiter.hit(policy, who)).allowed
  return { clock, standby, began, limiter, allowed }
}

const address = (i: number) => `address:10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`
const subnet = (i: number) => `address:2001:db8:1:${i.toString(16)}::/64`

test('the groups of a client', () => {
  expect(coarserOf('address:192.0.2.7').map(({ who }) => who)).toEqual([
    'network:192.0.2.0/24',
    'network:192.0.0.0/16',
  ])
  expect(coarserOf('address:2001:db8:1:2::/64').map(({ who }) => who)).toEqual([
    'network:2001:db8:1::/48',
    'network:2001:db8::/32',
  ])
  expect(coarserOf('session:x').map(({ who }) => who)).toEqual(['sessions'])
  expect(['user:telegram:1', 'all', 'shared', 'address:unknown'].flatMap(coarserOf)).toEqual([])
})

test('clients of one network are counted together once room is short, and others by themselves', async () => {
  const { standby, allowed } = open()
  const answers: boolean[] = []
  for (let i = 0; i < 1_000; i += 1) answers.push(await allowed(subnet(i)))
  expect(answers[0]).toBe(true)
  expect(answers.at(-1)).toBe(false) // its /48 is used up
  expect(standby.kept(keys.limit('p', 'network:2001:db8:1::/48'))).toBeDefined()
  expect(standby.size().bytes).toBeLessThan(64 * 1024)
  const other = 'address:192.0.2.1'
  expect([await allowed(other), await allowed('user:telegram:1')]).toEqual([true, true])
  expect(standby.kept(keys.limit('p', 'network:192.0.2.0/24'))).toBeDefined()
  expect(standby.kept(keys.limit('p', 'user:telegram:1'))).toBeDefined()
})

test('who is over the limit stays refused, whatever others do, and is let in again in time', async () => {
  const { clock, standby, allowed } = open()
  for (let i = 0; i < 3; i += 1) await allowed('address:192.0.2.1')
  for (let i = 0; i < 60_000; i += 97) await allowed(address(i * 256)) // a network each
  expect(await allowed('address:192.0.2.1')).toBe(false)
  expect(standby.size().bytes).toBeLessThanOrEqual(64 * 1024)
  clock.turn(60_001)
  for (let i = 0; i < 3; i += 1) expect(await allowed('address:192.0.2.1')).toBe(true)
  expect(await allowed('address:192.0.2.1')).toBe(false)
  expect(standby.kept(keys.limit('p', 'address:192.0.2.1'))).toBeDefined()
})

test('where no log has room, a number counts: nobody is refused for it alone, and it is no way around the limit', async () => {
  const { clock, began, allowed, limiter } = open()
  for (let i = 0; i < 400; i += 1) await allowed(`user:${i}`) // these may fill all of it
  const who = 'address:192.0.2.1'
  expect(await allowed(who)).toBe(true)
  expect(began).toContain(keys.limit('p', 'network:192.0.0.0/16'))
  const flood = await Promise.all(Array.from({ length: 1_000 }, () => allowed(who)))
  expect(flood.filter(Boolean).length).toBeLessThanOrEqual(3 * 16 * 4)
  const { allowed: isAllowed, remaining, retryAfterMs } = await limiter.hit(policy, who)
  expect([isAllowed, remaining]).toEqual([false, 0])
  expect(retryAfterMs).toBeGreaterThan(0)
  expect(retryAfterMs).toBeLessThanOrEqual(60_000)
  const [user, before] = ['user:new', began.length]
  const answers = [await allowed(user), await allowed(user), await allowed(user), await allowed(user)]
  expect([answers, began.length]).toEqual([[true, true, true, false], before + 1])
  clock.turn(120_001)
  expect(await allowed(who)).toBe(true)
})

test('counts are so many; what comes last shares one, and time makes room', () => {
  const counts = createCoarseCounts(() => {})
  const hit = { id: 'x', nowMs: 60_000 * 1_000, limit: 1, windowMs: 60_000 }
  for (let i = 0; i < 1_000; i += 1) expect(counts.hit(`limit:p:${i}`, hit).allowed).toBe(true)
  const more = Array.from({ length: 100 }, (_, i) => counts.hit(`limit:p:more ${i}`, hit).allowed)
  expect(more.filter(Boolean)).toHaveLength(16)
  expect([counts.hit('limit:p:0', hit).allowed, counts.size()]).toEqual([false, 1_001])
  const later = { ...hit, nowMs: hit.nowMs + 2 * 60_000 }
  expect([counts.hit('limit:p:later', later).allowed, counts.size()]).toEqual([true, 1])
})

test('limits of this process alone are so many; who comes last shares one', () => {
  const clock = createClock(Date.now())
  const { log, lines } = recordLog()
  const limits = createOwnLimits(policy, clock.now, { mostClients: 10, log })
  for (let i = 0; i < 10; i += 1) expect(limits.hit(`${i}`)).toBe(true)
  const more = Array.from({ length: 100 }, (_, i) => limits.hit(`more ${i}`))
  expect(more.filter(Boolean)).toHaveLength(3 * 16)
  expect([limits.size(), limits.hit('0')]).toEqual([10, true])
  expect(lines.map(({ fields }) => fields)).toEqual([{ limit: 'p', clients: 10 }])
  clock.turn(60_001)
  expect([limits.hit('new'), limits.size()]).toEqual([true, 1])
})
