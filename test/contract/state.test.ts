// One suite for the state role, wherever its keys are: in Redis, or in memory while Redis is away or switched off.
import { randomUUID } from 'node:crypto'
import { createKeyKinds, defineKeys, keys } from '../../src/core/keys.ts'
import type { Hit } from '../../src/core/state/kinds/sliding-window-log.ts'
import { pause } from '../../src/lib/time.ts'
import { type Everywhere, openEverywhere, openReady, places } from '../helpers/everywhere.ts'
import { declaredKeys, type TestProcess } from '../helpers/stores.ts'

let opened: Everywhere<TestProcess>
beforeAll(async () => {
  opened = await openEverywhere(openReady)
})
afterAll(() => opened.close())

describe.each(places)('Redis %s', (where) => {
  const state = () => opened.processes[where].state
  const counters = () => opened.processes[where].stateRole.counters
  const key = (kind: string) => `${kind}:${randomUUID()}`
  const bytes = (text: string) => Buffer.from(text)
  const text = async (name: string) => (await state().read(name))?.bytes.toString()

  test('a record is read as it was written, until it expires', async () => {
    const name = key('session')
    const value = Buffer.from([0, 10, 255, 33, 10])
    expect(await state().read(name)).toBeUndefined()
    expect(await state().write(name, value, 60_000)).toBe(true)
    expect(Buffer.compare((await state().read(name))?.bytes ?? bytes(''), value)).toBe(0)
    await state().write(name, bytes('brief'), 40)
    await pause(80)
    expect(await state().read(name)).toBeUndefined()
  })

  test('the newest version counts', async () => {
    const name = key('session')
    for (const version of ['1', '2', '3']) await state().write(name, bytes(version), 60_000)
    expect(await text(name)).toBe('3')
  })

  test('what is destroyed stays destroyed', async () => {
    const name = key('session')
    await state().write(name, bytes('x'), 60_000)
    await state().destroy(name, 60_000)
    expect(await state().read(name)).toBeUndefined()
    expect(await state().write(name, bytes('y'), 60_000)).toBe(false)
    expect(await state().read(name)).toBeUndefined()
  })

  test('what is destroyed while writes are under way stays destroyed', async () => {
    const name = key('session')
    await state().write(name, bytes('x'), 60_000)
    await Promise.all([
      state().write(name, bytes('1'), 60_000),
      state().destroy(name, 60_000),
      state().write(name, bytes('2'), 60_000),
      state().write(name, bytes('3'), 60_000),
    ])
    expect(await state().read(name)).toBeUndefined()
  })

  test('an update is refused over a version that was not seen', async () => {
    const name = key('session')
    expect(await state().update(name, bytes('1'), 60_000, undefined)).toBe(true)
    const seen = await state().read(name)
    expect(await state().update(name, bytes('2'), 60_000, undefined)).toBe(false)
    expect(await state().update(name, bytes('2'), 60_000, seen?.timestamp)).toBe(true)
    expect(await state().update(name, bytes('3'), 60_000, seen?.timestamp)).toBe(false)
    expect(await text(name)).toBe('2')
  })

  test('an update is refused over what was destroyed', async () => {
    const name = key('session')
    await state().destroy(name, 60_000)
    expect(await state().update(name, bytes('1'), 60_000, undefined)).toBe(false)
  })

  test('a claim has one winner, who may ask again', async () => {
    const name = key('webhook')
    const asked = await Promise.all(['a', 'b', 'c'].map((who) => state().claim(name, bytes(who), 60_000)))
    expect(asked.filter(({ taken }) => taken)).toHaveLength(1)
    const winner = asked.find(({ taken }) => taken)?.bytes ?? bytes('')
    expect(new Set(asked.map((answer) => answer.bytes.toString()))).toEqual(new Set([winner.toString()]))
    expect((await state().claim(name, winner, 60_000)).taken).toBe(true)
    expect((await state().claimed(name))?.equals(winner)).toBe(true)
    expect(await state().claimed(key('webhook'))).toBeUndefined()
  })

  test('members are there until their own end; prolonging moves it on, never back', async () => {
    const name = key('sessions')
    expect(await state().members(name)).toEqual([])
    await state().include(name, 'long', 60_000)
    await state().include(name, 'prolonged', 40)
    await state().include(name, 'prolonged', 60_000)
    await state().include(name, 'long', 40)
    await state().include(name, 'brief', 40)
    await pause(80)
    expect([...(await state().members(name))].sort()).toEqual(['long', 'prolonged'])
  })

  test('of many members the 200 that end last stay', async () => {
    const name = key('sessions')
    for (let i = 0; i < 250; i += 1) await state().include(name, `m${i}`, 60_000 + i * 1_000)
    const members = await state().members(name)
    expect(members).toHaveLength(200)
    expect(members).toContain('m249')
    expect(members).not.toContain('m49')
  })

  test('what was written is listed by its first word', async () => {
    const [name, other] = [key('session'), key('sessions')]
    await state().write(name, bytes('x'), 60_000)
    await state().include(other, 'm', 60_000)
    const listed = await state().list('session')
    expect(listed).toContain(name)
    expect(listed).not.toContain(other)
    expect(await state().list('sessions')).toContain(other)
  })

  test('a mark only grows', async () => {
    const name = key('revoked')
    expect(await state().marked(name)).toBeUndefined()
    expect(await state().mark(name, 5, 60_000)).toBe(5)
    expect(await state().mark(name, 3, 60_000)).toBe(5)
    expect(await state().mark(name, 7, 60_000)).toBe(7)
    expect(await state().marked(name)).toBe(7)
  })

  test('never more than the limit in any window', async () => {
    const log = key('limit')
    const startMs = Date.now()
    const hit = (atMs: number): Hit => ({
      id: randomUUID(),
      nowMs: startMs + atMs,
      limit: 3,
      windowMs: 60_000,
    })
    const answers = []
    for (const atMs of [0, 6_000, 12_000, 18_000, 59_940, 60_000, 63_000, 66_000])
      answers.push(await state().hit(log, hit(atMs)))
    expect(answers.map(({ allowed }) => allowed)).toEqual([true, true, true, false, false, true, false, true])
    expect(answers.map(({ remaining }) => remaining)).toEqual([2, 1, 0, 0, 0, 0, 0, 0])
    expect(answers.map(({ retryAfterMs }) => retryAfterMs)).toEqual([
      0, 0, 48_000, 42_000, 60, 6_000, 3_000, 6_000,
    ])
  })

  test('a hit takes what it costs, or nothing', async () => {
    const log = key('limit')
    const hit = (cost: number): Hit => ({
      id: randomUUID(),
      nowMs: Date.now(),
      limit: 5,
      windowMs: 60_000,
      cost,
    })
    const answers = []
    for (const cost of [3, 3, 2, 1]) answers.push(await state().hit(log, hit(cost)))
    expect(answers.map(({ allowed }) => allowed)).toEqual([true, false, true, false])
    expect(answers.map(({ remaining }) => remaining)).toEqual([2, 2, 0, 0])
    for (const cost of [0, 6, 1.5, Number.NaN])
      await expect(state().hit(log, hit(cost))).rejects.toThrow(TypeError)
  })

  test('every number bumped is above all before it, in any field, and above the floor', async () => {
    const first = await counters().bump(['tag:a'], 0)
    const second = await counters().bump(['tag:a', 'tag:b'], 0)
    const third = await counters().bump(['prefix:c'], second + 1_000)
    expect(second).toBeGreaterThan(first)
    expect(third).toBeGreaterThan(second + 1_000)
    const known = counters().known()
    const fields = ['tag:a', 'tag:b', 'prefix:c', 'top'].map((field) => known.get(field))
    expect(fields).toEqual([second, second, third, third])
  })

  test('past 1,000 fields the lowest are folded into all: nothing is cleared less', async () => {
    const oldest = await counters().bump(['tag:oldest'], 0)
    for (let i = 0; i < 10; i += 1) {
      const fields = Array.from({ length: 100 }, (_, j) => `tag:${i}-${j}`)
      await counters().bump(fields, 0)
    }
    const known = counters().known()
    expect(known.size).toBeLessThanOrEqual(1_000)
    expect(known.get('tag:oldest')).toBeUndefined()
    expect(known.get('all')).toBeGreaterThanOrEqual(oldest)
  })
})

