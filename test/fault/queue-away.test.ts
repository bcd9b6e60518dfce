// Background jobs through every way in which Redis goes: none is lost, and none takes effect twice.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { appRoutes } from '@bull-board/api/dist/routes.js'
import { jest } from '@jest/globals'
import { createNodeRedisClient, Queue, Worker } from 'bullmq'
import { createClient } from 'redis'
import { readAdminToken } from '../../src/core/files/admin-token.ts'
import { pause } from '../../src/lib/time.ts'
import { startApp, type TestApp } from '../helpers/app.ts'
import { timed } from '../helpers/control-clock.ts'
import { eventually, HUNG_MS } from '../helpers/eventually.ts'
import { openJobs, type TestJobs } from '../helpers/jobs.ts'
import { type JobsApart, openJobsApart } from '../helpers/jobs-apart.ts'
import { startRedis, type TestRedis } from '../helpers/redis-server.ts'

const PREFIX = 'samovar:state:queue'
const BUDGET_MS = 300 // so that a busy machine is no outage
let redis: TestRedis
let dataDir: string
const opened: { close(): Promise<void> }[] = []

beforeEach(async () => {
  redis = await startRedis('--appendonly', 'yes')
  dataDir = mkdtempSync(join(tmpdir(), 'samovar-data-'))
})
afterEach(async () => {
  for (const thing of opened.splice(0).reverse()) await thing.close()
  await redis.stop()
  rmSync(dataDir, { recursive: true, force: true })
})

async function open(options: Partial<Parameters<typeof openJobs>[0]> = {}): Promise<TestJobs> {
  const jobs = await openJobs({ cacheUrl: redis.url, budgetMs: BUDGET_MS, ...options })
  opened.push(jobs)
  return jobs
}

const isThere = ({ queue }: TestJobs) => eventually(() => expect(queue.bull()).toBeDefined())

/** BullMQ's own view of a queue. */
async function rawQueue(name: string): Promise<Queue> {
  const client = createClient({ url: redis.url })
  client.on('error', () => {})
  await client.connect()
  const queue = new Queue(name, { connection: createNodeRedisClient(client), prefix: PREFIX })
  opened.push({
    async close() {
      await queue.close()
      client.destroy()
    },
  })
  return queue
}

function effects() {
  const counts = new Map<string, number>()
  return {
    counts,
    async handler({ id }: { id: string }) {
      await pause(2)
      counts.set(id, (counts.get(id) ?? 0) + 1)
    },
    twice: () => [...counts].filter(([, count]) => count !== 1),
  }
}

/** Jobs in a process that can be killed, and the effects of all of them. */
async function openApart(counts: Map<string, number>): Promise<JobsApart> {
  const jobs = await openJobsApart({ cacheUrl: redis.url, dataDir }, (id) =>
    counts.set(id, (counts.get(id) ?? 0) + 1),
  )
  opened.push(jobs)
  return jobs
}

const WORST_MS = 1_500 // some budgets; who waits for Redis itself waits for longer
const UNDER_WAY = 5 // at a time: what a killed process was at may take effect once more

test('500 jobs through a kill, a freeze and a FLUSHALL of Redis and a kill of the app: each runs once', async () => {
  const counts = new Map<string, number>()
  let slowestMs = 0
  let next = 0
  async function add(jobs: JobsApart, count: number, mostDelayMs: number): Promise<void> {
    for (const until = next + count; next < until; next += 1) {
      slowestMs = Math.max(slowestMs, await jobs.add('effects', `${next}`, (next * 37) % mostDelayMs))
    }
  }
  async function start(): Promise<JobsApart> {
    const jobs = await openApart(counts)
    await jobs.work('effects', UNDER_WAY)
    return jobs
  }

  let jobs = await start()
  await jobs.isThere()
  await add(jobs, 60, 300)
  await redis.kill()
  await add(jobs, 60, 300)
  await redis.start()
  await jobs.isThere()

  await add(jobs, 60, 300)
  redis.freeze()
  await add(jobs, 60, 3_000)
  await pause(1_000)
  redis.thaw()
  await add(jobs, 60, 300)
  await jobs.isThere()

  await redis.kill()
  await add(jobs, 80, 6_000)
  await jobs.kill()
  expect(counts.size).toBeLessThan(380)
  expect([...counts.values()].every((count) => count === 1)).toBe(true)
  jobs = await start()
  await add(jobs, 20, 300)
  await redis.start()
  await jobs.isThere()

  await add(jobs, 60, 2_000)
  await redis.command('FLUSHALL')
  await add(jobs, 40, 300)
  // BullMQ gives the jobs of a dead process to another one after up to 45 s.
  await eventually(() => expect(counts.size).toBe(500), 2 * HUNG_MS)
  await pause(500)
  const again = [...counts.values()].filter((count) => count !== 1)
  expect(again.length).toBeLessThanOrEqual(UNDER_WAY)
  expect(again.every((count) => count === 2)).toBe(true)
  expect(slowestMs).toBeLessThan(WORST_MS)
  await eventually(async () => expect(await jobs.pendingWrites()).toBe(0))
})

