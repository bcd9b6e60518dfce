// Dead letters: `add` tells of them, and they are run again, in Redis, in an outage, and across both.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { features } from '../../src/app.ts'
import { RedisUnavailable } from '../../src/core/errors.ts'
import type { Queue } from '../../src/core/queue/queue.ts'
import { defineFeature } from '../../src/feature.ts'
import { startApp, type TestApp } from '../helpers/app.ts'
import { eventually } from '../helpers/eventually.ts'
import { openJobs, type TestJobs } from '../helpers/jobs.ts'
import { startRedis, type TestRedis } from '../helpers/redis-server.ts'

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

async function open(cacheUrl = redis.url): Promise<TestJobs> {
  const jobs = await openJobs({ cacheUrl, budgetMs: 1_000, dataDir })
  opened.push(jobs)
  return jobs
}
const isThere = ({ queue }: TestJobs) => eventually(() => expect(queue.bull()).toBeDefined())

/** Work that fails until it is mended. */
function brokenWork({ queue }: TestJobs) {
  const work = { isMended: false, ran: [] as string[] }
  queue.work('mail', async ({ id }) => {
    if (!work.isMended) throw new Error('no such server')
    work.ran.push(id)
  })
  return work
}
const add = ({ queue }: TestJobs, id: string) => queue.add('mail', { to: id }, { id, attempts: 1 })
const isDead = (jobs: TestJobs, id: string) =>
  eventually(async () =>
    expect((await jobs.queue.deadLetters.list()).letters).toEqual(
      expect.arrayContaining([expect.objectContaining({ name: 'mail', id, reason: 'no such server' })]),
    ),
  )
const retry = ({ queue }: TestJobs, id: string) => queue.deadLetters.retry({ name: 'mail', id })

test('in Redis: add says so, a retry runs it, and then it is known as done', async () => {
  const jobs = await open()
  await isThere(jobs)
  const work = brokenWork(jobs)
  expect(await add(jobs, 'x')).toBe('added')
  await isDead(jobs, 'x')
  expect(await add(jobs, 'x')).toBe('dead')
  expect(await retry(jobs, 'x')).toBe('retried') // not mended yet
  await eventually(async () => expect(await retry(jobs, 'x')).toBe('retried'))
  await isDead(jobs, 'x')
  expect(await add(jobs, 'x')).toBe('dead')
  work.isMended = true
  expect(await retry(jobs, 'x')).toBe('retried')
  await eventually(() => expect(work.ran).toEqual(['x']))
  await eventually(async () => expect(await add(jobs, 'x')).toBe('known'))
  expect(await retry(jobs, 'x')).toBe('not-dead')
  expect(await retry(jobs, 'never added')).toBe('unknown')
  expect((await jobs.queue.deadLetters.list()).letters).toEqual([])
  expect(work.ran).toEqual(['x'])
})

test('without Redis: the same, and after a restart', async () => {
  const before = await open('off')
  brokenWork(before)
  expect(await add(before, 'x')).toBe('added')
  await isDead(before, 'x')
  expect(await add(before, 'x')).toBe('dead')
  await opened.pop()?.close()
  const jobs = await open('off')
  const work = brokenWork(jobs)
  work.isMended = true
  await isDead(jobs, 'x')
  expect(await add(jobs, 'x')).toBe('dead')
  expect(await retry(jobs, 'x')).toBe('retried')
  await eventually(() => expect(work.ran).toEqual(['x']))
  expect(await add(jobs, 'x')).toBe('known')
  expect(await retry(jobs, 'x')).toBe('unknown')
})

test('in an outage those of the outage run again, and once: Redis, when it is back, knows', async () => {
  const jobs = await open()
  await isThere(jobs)
  const work = brokenWork(jobs)
  await add(jobs, 'before')
  await isDead(jobs, 'before')
  await redis.kill()
  await jobs.untilStatus('memory')
  await eventually(() => expect(jobs.queue.bull()).toBeUndefined())
  await add(jobs, 'during')
  await isDead(jobs, 'during')
  expect([await add(jobs, 'during'), await add(jobs, 'before')]).toEqual(['dead', 'dead'])
  await expect(retry(jobs, 'before')).rejects.toThrow(RedisUnavailable) // Redis has it
  expect((await jobs.queue.deadLetters.list()).isComplete).toBe(false)
  work.isMended = true
  expect(await retry(jobs, 'during')).toBe('retried')
  await eventually(() => expect(work.ran).toEqual(['during']))
  await redis.start()
  await jobs.untilStatus('redis')
  await isThere(jobs)
  expect(await add(jobs, 'during')).toBe('known')
  expect(await add(jobs, 'before')).toBe('dead')
  await eventually(async () => expect(await retry(jobs, 'before')).toBe('retried'))
  await eventually(() => expect(work.ran).toEqual(['during', 'before']))
})

