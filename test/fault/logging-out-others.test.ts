// Devices of one user that log the others out concurrently: exactly one stays, whichever process serves them, also when
// neither process could ask Redis while they did it.
import { randomUUID } from 'node:crypto'
import { eventually } from '../helpers/eventually.ts'
import { startRedis, type TestRedis } from '../helpers/redis-server.ts'
import { createVisitor, type SessionsApp, startSessions, type Visitor } from '../helpers/sessions-app.ts'
import { openProcess, type TestProcess } from '../helpers/stores.ts'

const TRIES = 40
const AWAY_TRIES = 8
let redis: TestRedis
const processes: TestProcess[] = []
const apps: SessionsApp[] = []

beforeAll(async () => {
  redis = await startRedis('--appendonly', 'yes')
  for (let i = 0; i < 2; i += 1) {
    const process = await openProcess({ cacheUrl: redis.url })
    processes.push(process)
    apps.push(await startSessions({ state: process.state }))
    await process.untilStatus('redis')
  }
})
afterAll(async () => {
  redis.thaw()
  await Promise.all(apps.map((app) => app.close()))
  await Promise.all(processes.map((process) => process.close()))
  await redis.stop()
})

/** A user's devices, served by the two processes in turn, and one that does nothing. */
async function devices(count: number): Promise<{ enders: Visitor[]; idle: Visitor }> {
  const id = `test:${randomUUID()}`
  const all = Array.from({ length: count + 1 }, (_, i) => createVisitor(apps[i % 2]?.url ?? ''))
  for (const one of all) expect((await one.logIn(id)).status).toBe(200)
  const [idle, ...enders] = all
  if (!idle) throw new Error('unreachable')
  return { enders, idle }
}

/** How many of them are logged in, as each process says. */
async function loggedIn(visitors: readonly Visitor[]): Promise<number[]> {
  return Promise.all(
    apps.map(async ({ url }) => {
      const here = visitors.map(({ cookies }) => createVisitor(url, {}, new Map(cookies)))
      const answers = await Promise.all(here.map((one) => one.get('/api/me')))
      for (const { status } of answers) expect([200, 401]).toContain(status)
      return answers.filter(({ status }) => status === 200).length
    }),
  )
}

const endOthers = (visitor: Visitor) => visitor.delete('/api/sessions?others=true')

test(`of two or three that do it concurrently one stays, ${TRIES} times`, async () => {
  for (let i = 0; i < TRIES; i += 1) {
    const { enders, idle } = await devices(2 + (i % 2))
    const answers = await Promise.all(enders.map(endOthers))
    // One that the other has logged out before it asks learns just that.
    for (const { status } of answers) expect([204, 401]).toContain(status)
    expect(await loggedIn([...enders, idle])).toEqual([1, 1])
  }
})

test('of two that do it while Redis is away, each in its process, one stays when it is back', async () => {
  const all: Awaited<ReturnType<typeof devices>>[] = []
  for (let i = 0; i < AWAY_TRIES; i += 1) all.push(await devices(2))
  redis.freeze()
  await Promise.all(processes.map((process) => process.untilStatus('memory')))
  for (const { enders } of all) {
    const answers = await Promise.all(enders.map(endOthers))
    expect(answers.map(({ status }) => status)).toEqual([204, 204])
  }
  redis.thaw()
  await Promise.all(processes.map((process) => process.untilStatus('redis')))
  await eventually(async () => {
    for (const { enders, idle } of all) expect(await loggedIn([...enders, idle])).toEqual([1, 1])
  })
})

test('the one that stays can do it again, is not ended by a login, and ends with the last logout everywhere', async () => {
  const { enders } = await devices(2)
  const [one, other] = enders as [Visitor, Visitor]
  expect((await endOthers(one)).status).toBe(204)
  expect((await endOthers(one)).status).toBe(204)
  expect(await loggedIn([one])).toEqual([1, 1])
  expect(await loggedIn([other])).toEqual([0, 0])
  const kept = one.twin()
  const { sessions } = (await (await one.get('/api/sessions')).json()) as { sessions: object[] }
  expect(sessions).toHaveLength(1)
  expect((await one.delete('/api/sessions')).status).toBe(204)
  expect(await loggedIn([kept, other])).toEqual([0, 0])
})