test('what is unfinished when Redis is back is in it by id and runs elsewhere; what is done does not', async () => {
  const counts = new Map<string, number>()
  const first = await openApart(counts)
  await first.isThere()
  await redis.kill()
  await first.isThere(false)
  await first.work('mixed')
  await first.add('mixed', 'finished')
  await first.add('mixed', 'later', 10_000)
  for (let i = 0; i < 20; i += 1) await first.add('elsewhere', `e:${i}`)
  await eventually(() => expect([...counts.keys()]).toEqual(['finished']))
  await eventually(async () =>
    expect(await first.counts()).toMatchObject({ waiting: 20, delayed: 1, done: 1 }),
  )
  expect(await first.pendingWrites()).toBeGreaterThan(20)

  await redis.start()
  await first.isThere()
  const mixed = await rawQueue('mixed')
  const elsewhere = await rawQueue('elsewhere')
  expect((await mixed.getJobs()).map(({ id }) => id)).toEqual(['later'])
  expect(new Set((await elsewhere.getWaiting()).map(({ id }) => id))).toEqual(
    new Set(Array.from({ length: 20 }, (_, i) => `e%3A${i}`)),
  )
  await first.kill()
  rmSync(dataDir, { recursive: true })
  mkdirSync(dataDir) // another machine: it has what is in Redis, and no more

  const second = await openApart(counts)
  await second.isThere()
  await second.work('mixed')
  await second.work('elsewhere')
  await second.add('mixed', 'finished')
  await eventually(() => expect(counts.size).toBe(22), 2 * HUNG_MS)
  await pause(300)
  expect([...counts].filter(([, count]) => count !== 1)).toEqual([])
})

test('what died in an outage is a dead letter in Redis after it', async () => {
  const jobs = await open()
  await isThere(jobs)
  await redis.kill()
  await eventually(() => expect(jobs.queue.bull()).toBeUndefined())
  jobs.queue.work('dying', async () => {
    throw new Error('no such address')
  })
  await jobs.queue.add('dying', null, { id: 'x', attempts: 2, backoffMs: 10 })
  await eventually(async () => expect((await jobs.queue.counts()).dead).toBe(1))
  await redis.start()
  await isThere(jobs)
  const dying = await rawQueue('dying')
  await eventually(async () => {
    const failed = await dying.getFailed()
    expect(failed.map(({ id, failedReason }) => [id, failedReason])).toEqual([['x', 'no such address']])
  })
})

test('a schedule goes on in the process while Redis is away, and is in a Redis that came back empty', async () => {
  const jobs = await open()
  await isThere(jobs)
  const { counts, handler, twice } = effects()
  jobs.queue.work('ticking', handler)
  jobs.queue.schedule('ticking', { everyMs: 400, data: null, catchUp: 'once' })
  await eventually(() => expect(counts.size).toBeGreaterThan(1))
  await redis.kill()
  await eventually(() => expect(jobs.queue.bull()).toBeUndefined())
  const before = counts.size
  await eventually(() => expect(counts.size).toBeGreaterThan(before + 2))
  await redis.start('--appenddirname', 'another') // nothing in there
  await isThere(jobs)
  const ticking = await rawQueue('ticking')
  await eventually(async () =>
    expect(await ticking.getJobSchedulers()).toMatchObject([{ key: 'ticking', every: 400 }]),
  )
  const after = counts.size
  await eventually(() => expect(counts.size).toBeGreaterThan(after + 2))
  expect(twice()).toEqual([])
})

test('a worker that has stopped taking jobs is replaced', async () => {
  const jobs = await open({ stuckMs: 1_000 })
  await isThere(jobs)
  const waits = jest
    .spyOn(Worker.prototype as unknown as { waitForJob(): Promise<number> }, 'waitForJob')
    .mockImplementationOnce(() => new Promise(() => {}))
  const { counts, handler } = effects()
  jobs.queue.work('stuck', handler)
  await eventually(() => expect(waits).toHaveBeenCalled())
  await jobs.queue.add('stuck', null, { id: 'x' })
  await eventually(() => expect(counts.get('x')).toBe(1))
  waits.mockRestore()
  expect(jobs.lines.filter(({ message }) => message.startsWith('a worker has stopped'))).toHaveLength(1)
})

test('a connection of BullMQ that is cut is made anew, and the state role notices nothing', async () => {
  const jobs = await open()
  await isThere(jobs)
  const { counts, handler } = effects()
  jobs.queue.work('cut', handler)
  const clients = (await redis.command('CLIENT', 'LIST')).split('\n')
  const ours = clients.filter((line) => line.includes('name=samovar-jobs'))
  expect(ours.length).toBeGreaterThan(0)
  for (const line of ours) await redis.command('CLIENT', 'KILL', 'ID', /id=(\d+)/.exec(line)?.[1] ?? '')
  await jobs.queue.add('cut', null, { id: 'x' })
  await eventually(() => expect(counts.get('x')).toBe(1))
  await isThere(jobs)
  expect(jobs.stateRole.status()).toMatchObject({ status: 'redis', activations: 0 })
})

