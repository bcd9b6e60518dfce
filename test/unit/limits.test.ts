import { type LoggedHit, slide } from '../../src/core/state/kinds/sliding-window-log.ts'
import type { Rule } from '../../src/feature.ts'
import { clearRules } from '../../src/features/cache-admin/feature.ts'
import { callRules } from '../../src/features/calls/feature.ts'
import { policies } from '../../src/features/limits/policies.ts'
import { policyHeader, rateHeader } from '../../src/features/limits/rate-headers.ts'
import { createSharedAddresses, MANY_VISITORS } from '../../src/features/limits/shared-address.ts'
import { loginRules } from '../../src/features/sessions/feature.ts'
import { signedRules, unsignedRules } from '../../src/features/webhooks/feature.ts'
import { socketRules } from '../../src/host/create-context.ts'
import { clientAddress } from '../../src/lib/client-address.ts'
import { HOUR, MINUTE } from '../../src/lib/time.ts'
import { createClock } from '../helpers/clock.ts'
import { recordLog } from '../helpers/log.ts'
import { createRandom } from '../helpers/random.ts'

describe('an address', () => {
  test.each<[string, string, boolean]>([
    ['203.0.113.9', '203.0.113.9', false],
    ['203.0.113.9:4711', '203.0.113.9', false],
    [' 203.0.113.9 ', '203.0.113.9', false],
    ['::ffff:203.0.113.9', '203.0.113.9', false],
    ['::FFFF:cb00:7109', '203.0.113.9', false],
    ['[::ffff:203.0.113.9]:80', '203.0.113.9', false],
    ['::ffff:10.1.2.3', '10.1.2.3', true],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64', false],
    ['2001:0DB8:0001:0002:ffff::', '2001:db8:1:2::/64', false],
    ['[2001:db8::1]', '2001:db8:0:0::/64', false],
    ['[2001:db8::1]:443', '2001:db8:0:0::/64', false],
    ['64:ff9b::203.0.113.9', '64:ff9b:0:0::/64', false],
    ['fe80::1%eth0', 'fe80:0:0:0::/64', true],
    ['fd00:1:2:3::1', 'fd00:1:2:3::/64', true],
    ['::1', '0:0:0:0::/64', true],
    ['::', '0:0:0:0::/64', false],
    ['127.0.0.1', '127.0.0.1', true],
    ['100.64.0.1', '100.64.0.1', true],
    ['172.31.255.255', '172.31.255.255', true],
    ['172.32.0.0', '172.32.0.0', false],
    ['192.168.1.1', '192.168.1.1', true],
    ['169.254.1.1', '169.254.1.1', true],
  ])('%s is %s, private: %s', (given, text, isPrivate) => {
    expect(clientAddress(given)).toEqual({ text, isPrivate })
  })

  test.each([
    undefined,
    '',
    'unknown',
    'localhost',
    '1.2.3',
    '1.2.3.4.5',
    '01.2.3.4',
    '256.1.1.1',
    '1.2.3.4:x',
    '1.2.3.4, 5.6.7.8',
    '[',
    '[]',
    '[]:1',
    '[1',
    '%',
    ':::',
    '::1::',
    '2001:db8::1]/x[',
    '2001:db8::g',
    '1:2:3:4:5:6:7:8:9',
    '<script>',
    'for=192.0.2.60;proto=http',
    '\u0000',
    '１.２.３.４',
    ':'.repeat(10_000),
    '9'.repeat(10_000),
    `[${'['.repeat(10_000)}`,
  ])('%.40j is none', (given) => {
    expect(clientAddress(given)).toBeUndefined()
  })

  test('whatever is given, the answer is an address or none', () => {
    const random = createRandom(1)
    const letters = [...'0123456789abcdef:.%[]/ ,"-x\u00e9']
    for (let i = 0; i < 20_000; i += 1) {
      const given = Array.from({ length: random.below(24) }, () => random.pick(letters)).join('')
      expect(clientAddress(given)?.text ?? '').toMatch(/^(|\d+(\.\d+){3}|[0-9a-f]+(:[0-9a-f]+){3}::\/64)$/)
    }
  })
})

