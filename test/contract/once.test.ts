// Work is done once, wherever its marks are: in Redis, or in memory while Redis is away.
import { randomUUID } from 'node:crypto'
import { keys } from '../../src/core/keys.ts'
import { createOnce, MOST_ANSWER_BYTES, RUN_LEASE_MS, type Run, WORK_MS } from '../../src/core/once.ts'
import { webhookKeys } from '../../src/features/webhooks/webhook-keys.ts'
import { asAppError } from '../../src/http/problem.ts'
import { createClock } from '../helpers/clock.ts'
import { eventually } from '../helpers/eventually.ts'
import { type Everywhere, openEverywhere, openReady, places } from '../helpers/everywhere.ts'
import type { TestProcess } from '../helpers/stores.ts'

let opened: Everywhere<TestProcess>
beforeAll(async () => {
  opened = await openEverywhere(openReady)
})
afterAll(() => opened.close())

/** A timer that a test lets ring. */
function createBell() {
  const calls = new Set<() => void>()
  return {
    timer: (_ms: number, call: () => void) => {
      calls.add(call)
      return () => calls.delete(call)
    },
    ring: () => {
      for (const call of calls) call()
    },
    isSet: () => calls.size > 0,
  }
}

const later = () => {
  let resolve = () => {}
  const promise = new Promise<void>((done) => {
    resolve = done
  })
  return { promise, resolve }
}

describe.each(places)('Redis %s', (where) => {
  const state = () => opened.processes[where].state
  const open = () => {
    const clock = createClock(Date.now())
    const bell = createBell()
    return { clock, bell, once: createOnce({ state: state(), now: clock.now, timer: bell.timer }) }
  }
  const newKey = () => webhookKeys.webhook('test', randomUUID())
  const answer = (text: string) => async () => Buffer.from(text)
  const done = (text: string, replayed: boolean) => ({ kind: 'done', answer: Buffer.from(text), replayed })

  test('the first answer is kept, and given again', async () => {
    const { once } = open()
    const key = newKey()
    expect(await once.run({ key, fingerprint: 'a', work: answer('first\nline') })).toEqual(
      done('first\nline', false),
    )
    expect(await once.run({ key, fingerprint: 'a', work: answer('second') })).toEqual(
      done('first\nline', true),
    )
  })

  test('an empty answer is an answer, and one that is too large is refused', async () => {
    const { once } = open()
    const key = newKey()
    await once.run({ key, fingerprint: 'a', work: answer('') })
    expect(await once.run({ key, fingerprint: 'a', work: answer('x') })).toEqual(done('', true))
    const large = { key: newKey(), fingerprint: 'a', work: answer('x'.repeat(MOST_ANSWER_BYTES + 1)) }
    await expect(once.run(large)).rejects.toThrow(RangeError)
  })

  test('the same key with another body is told apart', async () => {
    const { once } = open()
    const key = newKey()
    await once.run({ key, fingerprint: 'a', work: answer('1') })
    expect(await once.run({ key, fingerprint: 'b', work: answer('2') })).toEqual({ kind: 'other-body' })
  })

  test('50 at once: the work runs once, the others hear that it runs or what it answered', async () => {
    const { once } = open()
    const key = newKey()
    const start = later()
    let runs = 0
    const work = async () => {
      runs += 1
      await start.promise
      return Buffer.from('x')
    }
    const asked = Array.from({ length: 50 }, () => once.run({ key, fingerprint: 'a', work }))
    await eventually(() => expect(runs).toBe(1))
    start.resolve()
    const outcomes = await Promise.all(asked)
    expect(runs).toBe(1)
    expect(outcomes.filter((one) => one.kind === 'done' && !one.replayed)).toHaveLength(1)
    for (const one of outcomes) {
      if (one.kind === 'running') expect(one.retryAfterMs).toBeLessThanOrEqual(RUN_LEASE_MS)
      else expect(one.kind).toBe('done')
    }
  })

  test('work that fails gives its lease back: the next one runs at once', async () => {
    const { once } = open()
    const key = newKey()
    const failing = async () => {
      throw new Error('no')
    }
    await expect(once.run({ key, fingerprint: 'a', work: failing })).rejects.toThrow('no')
    expect(await once.run({ key, fingerprint: 'a', work: answer('x') })).toEqual(done('x', false))
  })

  test('a run whose process died loses its lease after 30 s; if it comes back, the first answer counts', async () => {
    const { once, clock } = open()
    const key = newKey()
    const [began, goOn] = [later(), later()]
    const first = once.run({
      key,
      fingerprint: 'a',
      work: async () => {
        began.resolve()
        await goOn.promise
        return Buffer.from('first')
      },
    })
    await began.promise
    clock.turn(RUN_LEASE_MS - 1)
    expect(await once.run({ key, fingerprint: 'a', work: answer('second') })).toEqual({
      kind: 'running',
      retryAfterMs: 1,
    })
    clock.turn(1)
    expect(await once.run({ key, fingerprint: 'a', work: answer('second') })).toEqual(done('second', false))
    goOn.resolve()
    expect(await first).toEqual(done('second', true))
  })

  test('work that outlives its time is told so, refused, and keeps its lease until it really ends', async () => {
    const { once, clock, bell } = open()
    const key = newKey()
    const goOn = later()
    let run: Run | undefined
    const first = once.run({
      key,
      fingerprint: 'a',
      work: async (given) => {
        run = given
        await goOn.promise
        return Buffer.from('late')
      },
    })
    await eventually(() => expect(bell.isSet()).toBe(true))
    run?.throwIfLate()
    clock.turn(WORK_MS)
    expect(() => run?.throwIfLate()).toThrow(expect.objectContaining({ code: 'timed_out' }))
    bell.ring()
    expect(await first.catch(asAppError)).toMatchObject({ code: 'timed_out', status: 503 })
    expect(run?.signal.aborted).toBe(true)
    expect((await once.run({ key, fingerprint: 'a', work: answer('x') })).kind).toBe('running')
    goOn.resolve()
    await eventually(async () =>
      expect(await once.run({ key, fingerprint: 'a', work: answer('x') })).toEqual(done('x', false)),
    )
  })

  test('what a ledger says was done before is claimed as it was, and judged by its own body', async () => {
    const { once } = open()
    const before = { by: randomUUID(), fingerprint: 'a', answer: Buffer.from('before') }
    const [same, other] = [newKey(), newKey()]
    expect(await once.run({ key: same, fingerprint: 'a', work: async () => before })).toEqual(
      done('before', true),
    )
    expect(await once.run({ key: other, fingerprint: 'b', work: async () => before })).toEqual({
      kind: 'other-body',
    })
  })
})