test('one that died in an outage is in Redis when that is back, and runs again from there', async () => {
  const jobs = await open()
  await isThere(jobs)
  await redis.kill()
  await jobs.untilStatus('memory')
  await eventually(() => expect(jobs.queue.bull()).toBeUndefined())
  const work = brokenWork(jobs)
  await add(jobs, 'x')
  await isDead(jobs, 'x')
  await redis.start()
  await jobs.untilStatus('redis')
  await isThere(jobs)
  await eventually(async () => {
    const [mail] = (jobs.queue.bull()?.queues() ?? []) as { getFailedCount(): Promise<number> }[]
    expect(await mail?.getFailedCount()).toBe(1)
  })
  work.isMended = true
  expect(await add(jobs, 'x')).toBe('dead')
  expect(await retry(jobs, 'x')).toBe('retried')
  await eventually(() => expect(work.ran).toEqual(['x']))
})

describe('an admin', () => {
  const TOKEN = 'token-of-the-admin'
  const work = { isMended: false, ran: 0 }
  const broken = defineFeature({
    name: 'broken',
    setup: (context) => ({
      start: () => {
        queue = context.queue
      },
      jobs: [
        {
          name: 'mail',
          run: async () => {
            if (!work.isMended) throw new Error('<no such server>')
            work.ran += 1
          },
        },
      ],
    }),
  })
  let app: TestApp
  let queue: Queue
  const headers = { authorization: `Bearer ${TOKEN}` }
  const asJson = { ...headers, 'content-type': 'application/json' }
  const retryOver = (path: string, id: string) =>
    app.get(path, {
      method: 'POST',
      headers: asJson,
      body: JSON.stringify({ name: 'mail', id }),
      redirect: 'manual',
    })
  const dead = async () => (await (await app.get('/api/jobs/dead', { headers })).json()) as { dead: object[] }

  beforeEach(async () => {
    Object.assign(work, { isMended: false, ran: 0 })
    const env = { REDIS_URL: redis.url, ADMIN_TOKEN: TOKEN, REDIS_BUDGET_MS: '1000' }
    app = await startApp(env, [...features, broken as never])
    opened.push(app)
    await eventually(async () => expect(await dead()).toEqual({ isComplete: true, dead: [] }))
    await queue.add('mail', null, { id: 'a:b', attempts: 1 })
    await eventually(async () => expect((await dead()).dead).toHaveLength(1))
  })

  test('sees them and runs them again over HTTP; refused without the token', async () => {
    expect(await dead()).toEqual({
      isComplete: true,
      dead: [{ name: 'mail', id: 'a:b', reason: '<no such server>', failedAt: expect.any(String) }],
    })
    expect((await app.get('/api/jobs/dead')).status).toBe(401)
    expect((await app.get('/api/jobs/dead/retry', { method: 'POST' })).status).toBe(401)
    const page = await (await app.get('/admin/jobs/dead?lang=en', { headers })).text()
    expect(page).toContain('&lt;no such server&gt;')
    expect((await retryOver('/api/jobs/dead/retry', 'nobody')).status).toBe(404)
    work.isMended = true
    expect((await retryOver('/admin/jobs/dead/retry', 'a:b')).headers.get('location')).toContain(
      'outcome=retried',
    )
    await eventually(() => expect(work.ran).toBe(1))
    await eventually(async () => expect((await retryOver('/api/jobs/dead/retry', 'a:b')).status).toBe(409))
  })

  test('is refused for one that Redis has while it is away', async () => {
    await redis.kill()
    await eventually(async () => {
      const answer = await retryOver('/api/jobs/dead/retry', 'a:b')
      expect([answer.status, ((await answer.json()) as { code: string }).code]).toEqual([
        503,
        'jobs_unavailable',
      ])
    })
    expect((await app.get('/admin/jobs/dead', { headers })).status).toBe(200)
  })

  async function samovar(...words: string[]): Promise<[code: number, out: string, err: string]> {
    const env = { PATH: process.env.PATH, PORT: new URL(app.url).port, ADMIN_TOKEN: TOKEN }
    const child = spawn(process.execPath, ['src/cli/samovar.ts', ...words], { env })
    const said = { out: '', err: '' }
    child.stdout.on('data', (part) => {
      said.out += part
    })
    child.stderr.on('data', (part) => {
      said.err += part
    })
    const [code] = await once(child, 'close')
    return [code, said.out, said.err]
  }

  test('runs them again on the command line', async () => {
    const [code, out] = await samovar('jobs', 'dead')
    expect([code, out]).toEqual([0, expect.stringMatching(/^mail:a:b {2}\d{4}-\S+ {2}<no such server>\n$/)])
    expect(await samovar('jobs', 'retry', 'nobody')).toEqual([
      1,
      '',
      expect.stringContaining('no dead letter nobody'),
    ])
    expect((await samovar('jobs'))[0]).toBe(2)
    work.isMended = true
    expect(await samovar('jobs', 'retry', 'mail:a:b')).toEqual([0, 'mail:a:b runs again\n', ''])
    await eventually(() => expect(work.ran).toBe(1))
  })
})
