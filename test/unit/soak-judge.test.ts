// The soak's checker finds what must not pass: an observation of each kind that is wrong, beside one that is right.
import { growthOf, judgeGrowth, type Sample } from '../../bench/soak/growth.ts'
import {
  judgeAlerts,
  judgeAnswer,
  judgeCleared,
  judgeDelivery,
  judgeEarly,
  judgeListed,
  judgeLogin,
  judgeOverLimit,
  judgeUsedLogin,
} from '../../bench/soak/judge.ts'
import type { Hit, Limited, Login, Person } from '../../bench/soak/ledger.ts'
import { judgeSlow } from '../../bench/soak/timings.ts'

const login = (state: Login['state']): Login => ({
  number: 1,
  userId: 'telegram:71',
  cookie: 'sid=1',
  fields: {},
  sentAtMs: 0,
  state,
})
const delivery = (isAcknowledged: boolean) => ({ id: 'a', body: '{}', isAcknowledged, acknowledgedAtMs: 0 })
const person = (alerts: [string, 'there' | 'leaving' | 'gone'][], unsureAlerts = 0): Person => ({
  userId: 'telegram:71',
  logins: [],
  alerts: new Map(alerts),
  unsureAlerts,
  turn: Promise.resolve(),
})
const hits = (outcome: Hit['outcome'], atMs: readonly number[]): Hit[] =>
  atMs.map((sentAtMs) => ({ sentAtMs, receivedAtMs: sentAtMs + 5, outcome }))
const limited = (some: Hit[]): Limited => ({
  name: 'unsigned',
  who: 'me',
  limit: 3,
  windowMs: 1_000,
  hits: some,
})
const calls = (name: string, ...tookMs: number[]) =>
  tookMs.map((took, i) => ({ name, startMs: i * 100, endMs: i * 100 + took }))

describe('logins', () => {
  test('one that was acknowledged is logged out', () => {
    expect(judgeLogin(login('in'), { status: 401 })?.kind).toBe('logged out')
    expect(judgeLogin(login('in'), { status: 200, userId: 'telegram:71' })).toBeUndefined()
    expect(judgeLogin(login('leaving'), { status: 401 })).toBeUndefined()
  })

  test('a logout is undone', () => {
    expect(judgeLogin(login('out'), { status: 200, userId: 'telegram:71' })?.kind).toBe('logout undone')
    expect(judgeLogin(login('out'), { status: 401 })).toBeUndefined()
    expect(judgeLogin(login('leaving'), { status: 200, userId: 'telegram:71' })).toBeUndefined()
  })

  test('a cookie is another person', () => {
    for (const state of ['in', 'leaving', 'out'] as const)
      expect(judgeLogin(login(state), { status: 200, userId: 'telegram:75' })?.kind).toBe('another person')
  })

  test('a signed login is taken again', () => {
    expect(judgeUsedLogin(login('in'), { status: 200 })?.kind).toBe('login used twice')
    expect(judgeUsedLogin(login('in'), { status: 401 })).toBeUndefined()
  })
})

describe('deliveries', () => {
  test('one that was acknowledged is handled again', () => {
    expect(judgeDelivery(delivery(true), { status: 204, isReplay: false })?.kind).toBe('handled twice')
    expect(judgeDelivery(delivery(true), { status: 204, isReplay: true })).toBeUndefined()
    expect(judgeDelivery(delivery(true), { status: 409, isReplay: false })).toBeUndefined()
    expect(judgeDelivery(delivery(false), { status: 204, isReplay: false })).toBeUndefined()
  })

  test('one is not among those that the admin sees, or twice', () => {
    expect(judgeListed(['b'], ['a', 'b'])).toMatchObject([{ kind: 'delivery lost' }])
    expect(judgeListed(['a', 'b', 'a'], ['a', 'b'])).toMatchObject([{ kind: 'handled twice' }])
    expect(judgeListed(['c', 'b', 'a'], ['a', 'b'])).toEqual([])
  })
})

describe('alerts', () => {
  test('one that was acknowledged is not there', () => {
    expect(judgeAlerts(person([['a', 'there']]), [])).toMatchObject([{ kind: 'alert lost' }])
    expect(judgeAlerts(person([['a', 'leaving']]), [])).toEqual([])
  })

  test('one that was deleted is there, or one that nobody made', () => {
    expect(judgeAlerts(person([['a', 'gone']]), ['a'])).toMatchObject([{ kind: 'alert came back' }])
    expect(judgeAlerts(person([]), ['b'])).toMatchObject([{ kind: 'alert came back' }])
    expect(judgeAlerts(person([], 1), ['b'])).toEqual([])
  })
})

