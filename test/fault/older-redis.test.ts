// Several processes on a Redis that comes back in an older state of itself: what any of them was told is written is
// there afterwards, whoever comes back first, and whether or not Redis tells them of each other's writes.
import { jest } from '@jest/globals'
import { RedisUnavailable } from '../../src/core/errors.ts'
import { createJournal } from '../../src/core/state/disk/journal.ts'
import { createRedisStateStore } from '../../src/core/state/redis-state-store.ts'
import { pause } from '../../src/lib/time.ts'
import { eventually } from '../helpers/eventually.ts'
import { type FaultProxy, openFaultProxy } from '../helpers/fault-proxy.ts'
import { startRedis, type TestRedis } from '../helpers/redis-server.ts'
import { openProcess, type TestProcess } from '../helpers/stores.ts'

const LONG_MS = 3_600_000
const NO_LONGER_RECENT_MS = 6_500 // state written so long ago is not merged as "the last seconds"
const SESSIONS = 30
const BUDGET_MS = 300 // so that a busy machine is no outage

interface Node {
  readonly app: TestProcess
  readonly proxy: FaultProxy
}

let redis: TestRedis
let ends: (() => unknown)[]
let aheadMs: number
beforeEach(async () => {
  aheadMs = 0
  const realNow = performance.now.bind(performance)
  const clock = jest.spyOn(performance, 'now').mockImplementation(() => realNow() + aheadMs)
  redis = await startRedis()
  await redis.command('ACL', 'SETUSER', 'tracked', 'on', '>pw', '~*', '&*', '+@all')
  await redis.command('ACL', 'SETUSER', 'untracked', 'on', '>pw', '~*', '&*', '+@all', '-client|tracking')
  ends = [redis.stop, () => clock.mockRestore()]
})
afterEach(async () => {
  for (const end of ends.reverse()) await end()
})

async function openNode(user: string): Promise<Node> {
  const proxy = await openFaultProxy(redis.port)
  ends.push(proxy.close)
  const app = await openProcess({
    cacheUrl: proxy.url.replace('redis://', `redis://${user}:pw@`),
    budgetMs: BUDGET_MS,
  })
  ends.push(app.close)
  await app.untilStatus('redis')
  await eventually(() => expect(app.stateRole.coverage()).toBe('full'))
  return { app, proxy }
}

async function write({ app }: Node, name: string): Promise<void> {
  for (let i = 0; i < SESSIONS; i += 1)
    await app.state.write(`session:${name}${i}`, Buffer.from('x'), LONG_MS)
}

const inRedis = async (name: string) => {
  const names = Array.from({ length: SESSIONS }, (_, i) => `samovar:state:session:${name}${i}`)
  return Number((await redis.command('EXISTS', ...names)).slice(1))
}

/** How far each process has come, in the order in which they were opened. */
async function offsets(): Promise<number[]> {
  const lines = (await redis.command('HVALS', 'samovar:state:offsets')).split('\r\n')
  return lines.filter((line) => /^\d+$/.test(line)).map(Number)
}

/** The process of that place has moved its offset on since, and knows it. */
async function hasMovedSince(before: number[], place: number, app: TestProcess): Promise<void> {
  await eventually(async () => expect((await offsets())[place]).toBeGreaterThan(before[place] ?? Number.NaN))
  await app.state.read('session:unheard-of') // answers come in order: this one after that of the offset
}

/** So long passes by the clock of what was written last. */
function pass(ms: number): void {
  aheadMs += ms
}

/** Redis goes with what it has learnt since `SAVE`, and the nodes come back one after the other. */
async function comeBack(...inOrder: Node[]): Promise<void> {
  for (const { proxy } of inOrder) proxy.set('refuse')
  await redis.kill()
  for (const { app } of inOrder) await app.untilStatus('memory')
  await redis.start('--aclfile', '')
  await redis.command('ACL', 'SETUSER', 'tracked', 'on', '>pw', '~*', '&*', '+@all')
  await redis.command('ACL', 'SETUSER', 'untracked', 'on', '>pw', '~*', '&*', '+@all', '-client|tracking')
  for (const { app, proxy } of inOrder) {
    proxy.set('none')
    await app.untilStatus('redis')
  }
}

