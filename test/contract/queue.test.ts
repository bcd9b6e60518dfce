// One suite for background jobs, wherever they are kept: in Redis, shared or alone, or in memory while Redis is away.
import { randomUUID } from 'node:crypto'
import { keys } from '../../src/core/keys.ts'
import type { Job } from '../../src/core/queue/queue.ts'
import { pause } from '../../src/lib/time.ts'
import { eventually } from '../helpers/eventually.ts'
import { type Everywhere, openEverywhere, places } from '../helpers/everywhere.ts'
import { openJobs, type TestJobs } from '../helpers/jobs.ts'

let opened: Everywhere<TestJobs>
beforeAll(async () => {
  opened = await openEverywhere(async (options) => {
    const jobs = await openJobs(options)
    if (!options.cacheUrl.includes('127.0.0.1:1/'))
      await eventually(() => expect(jobs.queue.bull()).toBeDefined())
    return jobs
  })
})
afterAll(() => opened.close())

describe.each(places)('Redis %s', (where) => {
  const queue = () => opened.processes[where].queue
  const state = () => opened.processes[where].state
  const name = () => `work-${randomUUID()}`
  const recorded = () => {
    const ran: Job[] = []
    return { ran, handler: async (job: Job) => void ran.push(job) }
  }

  test('a job is run with what it was added with', async () => {
    const work = name()
    const { ran, handler } = recorded()
    queue().work(work, handler)
    await queue().add(work, { to: ['a', 1, null] }, { id: 'user:7/%' })
    await eventually(() => expect(ran).toHaveLength(1))
    expect(ran[0]).toMatchObject({ name: work, id: 'user:7/%', data: { to: ['a', 1, null] }, attempt: 1 })
    expect(ran[0]?.signal.aborted).toBe(false)
  })

  test('an id is one job: added twice, added again when it is done', async () => {
    const work = name()
    const { ran, handler } = recorded()
    await queue().add(work, 1, { id: '42' })
    await queue().add(work, 2, { id: '42' })
    queue().work(work, handler)
    await eventually(() => expect(ran).toHaveLength(1))
    await pause(50)
    await queue().add(work, 3, { id: '42' })
    await queue().add(work, 4, { id: '43' })
    await eventually(() => expect(ran).toHaveLength(2))
    expect(ran.map(({ data }) => data)).toEqual([1, 4])
  })

  test('that a job is done is known for as long as its name says, and for days where it says nothing', async () => {
    const [short, long] = [name(), name()]
    const { ran, handler } = recorded()
    queue().work(short, handler, { keptMs: 300 })
    queue().work(long, handler)
    for (const work of [short, long]) await queue().add(work, null, { id: 'x' })
    await eventually(() => expect(ran).toHaveLength(2))
    await eventually(async () => expect(await state().claimed(keys.job(long, 'x'))).toBeDefined())
    await eventually(async () => expect(await state().claimed(keys.job(short, 'x'))).toBeUndefined())
    expect(await state().claimed(keys.job(long, 'x'))).toBeDefined()
  })

  test('a delay is waited for', async () => {
    const work = name()
    const { ran, handler } = recorded()
    queue().work(work, handler)
    const addedAtMs = performance.now()
    const late = queue().add(work, null, { id: 'late', delayMs: 400 })
    await Promise.all([late, queue().add(work, null, { id: 'soon' })])
    await eventually(() => expect(ran.map(({ id }) => id)).toEqual(['soon', 'late']))
    expect(performance.now() - addedAtMs).toBeGreaterThan(390)
  })

  test('a failure is tried again, later each time, and then it is a dead letter', async () => {
    const work = name()
    const triedAtMs: number[] = []
    const attempts: number[] = []
    queue().work(work, async ({ attempt }) => {
      attempts.push(attempt)
      triedAtMs.push(performance.now())
      throw new Error('not today')
    })
    const deadBefore = (await queue().counts()).dead
    await queue().add(work, null, { id: 'x', attempts: 3, backoffMs: 100 })
    await eventually(async () => expect((await queue().counts()).dead).toBe(deadBefore + 1))
    expect(attempts).toEqual([1, 2, 3])
    const [first = 0, second = 0, third = 0] = triedAtMs
    expect(second - first).toBeGreaterThan(95)
    expect(third - second).toBeGreaterThan(195)
    await queue().add(work, null, { id: 'x' })
    await pause(100)
    expect(attempts).toHaveLength(3)
  })

  test('a failure that passes leaves a job that is done', async () => {
    const work = name()
    const attempts: number[] = []
    queue().work(work, async ({ attempt }) => {
      attempts.push(attempt)
      if (attempt === 1) throw new Error('not yet')
    })
    await queue().add(work, null, { id: 'x', backoffMs: 20 })
    await eventually(() => expect(attempts).toEqual([1, 2]))
  })

  test('no more than `concurrency` at a time, and as many', async () => {
    const work = name()
    let active = 0
    let most = 0
    let ended = 0
    let openGate = () => {}
    const gate = new Promise<void>((resolve) => {
      openGate = resolve
    })
    queue().work(
      work,
      async () => {
        active += 1
        most = Math.max(most, active)
        if (active === 3) openGate()
        await gate // until there are as many, and then for a moment in which there could be more
        await pause(50)
        active -= 1
        ended += 1
      },
      { concurrency: 3 },
    )
    for (let i = 0; i < 9; i += 1) await queue().add(work, i, { id: `n${i}` })
    await eventually(() => expect(ended).toBe(9))
    expect(most).toBe(3)
  })

  test('a schedule runs once in each of its slots', async () => {
    const work = name()
    const { ran, handler } = recorded()
    queue().work(work, handler)
    const slotNow = () => Math.floor(Date.now() / 300)
    const firstSlot = slotNow()
    queue().schedule(work, { everyMs: 300, data: 'tick', catchUp: 'skip' })
    await eventually(() => expect(ran.length).toBeGreaterThanOrEqual(3))
    const slots = ran.map(({ id }) => Number(id.slice(work.length + 1)))
    expect(new Set(slots).size).toBe(slots.length)
    expect(slots).toEqual([...slots].sort((a, b) => a - b))
    expect(slots[0]).toBeGreaterThanOrEqual(firstSlot)
    expect(slots.at(-1)).toBeLessThanOrEqual(slotNow() + 1) // what starts them may be a little early
    expect(ran[0]?.data).toBe('tick')
  })

  test('what fell due while nobody was there: none of it, or one for all', async () => {
    const [skips, catchesUp] = [name(), name()]
    const everyMs = 3_600_000
    const slot = Math.floor(Date.now() / everyMs)
    const { ran, handler } = recorded()
    for (const work of [skips, catchesUp]) {
      await state().mark(keys.scheduled(work), slot - 5, 60_000)
      queue().work(work, handler)
    }
    queue().schedule(skips, { everyMs, data: null, catchUp: 'skip' })
    queue().schedule(catchesUp, { everyMs, data: null, catchUp: 'once' })
    await eventually(() => expect(ran).toHaveLength(1))
    await pause(200)
    expect(ran.map(({ id }) => id)).toEqual([`${catchesUp}:${slot}`])
    expect(await state().marked(keys.scheduled(catchesUp))).toBe(slot)
  })
})