describe('limits', () => {
  test('more was allowed in a window than the limit', () => {
    expect(judgeOverLimit(limited(hits('allowed', [0, 100, 200, 300])))?.kind).toBe('over a limit')
    expect(judgeOverLimit(limited(hits('allowed', [0, 100, 200, 1_000])))).toBeUndefined()
    // The first may have been counted a moment before the window of the others.
    expect(judgeOverLimit(limited(hits('allowed', [0, 500, 900, 996])))).toBeUndefined()
    expect(judgeOverLimit(limited(hits('refused', [0, 100, 200, 300])))).toBeUndefined()
  })

  test('a hit was refused before the limit was reached', () => {
    const [refused] = hits('refused', [500]) as [Hit]
    expect(judgeEarly(limited([...hits('allowed', [0, 100]), refused]), refused)?.kind).toBe(
      'refused too early',
    )
    expect(judgeEarly(limited([...hits('allowed', [0, 100, 200]), refused]), refused)).toBeUndefined()
    // One without an answer may have counted.
    expect(
      judgeEarly(limited([...hits('allowed', [0, 100]), ...hits('unknown', [200]), refused]), refused),
    ).toBeUndefined()
  })
})

test('a value that was cleared is served', () => {
  expect(judgeCleared(1_000, 1_001)?.kind).toBe('cleared value served')
  expect(judgeCleared(1_001, 1_001)).toBeUndefined()
})

describe('answers', () => {
  const seen = { name: 'read', code: undefined, expected: [200], gap: undefined }

  test('there is none', () => {
    expect(judgeAnswer({ ...seen, status: undefined, failure: 'ECONNREFUSED' })?.kind).toBe('no answer')
    expect(judgeAnswer({ ...seen, status: undefined, gap: 'app killed' })).toBeUndefined()
  })

  test('it is a failure without a name', () => {
    expect(judgeAnswer({ ...seen, status: 500, code: 'internal' })?.kind).toBe('unnamed failure')
    expect(judgeAnswer({ ...seen, status: 500, code: 'internal', gap: 'redeploy' })?.kind).toBe(
      'unnamed failure',
    )
    expect(judgeAnswer({ ...seen, status: 503, code: 'stopping' })?.kind).toBe('unnamed failure')
    expect(judgeAnswer({ ...seen, status: 503, code: 'stopping', gap: 'redeploy' })).toBeUndefined()
    for (const code of ['state_full', 'state_unknown', 'handing_over', 'overloaded'])
      expect(judgeAnswer({ ...seen, status: 503, code })).toBeUndefined()
  })

  test('it is not one of those that can be right', () => {
    expect(judgeAnswer({ ...seen, status: 404, code: 'not_found' })?.kind).toBe('unexpected answer')
    expect(judgeAnswer({ ...seen, status: 200 })).toBeUndefined()
  })
})

describe('times', () => {
  const bound = { times: 4, plusMs: 500 }

  test('a call takes much longer than its control', () => {
    const controls = calls('/livez', 10, 10, 10)
    expect(judgeSlow(calls('read', 2_000), controls, bound)).toMatchObject([{ kind: 'too slow' }])
    expect(judgeSlow(calls('read', 300), controls, bound)).toEqual([])
  })

  test('but not where its control had to wait as well', () => {
    expect(judgeSlow(calls('read', 2_000), calls('/livez', 10, 1_900), bound)).toEqual([])
    // What the control took at another time does not excuse it.
    const later = [{ name: '/livez', startMs: 9_000, endMs: 11_000 }]
    expect(judgeSlow(calls('read', 2_000), later, bound)).toMatchObject([{ kind: 'too slow' }])
  })
})

describe('one long life', () => {
  /** A sample every 5 s, with garbage that comes and goes. */
  const life = (minutes: number, kibAnHour: number, descriptorsAnHour: number): Sample[] =>
    Array.from({ length: minutes * 12 }, (_, i) => ({
      atMs: i * 5_000,
      pid: 1,
      rssKib: 100_000 + (i % 7) * 2_000 + (kibAnHour * i) / 720,
      descriptors: 40 + (i % 3) + (descriptorsAnHour * i) / 720,
    }))
  const judged = (samples: Sample[]) => {
    const growth = growthOf(samples)
    return growth && judgeGrowth(growth).map(({ kind }) => kind)
  }

  test('its memory grows', () => {
    expect(judged(life(20, 200 * 1_024, 0))).toEqual(['memory grows'])
    expect(judged(life(20, 10 * 1_024, 0))).toEqual([])
  })

  test('its descriptors grow', () => {
    expect(judged(life(20, 0, 200))).toEqual(['descriptors grow'])
    expect(judged(life(20, 0, 5))).toEqual([])
  })

  test('only what happens after its first third counts, and a short life is not judged', () => {
    const warmUp = life(30, 0, 0).map((sample, i) =>
      i < 100 ? { ...sample, rssKib: 50_000 + i * 500 } : sample,
    )
    expect(judged(warmUp)).toEqual([])
    expect(judged(life(8, 200 * 1_024, 0))).toBeUndefined()
    expect(
      judged([...life(20, 0, 0), ...life(5, 900_000, 900).map((sample) => ({ ...sample, pid: 2 }))]),
    ).toEqual([])
  })
})