describe('a shared address', () => {
  const open = () => {
    const clock = createClock()
    const { log, lines } = recordLog()
    return { clock, lines, shared: createSharedAddresses({ log, now: clock.now }) }
  }
  const visit = (shared: ReturnType<typeof open>['shared'], address: string, visitors: number) =>
    Array.from({ length: visitors }, (_, i) => shared.isShared(address, `visitor ${i}`)).at(-1)

  test('is one with many visitors, and the log says it once', () => {
    const { shared, lines } = open()
    expect(visit(shared, '10.0.0.1', MANY_VISITORS - 1)).toBe(false)
    expect(visit(shared, '10.0.0.1', MANY_VISITORS - 1)).toBe(false)
    expect(visit(shared, '10.0.0.1', MANY_VISITORS)).toBe(true)
    expect(shared.isShared('10.0.0.1', 'visitor 0')).toBe(true)
    expect(shared.isShared('10.0.0.2', 'visitor 0')).toBe(false)
    expect(visit(shared, '10.0.0.2', MANY_VISITORS)).toBe(true)
    expect(lines.map(({ level, fields }) => [level, fields])).toEqual([['warn', { address: '10.0.0.1' }]])
  })

  test('is not one whose visitors came one after another', () => {
    const { shared, clock } = open()
    for (let i = 0; i < 5 * MANY_VISITORS; i += 1) {
      expect(shared.isShared('10.0.0.1', `visitor ${i}`)).toBe(false)
      clock.turn(2 * MINUTE)
    }
  })

  test('stays one', () => {
    const { shared, clock } = open()
    visit(shared, '10.0.0.1', MANY_VISITORS)
    clock.turn(HOUR)
    expect(shared.isShared('10.0.0.1', 'somebody')).toBe(true)
  })

  test('is forgotten before memory grows, and the log says so once', () => {
    const { shared, lines } = open()
    visit(shared, '10.0.0.1', MANY_VISITORS - 1)
    for (let i = 0; i < 1_000; i += 1) shared.isShared(`10.1.${i >> 8}.${i & 255}`, 'x')
    expect(shared.isShared('10.0.0.1', 'the last one')).toBe(false)
    expect(lines.map(({ level, fields }) => [level, fields])).toEqual([['warn', { addresses: 1_000 }]])
  })
})

test('the headers are lists of structured fields', () => {
  const minute = { name: 'api', limit: 120, windowMs: MINUTE }
  const hour = { name: 'api-hour', limit: 1_000, windowMs: HOUR }
  expect(policyHeader([minute, hour])).toBe('"api";q=120;w=60, "api-hour";q=1000;w=3600')
  const answer = { allowed: true, retryAfterMs: 0 }
  expect(
    rateHeader([
      { ...answer, policy: minute, remaining: 50, growsAfterMs: 29_001 },
      { ...answer, policy: hour, remaining: 0, growsAfterMs: 0 },
    ]),
  ).toBe('"api";r=50;t=30, "api-hour";r=0;t=0')
})

describe('the limits of all features', () => {
  const rules: Rule[] = [
    policies.api,
    loginRules,
    signedRules,
    unsignedRules,
    callRules,
    socketRules,
    clearRules,
  ].flat()
  const rulesByName = rules.map((rule) => [rule.name, rule] as const)

  test('names each rule once, as a structured field can hold it', () => {
    const names = rules.map(({ name }) => name)
    expect(new Set(names).size).toBe(names.length)
    for (const name of names) expect(name).toMatch(/^[a-z-]+$/)
  })

  test.each(rulesByName)('%s is small enough for an exact log, and whole seconds long', (_name, rule) => {
    expect(rule.limit).toBeLessThanOrEqual(1_000)
    expect(rule.windowMs % 1_000).toBe(0)
    if (rule.per === 'everybody') return
    expect(rule.limit).toBeGreaterThan(MANY_VISITORS) // that an address is shared is noticed before it is locked out
    expect(rule.sharedLimit ?? 1_000).toBeLessThanOrEqual(1_000)
    expect(rule.sharedLimit ?? 1_000).toBeGreaterThanOrEqual(rule.limit)
  })
})

describe('a hit with a cost', () => {
  const policy = { limit: 5, windowMs: 1_000 }

  test('is counted whole or not at all', () => {
    const three = slide('limit:x', [], { id: 'a', nowMs: 0, cost: 3, ...policy })
    expect(three.result).toEqual({ allowed: true, remaining: 2, retryAfterMs: 1_000, growsAfterMs: 1_000 })
    const again = slide('limit:x', three.log, { id: 'b', nowMs: 100, cost: 3, ...policy })
    expect(again.log).toEqual(three.log)
    expect(again.result).toEqual({ allowed: false, remaining: 2, retryAfterMs: 900, growsAfterMs: 900 })
    expect(slide('limit:x', three.log, { id: 'c', nowMs: 100, cost: 2, ...policy }).result.remaining).toBe(0)
    expect(new Set(three.log.map(({ id }) => id)).size).toBe(3)
  })

  test('in any window no more than the limit, and retryAfterMs is kept to the millisecond', () => {
    const random = createRandom(7)
    let log: readonly LoggedHit[] = []
    const counted: number[] = []
    let nowMs = 0
    for (let i = 0; i < 2_000; i += 1) {
      nowMs += random.below(400)
      const cost = 1 + random.below(5)
      const hit = { nowMs, cost, ...policy }
      const { log: after, result } = slide('limit:x', log, { id: `${i}`, ...hit })
      if (result.allowed) counted.push(...Array<number>(cost).fill(nowMs))
      else {
        const atMs = nowMs + result.retryAfterMs
        expect(slide('limit:x', log, { ...hit, id: 'then', nowMs: atMs }).result.allowed).toBe(true)
        expect(slide('limit:x', log, { ...hit, id: 'before', nowMs: atMs - 1 }).result.allowed).toBe(false)
      }
      log = after
      expect(counted.filter((atMs) => atMs > nowMs - policy.windowMs).length).toBeLessThanOrEqual(5)
    }
  })
})
