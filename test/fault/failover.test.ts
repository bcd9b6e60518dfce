// A bug of ours is no outage: it is logged as one, with its stack, and says nothing of Redis.
import { randomUUID } from 'node:crypto'
import { connectRedis, type RedisConnection } from '../../src/core/redis/connection.ts'
import { createFailover, type Failover, type FailoverEvents } from '../../src/core/redis/failover.ts'
import { START_GRACE_MS } from '../../src/core/redis/failover-machine.ts'
import { eventually } from '../helpers/eventually.ts'
import { recordLog } from '../helpers/log.ts'
import { startRedis, type TestRedis } from '../helpers/redis-server.ts'
import { targetOf } from '../helpers/stores.ts'

let redis: TestRedis
let connection: RedisConnection
let failover: Failover
let extraMs: number
let causes: string[]
let lines: ReturnType<typeof recordLog>['lines']

function open(events: Partial<FailoverEvents> = {}): void {
  const recorded = recordLog()
  lines = recorded.lines
  causes = []
  extraMs = 0
  connection = connectRedis({ target: targetOf(redis.url), budgetMs: 2_000, trackPrefix: undefined })
  failover = createFailover({
    role: 'state',
    connection,
    probeKey: `probe:${randomUUID()}`,
    hasHeartbeat: true,
    events: {
      cut: () => {},
      left: () => {},
      outageBegan: (cause) => causes.push(cause),
      returned: () => ({ merged: { session: 2, limit: 1 }, conflicts: [] }),
      ...events,
    },
    log: recorded.log,
    steadyNow: () => performance.now() + extraMs,
  })
}

beforeEach(async () => {
  redis = await startRedis()
})
afterEach(async () => {
  failover.close()
  await redis.stop()
})

const start = (run: () => Promise<void>) => failover.start({ run, resume: run, isPending: () => false })
const untilStatus = (status: string) => eventually(() => expect(failover.status().status).toBe(status))
const bugs = () => lines.filter(({ message }) => message.startsWith('unexpected error'))
const broken = async () => {
  throw new TypeError('undefined is not a function')
}

test('in a merge: logged with its stack and tried again; an outage that it causes is none of Redis', async () => {
  let tries = 0
  let isMended = false
  open()
  start(async () => {
    tries += 1
    if (tries === 2) extraMs = START_GRACE_MS
    if (!isMended) await broken()
  })
  await eventually(() => expect(tries).toBe(2))
  await eventually(() => expect(failover.status().activations).toBe(1))
  expect(failover.status()).toMatchObject({
    status: 'memory',
    lastError: 'unexpected error in Samovar: TypeError: undefined is not a function',
  })
  expect(causes).toEqual(['bug: unexpected error in Samovar: TypeError: undefined is not a function'])
  isMended = true
  await untilStatus('redis')
  expect(bugs().map(({ level, message, fields: { err } }) => [level, message, err])).toEqual(
    Array(tries - 1).fill([
      'error',
      "unexpected error during 'merge' (please report it)",
      expect.any(TypeError),
    ]),
  )
  const [announced, recovered, ...others] = lines.filter(({ message }) => message.startsWith('Redis'))
  expect(announced).toMatchObject({ level: 'error', fields: { reason: 'bug' } })
  expect(announced?.message).toContain('Redis is not used: unexpected error in Samovar')
  expect(recovered?.message).toMatch(/failed back to Redis after [\d.]+ s \(3 entries merged, 0 conflicts\)/)
  expect(others).toEqual([])
  expect(failover.status().lastError).toBeNull()
})

test('in a call: the caller gets it as it is, and Redis is asked on', async () => {
  open()
  start(async () => {})
  await untilStatus('redis')
  const call = () =>
    failover.attempt(
      () => connection.call(broken),
      () => 'from memory',
    )
  await expect(call()).rejects.toThrow(TypeError)
  // node-redis cannot encode it: it is ours as well.
  const wrong = undefined as unknown as string
  const get = () =>
    failover.attempt(
      () => connection.call((client) => client.get(wrong)),
      () => null,
    )
  await expect(get()).rejects.toThrow(TypeError)
  expect(failover.status()).toMatchObject({ status: 'redis', activations: 0, servedCalls: 0 })
  expect(
    await failover.attempt(
      () => connection.call((client) => client.ping()),
      () => 'memory',
    ),
  ).toBe('PONG')
})

test('in a participant that is notified: logged, and Redis is left and found again all the same', async () => {
  const bug = () => {
    throw new TypeError('undefined is not a function')
  }
  open({ left: bug, outageBegan: bug, returned: bug })
  start(async () => {})
  await untilStatus('redis')
  await redis.kill()
  await untilStatus('memory')
  await redis.start()
  await untilStatus('redis')
  const during = bugs().map(({ message }) => message.replace(/.*'(.*)'.*/, '$1'))
  expect(during).toEqual(['notify returned', 'notify left', 'announce outage', 'notify returned'])
})

test('closed while it connects: no connection is left', async () => {
  open()
  start(async () => {})
  failover.close()
  await new Promise((resolve) => setTimeout(resolve, 300))
  await eventually(async () =>
    expect(await redis.command('INFO', 'clients')).toContain('connected_clients:1\r'),
  )
  await expect(connection.call((client) => client.ping())).rejects.toMatchObject({ reason: 'lost' })
})
