// Who is logged in stays so while Redis is killed, frozen or emptied and while the app restarts meanwhile; and who was
// logged out meanwhile stays out.
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInstallation } from '../../src/core/files/installation.ts'
import { keepSecret } from '../../src/host/kept-secret.ts'
import { pause } from '../../src/lib/time.ts'
import { eventually } from '../helpers/eventually.ts'
import { recordLog } from '../helpers/log.ts'
import { startRedis, type TestRedis } from '../helpers/redis-server.ts'
import { createVisitor, type SessionsApp, startSessions, type Visitor } from '../helpers/sessions-app.ts'
import { openProcess, type TestProcess } from '../helpers/stores.ts'

const VISITORS = 300
let redis: TestRedis
let dataDir: string
let process: TestProcess
let app: SessionsApp
let visitors: Visitor[]

function keep(): string {
  const { log } = recordLog()
  return keepSecret(dataDir, log, createInstallation(dataDir, log))
}

async function open(): Promise<void> {
  process = await openProcess({ cacheUrl: redis.url, dataDir, workers: 1 })
  app = await startSessions({ state: process.state, secrets: [keep()] })
}
async function close(): Promise<void> {
  await app.close()
  await process.close()
}

beforeEach(async () => {
  redis = await startRedis('--appendonly', 'yes')
  dataDir = mkdtempSync(join(tmpdir(), 'samovar-data-'))
  await open()
  await process.untilStatus('redis')
  visitors = Array.from({ length: VISITORS }, () => createVisitor(() => app.url))
  await inTurns(visitors, (visitor) => visitor.logIn(`test:${randomUUID()}`))
  await eventually(() => expect(process.stateRole.coverage()).toBe('full'))
})
afterEach(async () => {
  redis.thaw()
  await close()
  await redis.stop()
  rmSync(dataDir, { recursive: true, force: true })
})

/** Ten at a time. */
async function inTurns<T>(all: readonly Visitor[], act: (visitor: Visitor) => Promise<T>): Promise<T[]> {
  const done: T[] = []
  for (let i = 0; i < all.length; i += 10) done.push(...(await Promise.all(all.slice(i, i + 10).map(act))))
  return done
}

/** How often each answer was given to those who ask who they are. */
async function answersTo(all: readonly Visitor[]): Promise<Record<number, number>> {
  const counts: Record<number, number> = {}
  for (const { status } of await inTurns(all, (visitor) => visitor.get('/api/me')))
    counts[status] = (counts[status] ?? 0) + 1
  return counts
}

/** Everybody asks, over and over, until it is stopped; then how often each answer was given. */
function traffic(all: readonly Visitor[]) {
  let isOver = false
  const counts: Record<number, number> = {}
  const ended = (async () => {
    while (!isOver) {
      for (const [status, count] of Object.entries(await answersTo(all)))
        counts[Number(status)] = (counts[Number(status)] ?? 0) + count
    }
  })()
  return async () => {
    isOver = true
    await ended
    return counts
  }
}

/** What another process, which was not there, answers. */
async function strangerAnswers(all: readonly Visitor[]): Promise<Record<number, number>> {
  const other = await openProcess({ cacheUrl: redis.url })
  await other.untilStatus('redis')
  const there = await startSessions({ state: other.state, secrets: [keep()] })
  try {
    return await answersTo(all.map(({ cookies }) => createVisitor(there.url, {}, new Map(cookies))))
  } finally {
    await there.close()
    await other.close()
  }
}

/**
 * Three are logged out in three ways, one twin of them with a cookie that it kept; one logs in, one changes a field.
 */
async function liveOn() {
  const [loggedOut, everywhere, ended, changed, ...stayed] = visitors
  if (!loggedOut || !everywhere || !ended || !changed) throw new Error('unreachable')
  const gone = [loggedOut.twin(), everywhere.twin(), ended.twin()]
  const { sessions } = (await (await ended.get('/api/sessions')).json()) as { sessions: { id: string }[] }
  const answers = [
    await loggedOut.post('/api/logout'),
    await everywhere.delete('/api/sessions'),
    await ended.delete(`/api/sessions/${sessions[0]?.id}`),
    await changed.post('/test/fields', { fields: { changed: 'meanwhile' } }),
  ]
  expect(answers.map(({ status }) => status)).toEqual([204, 204, 204, 200])
  const newcomer = createVisitor(() => app.url)
  expect((await newcomer.logIn(`test:${randomUUID()}`)).status).toBe(200)
  return { gone, changed, stayed: [...stayed, changed, newcomer] }
}

async function expectAsLived({ gone, changed, stayed }: Awaited<ReturnType<typeof liveOn>>): Promise<void> {
  expect(await answersTo(stayed)).toEqual({ 200: stayed.length })
  expect(await answersTo(gone)).toEqual({ 401: gone.length })
  const { fields } = (await (await changed.get('/test/fields')).json()) as { fields: object }
  expect(fields).toMatchObject({ changed: 'meanwhile' })
}

