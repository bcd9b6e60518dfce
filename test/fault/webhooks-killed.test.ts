// An app killed at each step of a delivery, and the delivery sent again to the next one: it takes effect exactly once.
import { type ChildProcess, fork } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { startRedis, type TestRedis } from '../helpers/redis-server.ts'
import { signedRequest } from '../helpers/webhook-app.ts'
import { STEPS, type WebhookProcessOptions } from '../helpers/webhook-steps.ts'

const MINUTE_MS = 60_000
const NOBODY = 'redis://127.0.0.1:1/0'

let redis: TestRedis
let dataDir: string
const started: ChildProcess[] = []
beforeAll(async () => {
  redis = await startRedis()
  dataDir = mkdtempSync(join(tmpdir(), 'samovar-data-'))
})
afterAll(async () => {
  for (const child of started) child.kill('SIGKILL')
  await redis.stop()
  rmSync(dataDir, { recursive: true, force: true })
})

async function startProcess(options: WebhookProcessOptions) {
  const child = fork(join(import.meta.dirname, '../helpers/webhook-process.ts'), [JSON.stringify(options)], {
    execArgv: ['--disable-warning=ExperimentalWarning'],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  started.push(child)
  const ended = once(child, 'exit')
  const [url] = (await Promise.race([once(child, 'message'), ended])) as [unknown]
  if (typeof url !== 'string') throw new Error('the process ended before it listened')
  return { child, url, ended }
}

function effects(id: string): number {
  const database = new DatabaseSync(join(dataDir, 'records.db'))
  try {
    return database.prepare('SELECT delivery FROM effects WHERE delivery = ?').all(id).length
  } finally {
    database.close()
  }
}

// The lease ends after 30 s; senders that keep to the standard's schedule come again for three days.
const after = { '31 s': 31_000, '6 minutes': 6 * MINUTE_MS, '3 days': 3 * 24 * 60 * MINUTE_MS }
const cases = [
  ...STEPS.flatMap((step) => Object.entries(after).map(([name, ms]) => [step, name, 'up', ms] as const)),
  ...STEPS.map((step) => [step, '31 s', 'away', 31_000] as const),
]

test.each(cases)('killed %s, sent again after %s, Redis %s', async (step, _name, where, aheadMs) => {
  const redisUrl = where === 'up' ? redis.url : NOBODY
  const id = `msg_${randomUUID()}`
  const body = '{"amount":1}'
  const first = await startProcess({ redisUrl, dataDir, aheadMs: 0, dieAt: step })
  await expect(fetch(first.url, signedRequest(id, body, Date.now()))).rejects.toThrow()
  expect((await first.ended)[1]).toBe('SIGKILL')

  const second = await startProcess({ redisUrl, dataDir, aheadMs })
  const send = () => fetch(second.url, signedRequest(id, body, Date.now() + aheadMs))
  const again = await send()
  const wasCommitted = step === 'after the commit' || step === 'after the claim'
  expect([again.status, again.headers.get('idempotent-replayed')]).toEqual([
    204,
    wasCommitted ? 'true' : null,
  ])
  expect(effects(id)).toBe(1)
  expect((await send()).headers.get('idempotent-replayed')).toBe('true')
  expect(effects(id)).toBe(1)
  second.child.kill('SIGKILL')
  await second.ended
})

test('sent again at once, while the dead one still has its lease: 409, and when to come back', async () => {
  const id = `msg_${randomUUID()}`
  const first = await startProcess({
    redisUrl: redis.url,
    dataDir,
    aheadMs: 0,
    dieAt: 'as the handler begins',
  })
  await expect(fetch(first.url, signedRequest(id, '{}', Date.now()))).rejects.toThrow()
  await first.ended
  const second = await startProcess({ redisUrl: redis.url, dataDir, aheadMs: 0 })
  const again = await fetch(second.url, signedRequest(id, '{}', Date.now()))
  expect([again.status, await again.json()]).toEqual([
    409,
    expect.objectContaining({ code: 'delivery_running' }),
  ])
  const waitS = Number(again.headers.get('retry-after'))
  expect(waitS).toBeGreaterThan(10)
  expect(waitS).toBeLessThanOrEqual(30)
  second.child.kill('SIGKILL')
  await second.ended
})
