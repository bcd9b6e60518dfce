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
import { type Orders, STEPS, type WebhookProcessOptions } from '../helpers/webhook-steps.ts'

const MINUTE_MS = 60_000

let redis: TestRedis
let dataDir: string
let running: { process: WebhookProcess; redis: 'up' | 'away' } | undefined
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
  return {
    url,
    async order(orders: Orders) {
      child.send(orders)
      await once(child, 'message')
    },
    ended,
    async kill() {
      child.kill('SIGKILL')
      await ended
    },
  }
}
type WebhookProcess = Awaited<ReturnType<typeof startProcess>>

/** The one that took the last delivery, unless that killed it or its Redis was another one. */
async function processWith(where: 'up' | 'away'): Promise<WebhookProcess> {
  if (running?.redis === where) return running.process
  await running?.process.kill()
  const redisUrl = where === 'up' ? redis.url : 'redis://127.0.0.1:1/0'
  running = { process: await startProcess({ redisUrl, dataDir }), redis: where }
  return running.process
}

/** It dies at that step of the delivery. */
async function killAt(step: Orders['dieAt'], where: 'up' | 'away', request: RequestInit): Promise<void> {
  const process = await processWith(where)
  await process.order({ aheadMs: 0, ...(step && { dieAt: step }) })
  await expect(fetch(process.url, request)).rejects.toThrow()
  expect((await process.ended)[1]).toBe('SIGKILL')
  running = undefined
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
  const id = `msg_${randomUUID()}`
  const body = '{"amount":1}'
  await killAt(step, where, signedRequest(id, body, Date.now()))

  const second = await processWith(where)
  await second.order({ aheadMs })
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
})

test('sent again at once, while the dead one still has its lease: 409, and when to come back', async () => {
  const id = `msg_${randomUUID()}`
  const startedAtMs = performance.now()
  await killAt('as the handler begins', 'up', signedRequest(id, '{}', Date.now()))
  const second = await processWith('up')
  const again = await fetch(second.url, signedRequest(id, '{}', Date.now()))
  expect([again.status, await again.json()]).toEqual([
    409,
    expect.objectContaining({ code: 'delivery_running' }),
  ])
  const waitS = Number(again.headers.get('retry-after'))
  expect(waitS).toBeGreaterThan(29 - (performance.now() - startedAtMs) / 1_000)
  expect(waitS).toBeLessThanOrEqual(30)
})