const RETURNS = {
  'killed, back with its data': {
    leave: () => redis.kill(),
    comeBack: () => redis.start(),
  },
  'killed, back empty': {
    leave: () => redis.kill(),
    comeBack: () => redis.start('--appendonly', 'no'),
  },
  frozen: {
    leave: async () => redis.freeze(),
    comeBack: async () => redis.thaw(),
  },
}

test.each(Object.keys(RETURNS) as (keyof typeof RETURNS)[])(
  '%s, under traffic: 0 logged out, no 5xx, and who was logged out stays out',
  async (how) => {
    const stop = traffic(visitors.slice(10))
    await RETURNS[how].leave()
    await process.untilStatus('memory')
    const lived = await liveOn()
    await expectAsLived(lived)
    await RETURNS[how].comeBack()
    await process.untilStatus('redis')
    expect(Object.keys(await stop())).toEqual(['200'])
    await expectAsLived(lived)
    expect(await strangerAnswers(lived.stayed)).toEqual({ 200: lived.stayed.length })
    expect(await strangerAnswers(lived.gone)).toEqual({ 401: 3 })
  },
)

test('the app restarts in the middle of an outage, and Redis comes back after it', async () => {
  await redis.kill()
  await process.untilStatus('memory')
  const lived = await liveOn()
  await close()
  await open()
  await expectAsLived(lived)
  await redis.start()
  await process.untilStatus('redis')
  await expectAsLived(lived)
  expect(await strangerAnswers(lived.gone)).toEqual({ 401: 3 })
})

test('Redis is emptied while it runs, under traffic: 0 logged out, and it has everything again', async () => {
  const lived = await liveOn()
  const stop = traffic(visitors.slice(10))
  await redis.command('FLUSHALL')
  await expectAsLived(lived)
  expect(Object.keys(await stop())).toEqual(['200'])
  await eventually(async () => {
    // On a busy machine another outage may have come after it, or have been there already.
    const ended = process.stateRole.outages.all().filter(({ role, endedAt }) => role === 'state' && endedAt)
    expect(ended).toContainEqual(
      expect.objectContaining({
        cause: expect.stringContaining('lost what it held'),
        note: expect.stringContaining('seeded'),
      }),
    )
    expect(process.pendingWrites()).toBe(0)
    expect(process.stateRole.status().status).toBe('redis')
  })
  expect(await strangerAnswers(lived.stayed)).toEqual({ 200: lived.stayed.length })
  expect(await strangerAnswers(lived.gone)).toEqual({ 401: 3 })
})

test('logged out everywhere: also where another process, cut off, took a login that nobody else knew of', async () => {
  const other = await openProcess({ cacheUrl: redis.url })
  await other.untilStatus('redis')
  const there = await startSessions({ state: other.state, secrets: [keep()] })
  try {
    const user = `test:${randomUUID()}`
    const [here, early, late] = [
      createVisitor(() => app.url),
      createVisitor(there.url),
      createVisitor(there.url),
    ]
    await here.logIn(user)
    await redis.kill()
    await process.untilStatus('memory')
    await other.untilStatus('memory')
    await early.logIn(user)
    await pause(2)
    expect((await here.delete('/api/sessions')).status).toBe(204)
    await pause(2)
    await late.logIn(user)
    expect(await answersTo([early, late])).toEqual({ 200: 2 }) // they cannot know yet
    await redis.start()
    await process.untilStatus('redis')
    await other.untilStatus('redis')
    expect([(await early.get('/api/me')).status, (await late.get('/api/me')).status]).toEqual([401, 200])
    expect(await strangerAnswers([early])).toEqual({ 401: 1 })
    expect(await strangerAnswers([late])).toEqual({ 200: 1 })
  } finally {
    await there.close()
    await other.close()
  }
})

test('memory used up while Redis is away: nobody new, with 503, and nobody out', async () => {
  const small = await openProcess({ cacheUrl: 'redis://127.0.0.1:1/0', memoryBudgetBytes: 256 * 1024 })
  const full = await startSessions({ state: small.state })
  try {
    const early = createVisitor(full.url)
    await early.logIn(`test:${randomUUID()}`)
    let refused: Response | undefined
    for (let i = 0; i < 2_000 && !refused; i += 1) {
      const visitor = createVisitor(full.url)
      const answer = await visitor.logIn(`test:${randomUUID()}`)
      if (answer.status === 200) continue
      refused = answer
      expect(visitor.cookies.size).toBe(0)
      expect((await visitor.get('/api/me')).status).toBe(401)
    }
    expect(refused?.status).toBe(503)
    expect(refused?.headers.get('retry-after')).toBe('5')
    expect(await refused?.json()).toMatchObject({ code: 'state_full' })
    expect((await early.get('/api/me')).status).toBe(200)
    expect((await early.post('/api/logout')).status).toBe(204)
    expect((await early.get('/api/me')).status).toBe(401)
  } finally {
    await full.close()
    await small.close()
  }
})