test('every key of the state role has a kind', () => {
  const names = [
    'session:x',
    'sessions:u',
    'revoked:x',
    'webhook:a:b',
    'limit:a:b',
    keys.job('a', 'b'),
    keys.scheduled('a'),
    `${keys.queue}:a:wait`,
    'generations',
    'epoch',
    'probe:x',
  ]
  const kinds = [
    'lww-register',
    'expiring-set',
    'max-register',
    'first-write-wins-register',
    'sliding-window-log',
    'first-write-wins-register',
    'max-register',
    undefined,
    'max-register-map',
    undefined,
    undefined,
  ]
  expect(names.map(createKeyKinds(declaredKeys))).toEqual(kinds)
})

test.each(['limit', 'session', 'queue', 'epoch'])('a word of keys is declared once: %s is taken', (word) => {
  const again = defineKeys({ [word]: 'lww-register' })
  expect(() => createKeyKinds([...declaredKeys, again])).toThrow(
    `the first word "${word}" of a key is taken: it is declared twice`,
  )
})

test('scripts come back after SCRIPT FLUSH', async () => {
  await opened.redis.command('SCRIPT', 'FLUSH')
  const name = `session:${randomUUID()}`
  expect(await opened.processes.shared.state.write(name, Buffer.from('x'), 60_000)).toBe(true)
  expect((await opened.processes.shared.state.read(name))?.bytes.toString()).toBe('x')
  expect(opened.processes.shared.stateRole.status().status).toBe('redis')
})

// Where a script of ours is broken, memory would answer for Redis, and every test above would pass.
test.each(['shared', 'alone'] as const)('Redis %s has answered all that was asked', (where) => {
  const { status, activations, lastError } = opened.processes[where].stateRole.status()
  expect({ status, activations, lastError }).toEqual({ status: 'redis', activations: 0, lastError: null })
})