describe.each(['untracked', 'tracked'])('%s', (user) => {
  test.each(['first', 'second'])('the sessions of whoever comes back %s are there', async (place) => {
    const [writer, other] = [await openNode(user), await openNode(user)]
    await write(writer, 'early')
    await redis.command('SAVE')
    const saved = await offsets()
    await write(writer, 'late')
    pass(NO_LONGER_RECENT_MS)
    await other.app.state.write('session:own', Buffer.from('x'), LONG_MS)
    await hasMovedSince(saved, 0, writer.app)
    await hasMovedSince(saved, 1, other.app)
    await comeBack(...(place === 'first' ? [writer, other] : [other, writer]))
    await eventually(async () =>
      expect([await inRedis('early'), await inRedis('late')]).toEqual([SESSIONS, SESSIONS]),
    )
    const found = await Promise.all(
      Array.from({ length: SESSIONS }, (_, i) => writer.app.state.read(`session:late${i}`)),
    )
    expect(found.filter(Boolean)).toHaveLength(SESSIONS)
    await pause(1_500) // nobody takes the other's new life for a loss again and again
    expect([writer, other].map(({ app }) => app.stateRole.status().status)).toEqual(['redis', 'redis'])
    for (const { app } of [writer, other]) expect(app.stateRole.status().activations).toBeLessThanOrEqual(2)
  })
})

test('a process that saw nothing missing, because it never wrote, puts back what it alone was told of', async () => {
  const [writer, other, listener] = [
    await openNode('untracked'),
    await openNode('untracked'),
    await openNode('tracked'),
  ]
  await redis.command('SAVE')
  const saved = await offsets()
  await write(writer, 'late')
  await writer.app.close()
  pass(NO_LONGER_RECENT_MS)
  await other.app.state.write('session:own', Buffer.from('x'), LONG_MS)
  await hasMovedSince(saved, 1, other.app)
  await eventually(async () => expect(await listener.app.state.list('session')).toHaveLength(SESSIONS + 1))
  await comeBack(listener, other)
  await eventually(async () => expect(await inRedis('late')).toBe(SESSIONS))
})

test.each([
  [1, false],
  [2, true],
])('with %s workers, what an operator has deleted since is there again: %s', async (workers, isThere) => {
  const app = await openProcess({ cacheUrl: redis.url, budgetMs: BUDGET_MS, workers })
  ends.push(app.close)
  await app.untilStatus('redis')
  await eventually(() => expect(app.stateRole.coverage()).toBe('full'))
  await app.state.write('session:kept', Buffer.from('x'), LONG_MS)
  await app.state.write('session:deleted', Buffer.from('x'), LONG_MS)
  await redis.command('SAVE')
  const saved = await offsets()
  await redis.command('DEL', 'samovar:state:session:deleted')
  await eventually(async () => expect(await app.state.list('session')).toEqual(['session:kept']))
  await app.state.write('session:kept', Buffer.from('newer'), LONG_MS)
  pass(NO_LONGER_RECENT_MS)
  await hasMovedSince(saved, 0, app)
  await redis.kill()
  await app.untilStatus('memory')
  await redis.start()
  await app.untilStatus('redis')
  expect((await app.state.read('session:kept'))?.bytes.toString()).toBe('newer')
  expect((await app.state.read('session:deleted')) !== undefined).toBe(isThere)
  const note = app.stateRole.outages.all().find(({ role }) => role === 'state')?.note
  const seeded = 'Redis came back in an older state and was seeded from memory'
  expect(note).toBe(isThere ? seeded : `${seeded}; 1 keys that had been deleted since were deleted again`)
})

test('a sequence whose bump was too slow is bumped again, though nothing more is written', async () => {
  let bumps = 0
  const app = await openProcess({
    cacheUrl: redis.url,
    budgetMs: BUDGET_MS,
    stateParts: {
      createJournal,
      createRedisStateStore(options) {
        const store = createRedisStateStore(options)
        return {
          ...store,
          async bumpSequence(by) {
            const answer = await store.bumpSequence(by)
            bumps += 1
            if (bumps === 1) throw new RedisUnavailable('slow', 'the first answer comes too late')
            return answer
          },
        }
      },
    },
  })
  ends.push(app.close)
  await app.untilStatus('redis')
  await app.state.write('session:once', Buffer.from('x'), LONG_MS)
  await eventually(() => expect(bumps).toBe(2))
})
