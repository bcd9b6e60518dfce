// What is no outage: a Redis that is silent for a moment, and connections that are cut. And what is one, however short.
import { randomUUID } from 'node:crypto'
import { pause } from '../../src/lib/time.ts'
import { type Ahead, beginAhead } from '../helpers/ahead.ts'
import { eventually } from '../helpers/eventually.ts'
import { openFaultProxy } from '../helpers/fault-proxy.ts'
import { keepAliveSeconds } from '../helpers/keep-alive.ts'
import { startRedis, type TestRedis } from '../helpers/redis-server.ts'
import { openProcess, type TestProcess, type TestProcessOptions } from '../helpers/stores.ts'
import { startTcpProxy } from '../helpers/tcp-proxy.ts'

const HOUR_MS = 3_600_000
const BUDGET_MS = 300 // so that a busy machine adds no silence of its own
let redis: TestRedis
const ends: (() => unknown)[] = []

async function open(options: Partial<TestProcessOptions> = {}): Promise<TestProcess> {
  const app = await openProcess({ cacheUrl: redis.url, budgetMs: BUDGET_MS, ...options })
  ends.push(() => app.close())
  await app.untilStatus('redis')
  await eventually(() => expect(app.stateRole.coverage()).toBe('full'))
  return app
}

beforeEach(async () => {
  redis = await startRedis('--appendonly', 'yes')
})
afterEach(async () => {
  redis.thaw()
  for (const end of ends.splice(0).reverse()) await end()
  await redis.stop()
})

const newKey = () => `session:${randomUUID()}`
const write = (by: TestProcess, key: string, text: string) => by.state.write(key, Buffer.from(text), HOUR_MS)
const text = async (by: TestProcess, key: string) => (await by.state.read(key))?.bytes.toString()
const alarms = ({ lines }: TestProcess) => lines.filter(({ level }) => level !== 'info' && level !== 'debug')
const blipLines = ({ lines }: TestProcess) => lines.filter(({ message }) => message.includes('a blip'))

/** What a process that was not there finds in Redis. */
async function expectInRedis(written: ReadonlyMap<string, string>): Promise<void> {
  const stranger = await open()
  const found = await Promise.all([...written.keys()].map(async (key) => [key, await text(stranger, key)]))
  expect(new Map(found as [string, string][])).toEqual(written)
}

test('a hosted Redis that cuts idle connections: opened again without a word', async () => {
  await redis.command('CONFIG', 'SET', 'timeout', '1')
  const app = await open({ mode: 'external' })
  app.queue.work('known', async () => {})
  const key = newKey()
  await write(app, key, 'before')
  const reconnects = () => [app.stateRole.status().reconnects, app.cacheRole.status().reconnects]
  await eventually(() => {
    for (const count of reconnects()) expect(count).toBeGreaterThanOrEqual(2)
  })
  await app.untilStatus('redis')
  expect(await text(app, key)).toBe('before')
  await write(app, key, 'after')
  expect(app.status()).toMatchObject({ status: 'redis', activations: 0, blips: 0 })
  expect(app.outages.all()).toEqual([])
  expect(alarms(app)).toEqual([])
  await expectInRedis(new Map([[key, 'after']]))
})

test('cut under calls again and again: none fails, nothing is lost, and it is no outage', async () => {
  const proxy = await openFaultProxy(redis.port)
  ends.push(() => proxy.close())
  const app = await open({ cacheUrl: proxy.url })
  const { sinceMs } = app.status()
  const written = new Map<string, string>()
  let isOver = false
  const failures: unknown[] = []
  const traffic = async () => {
    while (!isOver) {
      const key = newKey()
      await write(app, key, 'x').then(
        () => written.set(key, 'x'),
        (error) => failures.push(error),
      )
      await pause(5)
    }
  }
  const callers = Array.from({ length: 4 }, traffic)
  for (let i = 0; i < 4; i += 1) {
    await pause(600) // a connection that has lasted
    proxy.drop()
    const back = { reconnects: i + 1, lastError: null }
    await eventually(() => expect(app.stateRole.status()).toMatchObject(back))
    await app.untilStatus('redis')
  }
  isOver = true
  await Promise.all(callers)
  await app.untilStatus('redis')
  await eventually(() => expect(app.pendingWrites()).toBe(0))
  expect(failures).toEqual([])
  expect(app.outages.all()).toEqual([])
  expect(app.stateRole.status()).toMatchObject({ activations: 0, reconnects: 4 })
  expect(app.status()).toMatchObject({ status: 'redis', sinceMs })
  expect(alarms(app)).toEqual([])
  await expectInRedis(written)
})

test('silent for less than two budgets, as on a crowded host: a blip, with what was written in it', async () => {
  const app = await open()
  const { sinceMs } = app.status()
  const key = newKey()
  redis.freeze()
  await write(app, key, 'meanwhile') // from memory, after a budget
  await pause(BUDGET_MS / 3)
  expect(app.status()).toMatchObject({ status: 'redis', activations: 0 })
  redis.thaw()
  await app.untilStatus('redis')
  expect(await text(app, key)).toBe('meanwhile')
  await expectInRedis(new Map([[key, 'meanwhile']]))
  const status = app.stateRole.status()
  expect(status).toMatchObject({ status: 'redis', activations: 0, blips: 1 })
  expect(status.servedCalls).toBeGreaterThanOrEqual(1)
  expect(app.status()).toMatchObject({ sinceMs, activations: 0 })
  expect(app.outages.all()).toEqual([])
  expect(alarms(app)).toEqual([])
  const lines = blipLines(app).filter(({ fields }) => fields.role === 'state')
  expect(lines).toHaveLength(1)
  // Another one soon after has no line of its own.
  redis.freeze()
  await write(app, key, 'again')
  redis.thaw()
  await eventually(() => expect(app.stateRole.status().blips).toBe(2))
  expect(blipLines(app).filter(({ fields }) => fields.role === 'state')).toHaveLength(1)
})

