// Somebody with very many addresses: limits lose precision, and nobody else loses a login.
import { createLimiter } from '../../src/core/limiter.ts'
import { PATIENCE, startApp, type TestApp } from '../helpers/app.ts'
import { BOT_TOKEN, type FakeTelegram, startFakeTelegram } from '../helpers/fake-telegram.ts'
import { startRedis, type TestRedis } from '../helpers/redis-server.ts'
import { openProcess } from '../helpers/stores.ts'
import { initDataFields, signInitData } from '../helpers/telegram-signer.ts'

const REQUESTS = 1_500
const ROOM_BYTES = 512 * 1024

let telegram: FakeTelegram
let redis: TestRedis
beforeAll(async () => {
  ;[telegram, redis] = await Promise.all([
    startFakeTelegram(),
    startRedis('--maxmemory-policy', 'noeviction'),
  ])
})
afterAll(() => Promise.all([telegram.close(), redis.stop()]))

const subnet = (i: number) => `2001:db8:${Math.floor(i / 300).toString(16)}:${i.toString(16)}::1`
const address = (i: number) => `198.${18 + (i % 2)}.${i >> 3}.${i % 256}`

function post(app: TestApp, path: string, from: string, body: unknown = {}): Promise<Response> {
  return app.get(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-forwarded-for': from },
    body: JSON.stringify(body),
  })
}

async function statusesOf(count: number, ask: (i: number) => Promise<Response>): Promise<Set<number>> {
  const statuses = new Set<number>()
  for (let first = 0; first < count; first += 30) {
    const some = Array.from({ length: Math.min(30, count - first) }, (_, i) => ask(first + i))
    for (const { status } of await Promise.all(some)) statuses.add(status)
  }
  return statuses
}

async function usedBytes(): Promise<number> {
  return Number(/used_memory:(\d+)/.exec(await redis.command('INFO', 'memory'))?.[1])
}

test.each(['a full Redis', 'no Redis'])('%s: changing addresses cost nobody a login', async (where) => {
  const isThere = where === 'a full Redis'
  const env = { MEMORY_BUDGET_MB: '2', TRUST_PROXY: '1', ...telegram.env, ...PATIENCE }
  const app = await startApp({ ...env, REDIS_URL: isThere ? redis.url : 'off' })
  try {
    if (isThere) await app.untilStatus('redis')
    const mostBytes = (await usedBytes()) + ROOM_BYTES
    if (isThere) await redis.command('CONFIG', 'SET', 'maxmemory', String(mostBytes))
    const guess = () => post(app, '/api/auth/telegram/webapp', '203.0.113.1', { initData: 'x' })
    await statusesOf(60, guess)
    expect((await guess()).status).toBe(429)

    const flood = await statusesOf(REQUESTS, (i) => post(app, '/api/x', i % 2 ? subnet(i) : address(i)))
    expect([...flood].filter((status) => status >= 500)).toEqual([])

    const logins = await statusesOf(40, async (i) =>
      post(app, '/api/auth/telegram/webapp', `192.0.2.${i}`, {
        initData: await signInitData(initDataFields({ query_id: `${where} ${i}` }), BOT_TOKEN),
      }),
    )
    expect([...logins]).toEqual([200])
    expect((await guess()).status).toBe(429)
    const stats = (await app.stats()) as unknown as { fallback: { standby: string } }
    expect(stats).toMatchObject({ status: isThere ? 'redis' : 'memory' })
    if (isThere) {
      expect(await usedBytes()).toBeLessThan(mostBytes)
      expect(app.lines.filter(({ message }) => message.includes('Redis unavailable'))).toEqual([])
    }
  } finally {
    await app.close()
    await redis.command('CONFIG', 'SET', 'maxmemory', '0')
  }
})

test('a Redis without room for a hit is no outage, and what was counted meanwhile counts after it', async () => {
  const process = await openProcess({ cacheUrl: 'off', stateUrl: redis.url, budgetMs: 5_000 })
  try {
    const isRedis = () => process.stateRole.redis?.isRedis() === true // not even doubted
    while (!isRedis()) await new Promise((resolve) => setTimeout(resolve, 20))
    const policy = { name: 'oom', limit: 3, windowMs: 60_000 }
    const limiter = createLimiter({ state: process.state })
    const hit = async () => (await limiter.hit(policy, 'user:1')).allowed
    await redis.command('CONFIG', 'SET', 'maxmemory', '1')
    expect([await hit(), await hit(), isRedis()]).toEqual([true, true, true])
    await redis.command('CONFIG', 'SET', 'maxmemory', '0')
    expect([await hit(), await hit(), await hit()]).toEqual([true, false, false])
    expect(isRedis()).toBe(true)
    expect(process.stateRole.status()).toMatchObject({ activations: 0, blips: 0 })
  } finally {
    await redis.command('CONFIG', 'SET', 'maxmemory', '0')
    await process.close()
  }
})
