// What the queue cannot store has an answer, and what it cannot read costs that job alone.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { encodeJob, MAX_JOBS, type OutboxJob } from '../../src/core/queue/outbox.ts'
import { pause } from '../../src/lib/time.ts'
import { eventually } from '../helpers/eventually.ts'
import { openJobs } from '../helpers/jobs.ts'
import { type JobsApart, openJobsApart } from '../helpers/jobs-apart.ts'
import { startRedis, type TestRedis } from '../helpers/redis-server.ts'

let dataDir: string
const opened: { close(): Promise<void> }[] = []
const ran: string[] = []

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'samovar-data-'))
  ran.length = 0
})
afterEach(async () => {
  for (const thing of opened.splice(0).reverse()) await thing.close()
  rmSync(dataDir, { recursive: true, force: true })
})

async function openRedis(...settings: string[]): Promise<TestRedis> {
  const redis = await startRedis(...settings)
  opened.push({ close: () => redis.stop() })
  return redis
}

async function openApart(cacheUrl: string): Promise<JobsApart> {
  const jobs = await openJobsApart({ cacheUrl, dataDir }, (id) => ran.push(id))
  opened.push(jobs)
  return jobs
}

async function open(cacheUrl: string, stateUrl = cacheUrl) {
  const jobs = await openJobs({ cacheUrl, stateUrl, dataDir })
  opened.push(jobs)
  return jobs
}

/** Rows of the outbox as an earlier process has left them. */
function leaveOnDisk(rows: Iterable<readonly [string, string]>): void {
  const database = new DatabaseSync(join(dataDir, 'samovar.db'))
  database.exec('CREATE TABLE jobs (key TEXT PRIMARY KEY, job TEXT NOT NULL) STRICT; BEGIN')
  const insert = database.prepare('INSERT INTO jobs VALUES (?, ?)')
  for (const row of rows) insert.run(...row)
  database.exec('COMMIT')
  database.close()
}

const jobOf = (id: string, place: OutboxJob['place']): OutboxJob => {
  const times = { addedAtMs: Date.now(), dueAtMs: Date.now() }
  return { name: 'known', id, data: null, attempts: 5, backoffMs: 1_000, failed: 0, place, ...times }
}
const full = (place: OutboxJob['place']) =>
  Array.from({ length: MAX_JOBS }, (_, i) => [`known:${i}`, encodeJob(jobOf(`${i}`, place))] as const)

const FIVE = ['a', 'b', 'c', 'd', 'e']

test('10,000 known jobs, a frozen Redis, five more, a kill: what was acknowledged is there', async () => {
  const redis = await openRedis()
  leaveOnDisk(full('redis'))
  const first = await openApart(redis.url)
  await first.isThere()
  redis.freeze()
  const answers = await Promise.allSettled(FIVE.map((id) => first.add('five', id)))
  const acknowledged = FIVE.filter((_, i) => answers[i]?.status === 'fulfilled')
  for (const answer of answers)
    if (answer.status === 'rejected') expect(answer.reason.code).toBe('state_full')
  await first.kill()
  await redis.kill()

  const second = await openApart(redis.url)
  await second.work('five')
  await eventually(() => expect([...ran].sort()).toEqual(acknowledged))
  expect(acknowledged).toEqual(FIVE) // there were copies to drop
})

test('10,000 jobs that nobody else has: the next one is refused', async () => {
  leaveOnDisk(full('here'))
  const { queue } = await open('off')
  await expect(queue.add('five', null, { id: 'a' })).rejects.toMatchObject({ code: 'state_full' })
})

test('a row that cannot be read costs its job, and no start', async () => {
  leaveOnDisk([
    ['known:garbage', '{"name":"known"'],
    ['known:number', '7'],
    ['known:odd', encodeJob({ ...jobOf('odd', 'here'), place: 'nowhere' as 'here' })],
    ['known:good', encodeJob(jobOf('good', 'here'))],
  ])
  const { queue, lines } = await open('off')
  queue.work('known', async ({ id }) => void ran.push(id))
  await eventually(() => expect(ran).toEqual(['good']))
  const unread = lines.filter(({ message }) => message.startsWith('a job on disk cannot be read'))
  expect(unread.map(({ fields }) => fields.key)).toEqual(['known:garbage', 'known:number', 'known:odd'])
})

test('why BullMQ cannot connect is in the log, once', async () => {
  // The state role takes the one connection that there is.
  const [cache, state] = [await openRedis(), await openRedis('--maxclients', '1')]
  const { lines, queue } = await open(cache.url, state.url)
  const reasons = () =>
    lines
      .filter(({ message }) => message.startsWith('jobs cannot be put into Redis'))
      .map(({ fields }) => String(fields.err))
  await eventually(() => expect(reasons()).toHaveLength(1))
  await pause(2_500)
  expect(reasons()).toEqual([expect.stringContaining('max number of clients reached')])
  queue.work('known', async ({ id }) => void ran.push(id))
  await queue.add('known', null, { id: 'x' })
  await eventually(() => expect(ran).toEqual(['x']))
})

test('a value of another type under the keys of one name is the trouble of that name', async () => {
  const redis = await openRedis()
  await redis.command('SET', 'samovar:state:queue:odd:wait', 'not a list')
  await redis.command('SET', 'samovar:state:queue:odd:repeat', 'not a sorted set')
  const { lines, queue, stateRole } = await open(redis.url)
  await eventually(() => expect(queue.bull()).toBeDefined())
  queue.schedule('odd', { everyMs: 3_600_000, data: null, catchUp: 'skip' })
  await queue.add('odd', null, { id: 'x' })
  const refusals = () => lines.filter(({ message }) => message.startsWith('a job cannot be put into Redis'))
  await eventually(() => expect(refusals()).toHaveLength(1))
  await pause(2_500)
  expect(refusals()).toHaveLength(1)
  expect(queue.bull()).toBeDefined()
  expect(stateRole.status()).toMatchObject({ status: 'redis', activations: 0 })
  for (const name of ['even', 'odd']) queue.work(name, async ({ id }) => void ran.push(`${name} ${id}`))
  await queue.add('even', null, { id: 'y' })
  await eventually(() => expect([...ran].sort()).toEqual(['even y', 'odd x']))
})