describe('the board', () => {
  let app: TestApp
  const token = 'token-of-the-admin'
  const basic = (password: string) => ({ authorization: `Basic ${btoa(`admin:${password}`)}` })
  const bearer = { authorization: `Bearer ${token}` }
  const statusOf = async (headers: Record<string, string> = {}) => {
    const answer = await app.get('/admin/jobs', { headers })
    return [answer.status, await answer.text()] as const
  }
  const start = async (env: Record<string, string>) => {
    app = await startApp({ REDIS_URL: redis.url, REDIS_BUDGET_MS: String(BUDGET_MS), ...env })
    opened.push(app)
  }

  test('without ADMIN_TOKEN is for the token that was made', async () => {
    await start({})
    const [status, text] = await statusOf(bearer)
    expect(status).toBe(401)
    expect(text).toContain('ADMIN_TOKEN')
    const made = String(readAdminToken(app.dataDir))
    await eventually(async () => expect((await statusOf(basic(made)))[0]).toBe(200))
  })

  test('changes nothing, whatever it is asked for', async () => {
    await start({ ADMIN_TOKEN: token })
    await eventually(async () => expect((await statusOf(bearer))[0]).toBe(200))
    const queue = await rawQueue('alert-page')
    await queue.add('alert-page', { crossingId: 'a' }, { jobId: 'kept', delay: 3_600_000 })
    const given: Record<string, string> = { queueName: 'alert-page', jobId: 'kept', queueStatus: 'delayed' }
    // What each of them wants to be told.
    const body = {
      ...{ name: 'another', data: {}, options: {}, jobData: {}, priority: 1, runAt: Date.now() },
      ...{ concurrency: 1, max: 1, duration: 1_000, every: 1_000 },
    }
    const ways = appRoutes.api.filter(({ method }) => method !== 'get')
    expect(ways.length).toBeGreaterThan(10)
    for (const { method, route } of ways) {
      const path = String(route).replace(/:(\w+)/g, (_, name) => given[name] ?? 'x')
      const answer = await app.get(`/admin/jobs${path}`, {
        method: String(method).toUpperCase(),
        headers: { ...bearer, 'content-type': 'application/json' },
        body: JSON.stringify(body),
      })
      // What is meant for all queues that can be changed is done, to none.
      const isForAll = /^\/api\/queues\/(pause|resume)$/.test(path)
      expect([method, path, answer.status]).toEqual([method, path, isForAll ? 200 : 405])
    }
    expect(await queue.isPaused()).toBe(false)
    expect((await queue.getJobs()).map(({ id, data }) => [id, data])).toEqual([['kept', { crossingId: 'a' }]])
  })

  test('asks for the token; says 503 while Redis is away, killed or frozen', async () => {
    await start({ ADMIN_TOKEN: token })
    const refused = await app.get('/admin/jobs')
    expect(refused.status).toBe(401)
    expect(refused.headers.get('www-authenticate')).toContain('Basic')
    for (const headers of [
      { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' },
      { accept: 'application/json', 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36' },
    ]) {
      const asked = await app.get('/admin/jobs', { headers })
      expect([asked.status, asked.headers.get('www-authenticate')]).toEqual([401, null])
    }
    expect((await statusOf(basic('wrong')))[0]).toBe(401)
    expect((await statusOf({ authorization: 'Bearer wrong' }))[0]).toBe(401)

    await eventually(async () => expect((await statusOf(bearer))[0]).toBe(200))
    const [, page] = await statusOf(basic(token))
    const script = /src="(static\/js\/main[^"]+)"/.exec(page)?.[1]
    const asset = await app.get(`/admin/jobs/${script}`, { headers: bearer })
    expect(asset.status).toBe(200)
    expect((await app.get(`/admin/jobs/${script}`)).status).toBe(401)
    expect(asset.headers.get('x-powered-by')).toBeNull()
    expect(asset.headers.get('content-security-policy')).toContain("default-src 'self'")
    expect((await app.get('/admin/jobs/api/queues', { headers: bearer })).status).toBe(200)

    redis.freeze()
    const { answer, tookMs } = await timed(() => statusOf(bearer))
    expect(answer[0]).toBe(503)
    expect(tookMs).toBeLessThan(WORST_MS)
    redis.thaw()
    await eventually(async () => expect((await statusOf(bearer))[0]).toBe(200))
    await redis.kill()
    await eventually(async () => {
      const [status, text] = await statusOf(bearer)
      expect(status).toBe(503)
      expect(text).toContain('Redis is away')
    })
  })

  test('says 503 where Redis is switched off', async () => {
    await start({ ADMIN_TOKEN: token, REDIS_URL: 'off' })
    expect((await statusOf(bearer))[0]).toBe(503)
  })
})
