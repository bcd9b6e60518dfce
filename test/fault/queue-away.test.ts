// Background jobs through every way in which Redis goes: none is lost, and none takes effect twice.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { createNodeRedisClient, Queue, Worker } from 'bullmq'
import { createClient } from 'redis'
import { pause } from '../../src/lib/time.ts'
import { startApp, type TestApp } from '../helpers/app.ts'
import { eventually } from '../helpers/eventually.ts'
import { openJobs, type TestJobs } from '../helpers/jobs.ts'
import { startRedis, type TestRedis } from '../helpers/redis-server.ts'

const PREFIX = 'samovar:state:queue'
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
  const jobs = await openJobs({ cacheUrl: redis.url, ...options })
  opened.push(jobs)
  return jobs
}

const isThere = ({ queue }: TestJobs) => eventually(() => expect(queue.bull()).toBeDefined(), 15_000)

async function closeNow(jobs: TestJobs): Promise<void> {
  opened.splice(opened.indexOf(jobs), 1)
  await jobs.close()
}

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

test('500 jobs through a kill, a freeze, a restart of the app and an emptied Redis: each ran, each effect once', async () => {
  const { counts, handler, twice } = effects()
  let slowestMs = 0
  let next = 0
  async function add({ queue }: TestJobs, count: number, mostDelayMs: number): Promise<void> {
    for (const until = next + count; next < until; next += 1) {
      const addedAtMs = performance.now()
      await queue.add('effects', { number: next }, { id: `${next}`, delayMs: (next * 37) % mostDelayMs })
      slowestMs = Math.max(slowestMs, performance.now() - addedAtMs)
    }
  }
  async function start(): Promise<TestJobs> {
    const jobs = await open({ dataDir })
    jobs.queue.work('effects', handler, { concurrency: 5 })
    return jobs
  }

  let jobs = await start()
  await isThere(jobs)
  await add(jobs, 60, 300)
  await redis.kill()
  await add(jobs, 60, 300)
  await redis.start()
  await isThere(jobs)

  await add(jobs, 60, 300)
  redis.freeze()
  await add(jobs, 60, 3_000)
  await pause(1_000)
  redis.thaw()
  await add(jobs, 60, 300)
  await isThere(jobs)

  await redis.kill()
  await add(jobs, 80, 3_000)
  await closeNow(jobs)
  expect(counts.size).toBeLessThan(380)
  jobs = await start()
  await add(jobs, 20, 300)
  await redis.start()
  await isThere(jobs)

  await add(jobs, 60, 2_000)
  await redis.command('FLUSHALL')
  await add(jobs, 40, 300)
  await eventually(() => expect(counts.size).toBe(500), 90_000)
  await pause(500)
  expect(twice()).toEqual([])
  expect(slowestMs).toBeLessThan(1_000)
  await eventually(() => expect(jobs.roles.pendingWrites()).toBe(0))
}, 150_000)

test('what is unfinished when Redis is back is in it by id, and another process runs it; what is finished is not', async () => {
  const first = await open({ dataDir })
  await isThere(first)
  await redis.kill()
  await eventually(() => expect(first.queue.bull()).toBeUndefined())
  const { counts, handler } = effects()
  first.queue.work('mixed', handler)
  await first.queue.add('mixed', 1, { id: 'finished' })
  await first.queue.add('mixed', 2, { id: 'later', delayMs: 3_000 })
  for (let i = 0; i < 20; i += 1) await first.queue.add('elsewhere', i, { id: `e:${i}` })
  await eventually(() => expect([...counts.keys()]).toEqual(['finished']))
  expect(await first.queue.counts()).toMatchObject({ waiting: 20, delayed: 1, done: 1 })
  expect(first.roles.pendingWrites()).toBeGreaterThan(20)

  await redis.start()
  await isThere(first)
  const mixed = await rawQueue('mixed')
  const elsewhere = await rawQueue('elsewhere')
  expect((await mixed.getJobs()).map(({ id }) => id)).toEqual(['later'])
  expect(new Set((await elsewhere.getWaiting()).map(({ id }) => id))).toEqual(
    new Set(Array.from({ length: 20 }, (_, i) => `e%3A${i}`)),
  )
  await closeNow(first)

  const second = await open()
  second.queue.work('mixed', handler)
  second.queue.work('elsewhere', handler)
  await isThere(second)
  await second.queue.add('mixed', 1, { id: 'finished' })
  await eventually(() => expect(counts.size).toBe(22), 15_000)
  await pause(300)
  expect([...counts].filter(([, count]) => count !== 1)).toEqual([])
}, 60_000)

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
}, 60_000)

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
}, 60_000)

test('a worker that has stopped taking jobs is replaced', async () => {
  const jobs = await open({ stuckMs: 300 })
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
    app = await startApp({ REDIS_URL: redis.url, ...env })
    opened.push(app)
  }

  test('is for nobody without ADMIN_TOKEN', async () => {
    await start({})
    const [status, text] = await statusOf(bearer)
    expect(status).toBe(403)
    expect(text).toContain('ADMIN_TOKEN')
  })

  test('asks for the token; is read-only; says 503 while Redis is away, killed or frozen', async () => {
    await start({ ADMIN_TOKEN: token })
    const refused = await app.get('/admin/jobs')
    expect(refused.status).toBe(401)
    expect(refused.headers.get('www-authenticate')).toContain('Basic')
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
    const askedAtMs = performance.now()
    expect((await statusOf(bearer))[0]).toBe(503)
    expect(performance.now() - askedAtMs).toBeLessThan(1_500)
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
