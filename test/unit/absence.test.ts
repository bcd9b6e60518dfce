import { createAbsence } from '../../src/core/state/absence/absence.ts'
import { createHybridClock } from '../../src/core/state/kinds/hybrid-clock.ts'
import type { VersionedEntry } from '../../src/core/state/kinds/kinds.ts'
import { createStandby } from '../../src/core/state/standby.ts'
import { withDeadline } from '../../src/lib/async/request-deadline.ts'

const BUDGET_MS = 40
const STARTED_AT_MS = 1_000_000
const hybridClock = createHybridClock()
const lasting = <V extends VersionedEntry['value']>(value: V) => ({ value, expiresAtMs: Date.now() + 60_000 })
const claim = (text: string) =>
  lasting({
    kind: 'first-write-wins-register' as const,
    timestamp: hybridClock.next(),
    bytes: Buffer.from(text),
  })
const record = () =>
  lasting({ kind: 'lww-register' as const, timestamp: hybridClock.next(), bytes: Buffer.alloc(1) })
const members = (id: string) =>
  lasting({ kind: 'expiring-set' as const, members: [{ id, untilMs: Date.now() + 60_000 }] })
const outcome = (call: Promise<unknown>) => call.catch((error: { code?: string }) => error.code)

function open() {
  const absence = createAbsence({ budgetMs: BUDGET_MS, startedAtMs: STARTED_AT_MS })
  return { absence, standby: createStandby({ budgetBytes: 1_000_000, hybridClock, absence }) }
}

test('what has not been read is unknown, whatever depends on its absence', async () => {
  const { absence, standby } = open()
  expect(await outcome(standby.find('session:a'))).toBe('state_unknown')
  expect(await outcome(standby.find('revoked:a'))).toBe('state_unknown')
  expect(await outcome(standby.claim('login:a', claim('a')))).toBe('state_unknown')
  expect(standby.kept('login:a')).toBeUndefined()
  expect(await outcome(standby.replace('session:a', record(), undefined))).toBe('state_unknown')
  await standby.put('sessions:a', members('one'))
  expect(await outcome(standby.find('sessions:a'))).toBe('state_unknown')
  const hit = { id: 'x', nowMs: Date.now(), limit: 1, windowMs: 60_000 }
  expect((await standby.hit('limit:a', hit)).allowed).toBe(true)
  expect((await standby.hit('limit:a', { ...hit, id: 'y' })).allowed).toBe(false)

  absence.complete()
  expect(await standby.find('session:a')).toBeUndefined()
  expect(await standby.find('sessions:a')).toBeDefined()
  expect((await standby.claim('login:a', claim('a'))).value.bytes.toString()).toBe('a')
  absence.incomplete()
  expect(await outcome(standby.find('session:a'))).toBe('state_unknown')
})

test('what is known is answered, and what was made since the start is absent', async () => {
  const { standby } = open()
  standby.apply('login:used', claim('used'))
  expect((await standby.claim('login:used', claim('again'))).value.bytes.toString()).toBe('used')
  expect(await outcome(standby.claim('login:old', claim('a'), STARTED_AT_MS - 1))).toBe('state_unknown')
  expect((await standby.claim('login:new', claim('a'), STARTED_AT_MS)).value.bytes.toString()).toBe('a')
  expect(await standby.find('revoked:a', STARTED_AT_MS)).toBeUndefined()
  expect(await standby.replace('session:new', record(), undefined, STARTED_AT_MS)).toBe(true)
})

test('where there is no Redis that could know more, it is absent for as long as that is so', () => {
  const { absence } = open()
  absence.setAlone(true)
  absence.expectKnown()
  absence.setAlone(false)
  expect(() => absence.expectKnown()).toThrow(expect.objectContaining({ code: 'state_unknown' }))
})

test('who waits is told when more is known, and refused when the budget is used up', async () => {
  const { absence } = open()
  const waiting = [absence.untilMore(), absence.untilMore()]
  absence.redisIsAsked()
  await Promise.all(waiting)
  const completed = absence.untilMore()
  absence.complete()
  await completed
  await absence.untilMore()
  absence.incomplete()
  expect(await outcome(absence.untilMore())).toBe('state_unknown')
})

test('a request that has waited for its deadline does not wait again', async () => {
  const { absence } = open()
  const code = await new Promise((resolve, reject) =>
    withDeadline(BUDGET_MS, () => {
      const twice = async () => [await outcome(absence.untilMore()), await outcome(absence.untilMore())]
      twice().then(resolve, reject)
    }),
  )
  expect(code).toEqual(['state_unknown', 'state_unknown'])
  absence.close()
})