test('a lease or an answer that cannot be decoded counts as absent, and is reported', async () => {
  const { state } = opened.processes.shared
  const [leased, done] = [
    webhookKeys.webhook('test', randomUUID()),
    webhookKeys.webhook('test', randomUUID()),
  ]
  await state.write(keys.running(leased), Buffer.from('{"by":'), 60_000)
  await state.claim(done, Buffer.from('no line break'), 60_000)
  const damaged: string[] = []
  const once = createOnce({ state, damaged: (key) => damaged.push(key) })
  for (const key of [leased, done])
    expect(await once.run({ key, fingerprint: 'a', work: async () => Buffer.from('x') })).toMatchObject({
      kind: 'done',
      replayed: false,
    })
  expect(new Set(damaged)).toEqual(new Set([keys.running(leased), done]))
})

test('what is done is known for four days', async () => {
  const key = webhookKeys.webhook('test', randomUUID())
  await createOnce({ state: opened.processes.shared.state }).run({
    key,
    fingerprint: 'a',
    work: async () => Buffer.from('x'),
  })
  const names = (await opened.redis.command('KEYS', `*${key}`)).split('\r\n')
  const name = names.find((one) => one.endsWith(key) && !one.includes('running')) ?? ''
  const ttlMs = Number((await opened.redis.command('PTTL', name)).slice(1))
  expect(ttlMs).toBeGreaterThan(4 * 86_400_000 - 60_000)
})
