// Several processes on a Redis that comes back in an older state of itself: what any of them was told is written is there
// afterwards, whoever comes back first, and whether or not Redis tells them of each other's writes.
import { pause } from '../../src/lib/time.ts'
import { eventually } from '../helpers/eventually.ts'
import { startRedis, type TestRedis } from '../helpers/redis-server.ts'
import { openProcess, type TestProcess } from '../helpers/stores.ts'
import { startTcpProxy, type TcpProxy } from '../helpers/tcp-proxy.ts'

const LONG_MS = 3_600_000
const NO_LONGER_RECENT_MS = 6_500 // state written so long ago is not merged as "the last seconds"
const SESSIONS = 30

interface Node {
  readonly app: TestProcess
  readonly proxy: TcpProxy
}

let redis: TestRedis
let ends: (() => unknown)[]
beforeEach(async () => {
  redis = await startRedis()
  await redis.command('ACL', 'SETUSER', 'tracked', 'on', '>pw', '~*', '&*', '+@all')
  await redis.command('ACL', 'SETUSER', 'untracked', 'on', '>pw', '~*', '&*', '+@all', '-client|tracking')
  ends = [redis.stop]
})
afterEach(async () => {
  for (const end of ends.reverse()) await end()
})

async function openNode(user: string): Promise<Node> {
  const proxy = await startTcpProxy(redis.port)
  ends.push(proxy.close)
  const app = await openProcess({ cacheUrl: proxy.url.replace('redis://', `redis://${user}:pw@`) })
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

/** Redis goes with what it has learnt since `SAVE`, and the nodes come back one after the other. */
async function comeBack(...inOrder: Node[]): Promise<void> {
  for (const { proxy } of inOrder) proxy.set({ timeout: true })
  await redis.kill()
  for (const { app } of inOrder) await app.untilStatus('memory')
  await redis.start('--aclfile', '')
  await redis.command('ACL', 'SETUSER', 'tracked', 'on', '>pw', '~*', '&*', '+@all')
  await redis.command('ACL', 'SETUSER', 'untracked', 'on', '>pw', '~*', '&*', '+@all', '-client|tracking')
  for (const { app, proxy } of inOrder) {
    proxy.set({})
    await app.untilStatus('redis')
  }
}

describe.each(['untracked', 'tracked'])('%s', (user) => {
  test.each(['first', 'second'])('the sessions of whoever comes back %s are there', async (place) => {
    const [writer, other] = [await openNode(user), await openNode(user)]
    await write(writer, 'early')
    await redis.command('SAVE')
    await write(writer, 'late')
    await pause(NO_LONGER_RECENT_MS)
    await other.app.state.write('session:own', Buffer.from('x'), LONG_MS)
    await pause(1_500) // by then both have moved the offset on
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
  await write(writer, 'late')
  await writer.app.close()
  await pause(NO_LONGER_RECENT_MS)
  await other.app.state.write('session:own', Buffer.from('x'), LONG_MS)
  await pause(1_500)
  await comeBack(listener, other)
  await eventually(async () => expect(await inRedis('late')).toBe(SESSIONS))
})

test.each([
  [1, false],
  [2, true],
])('with %s workers, what an operator has deleted since is there again: %s', async (workers, isThere) => {
  const app = await openProcess({ cacheUrl: redis.url, workers })
  ends.push(app.close)
  await app.untilStatus('redis')
  await eventually(() => expect(app.stateRole.coverage()).toBe('full'))
  await app.state.write('session:kept', Buffer.from('x'), LONG_MS)
  await app.state.write('session:deleted', Buffer.from('x'), LONG_MS)
  await redis.command('SAVE')
  await redis.command('DEL', 'samovar:state:session:deleted')
  await eventually(async () => expect(await app.state.list('session')).toEqual(['session:kept']))
  await app.state.write('session:kept', Buffer.from('newer'), LONG_MS)
  await pause(NO_LONGER_RECENT_MS)
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