test('in a doubt nobody claims what somebody else was about to have', async () => {
  const app = await open()
  const claim = (key: string) => app.state.claim(key, Buffer.from(randomUUID()), HOUR_MS)
  const names = Array.from({ length: 20 }, () => `webhook:s:${randomUUID()}`)
  redis.freeze()
  const first = names.map(claim)
  await first[0]
  const second = names.map(claim) // from memory, while Redis may still do the first
  redis.thaw()
  const third = (await Promise.all(second)).map((_, i) => claim(names[i] as string))
  const all = await Promise.all([...first, ...second, ...third])
  expect(all.filter(({ taken }) => taken)).toHaveLength(names.length)
  expect(app.stateRole.status().activations).toBe(0)
})

test('a connection that is dead without a word: a new one takes its place, and it is no outage', async () => {
  const proxy = await startTcpProxy(redis.port)
  ends.push(() => proxy.close())
  const app = await open({ cacheUrl: redis.url, stateUrl: proxy.url })
  const key = newKey()
  proxy.set({ timeout: true })
  await write(app, key, 'meanwhile')
  proxy.set({})
  await eventually(() => expect(app.stateRole.status().blips).toBe(1))
  expect(app.stateRole.status()).toMatchObject({ status: 'redis', activations: 0 })
  await expectInRedis(new Map([[key, 'meanwhile']]))
})

test('frozen for long: an outage, which began no later than the first call without an answer', async () => {
  const app = await open()
  const before = Date.now()
  redis.freeze()
  const askedAtMs = Date.now()
  await write(app, newKey(), 'x')
  await eventually(() => expect(app.stateRole.status().status).toBe('memory'))
  const report = app.outages.all().find(({ role }) => role === 'state')
  const startedAtMs = Date.parse(report?.startedAt ?? '')
  expect(report?.cause).toMatch(/^silent: /)
  expect(startedAtMs).toBeLessThanOrEqual(askedAtMs + 1)
  expect(startedAtMs).toBeGreaterThanOrEqual(before - 1_000) // a heartbeat may have been under way
  redis.thaw()
  await app.untilStatus('redis')
  expect(app.stateRole.status()).toMatchObject({ activations: 1, blips: 0 })
  expect(report?.servedCalls).toBeGreaterThanOrEqual(1)
})

test('emptied behind a cut that is mended at once: that was an outage, and is reported', async () => {
  const proxy = await openFaultProxy(redis.port)
  ends.push(() => proxy.close())
  const app = await open({ cacheUrl: redis.url, stateUrl: proxy.url })
  const key = newKey()
  await write(app, key, 'kept')
  await pause(600) // a connection that has lasted
  proxy.set('late') // so that Redis cannot tell
  await redis.command('FLUSHALL')
  proxy.set('none')
  await eventually(() =>
    expect(app.outages.all().find(({ role }) => role === 'state')).toMatchObject({
      note: expect.stringContaining('empty'),
      endedAt: expect.any(String),
    }),
  )
  expect(app.stateRole.status()).toMatchObject({ activations: 1, reconnects: 0 })
  await expectInRedis(new Map([[key, 'kept']]))
})

describe('since', () => {
  let clock: Ahead
  beforeEach(() => {
    clock = beginAhead()
  })
  afterEach(() => clock.end())

  test('never runs backwards: two roles, outages, and a clock that is set back', async () => {
    const other = await startRedis()
    ends.push(() => other.stop())
    const app = await open({ stateUrl: redis.url, cacheUrl: other.url })
    const seen: number[][] = []
    const look = () =>
      seen.push([app.status(), app.stateRole.status(), app.cacheRole.status()].map(({ sinceMs }) => sinceMs))
    const timer = setInterval(look, 1)
    ends.push(() => clearInterval(timer))
    await other.kill()
    await eventually(() => expect(app.cacheRole.status().status).toBe('memory'))
    clock.pass(-HOUR_MS)
    await redis.kill()
    await eventually(() => expect(app.stateRole.status().status).toBe('memory'))
    await redis.start()
    await eventually(() => expect(app.stateRole.status().status).toBe('redis'))
    clock.pass(2 * HOUR_MS)
    await other.start()
    await app.untilStatus('redis')
    clock.pass(-HOUR_MS)
    await redis.kill()
    await eventually(() => expect(app.status().status).toBe('memory'))
    look()
    for (const column of [0, 1, 2]) {
      const times = seen.map((row) => row[column] as number)
      expect(times).toEqual([...times].sort((a, b) => a - b))
    }
    for (const { durationMs } of app.outages.all()) expect(durationMs ?? 0).toBeGreaterThanOrEqual(0)
  })
})

test('every connection to Redis has TCP keep-alive, within a minute', async () => {
  const app = await open()
  app.queue.work('known', async () => {})
  const subscription = await app.bus.subscribe('calls:x', { message() {}, gap() {} } as never)
  ends.push(() => subscription.close())
  await eventually(() => expect(app.queue.bull()).toBeDefined())
  await eventually(() => {
    const seconds = keepAliveSeconds(redis.port)
    expect(seconds.length).toBeGreaterThanOrEqual(5) // both roles, messages, and BullMQ's
    for (const left of seconds) expect(left).toBeLessThanOrEqual(60)
  })
})
