// Somebody with very many addresses: limits lose precision, and nobody else loses a login.
import { createLimiter } from '../../src/core/limiter.ts'
import { PATIENCE, startApp, type TestApp } from '../helpers/app.ts'
import { eventually } from '../helpers/eventually.ts'
import { BOT_TOKEN, type FakeTelegram, startFakeTelegram } from '../helpers/fake-telegram.ts'
import { startRedis, type TestRedis } from '../helpers/redis-server.ts'
import { openProcess } from '../helpers/stores.ts'
import { initDataFields, signInitData } from '../helpers/telegram-signer.ts'

const REQUESTS = 1_500
const ROOM_BYTES = 512 * 1024
const MIB = 1024 * 1024

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
const ofNetwork = (i: number) => `2001:db8:1:${i.toString(16)}::/64`
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

test('of a Redis that does not evict limiter logs take half, however much memory processes have for them', async () => {
  await redis.command('FLUSHALL')
  const options = { cacheUrl: redis.url, budgetMs: 5_000, memoryBudgetBytes: 128 * MIB }
  const process = await openProcess(options)
  const other = await openProcess(options)
  try {
    await Promise.all([process, other].map((one) => one.untilStatus('redis')))
    const mostBytes = 2 * (await usedBytes()) + MIB
    await redis.command('CONFIG', 'SET', 'maxmemory', String(mostBytes))
    const limiters = [process, other].map(({ state }) => createLimiter({ state }))
    const policy = { name: 'room', limit: 1, windowMs: 60_000 }
    const hit = async (i: number) => (await limiters[i % 2]?.hit(policy, `address:${ofNetwork(i)}`))?.allowed
    const hits = 8_000 // of some 350 bytes each: more than there is room for
    for (let first = 0; first < hits; first += 200)
      await Promise.all(Array.from({ length: 200 }, (_, i) => hit(first + i)))
    expect(await usedBytes()).toBeLessThan(mostBytes * 0.65) // clients' buffers, and some that were on the way
    expect([await hit(hits - 1), await hit(hits - 2), await hit(0), await hit(1)]).toEqual(
      Array(4).fill(false),
    )
    const warned = process.lines.filter(({ message }) => message.includes('half of the memory of Redis'))
    expect(warned.length).toBeGreaterThan(0)

    const session = (i: number) => process.state.write(`session:${i}`, Buffer.alloc(1_000), 60_000)
    await Promise.all(Array.from({ length: 200 }, (_, i) => session(i)))
    expect(await redis.command('EXISTS', 'samovar:state:session:199')).toBe(':1\r\n')
    expect(process.stateRole.status()).toMatchObject({ activations: 0 })

    await redis.command('CONFIG', 'SET', 'maxmemory', '0')
    let next = hits
    await eventually(async () => {
      const key = `samovar:state:limit:room:address:${ofNetwork(next)}`
      await hit(next)
      next += 1
      expect(await redis.command('EXISTS', key)).toBe(':1\r\n')
    })
  } finally {
    await redis.command('CONFIG', 'SET', 'maxmemory', '0')
    await Promise.all([process.close(), other.close()])
  }
})

test('nor do they take more when Redis is back from an outage in which they were begun', async () => {
  await redis.command('FLUSHALL')
  const process = await openProcess({ cacheUrl: redis.url, budgetMs: 300, memoryBudgetBytes: 128 * MIB })
  try {
    await process.untilStatus('redis')
    const mostBytes = 2 * (await usedBytes()) + MIB / 2
    await redis.command('CONFIG', 'SET', 'maxmemory', String(mostBytes))
    const limiter = createLimiter({ state: process.state })
    const policy = { name: 'back', limit: 1, windowMs: 600_000 }
    const hit = async (i: number) => (await limiter.hit(policy, `address:${ofNetwork(i)}`)).allowed
    await hit(0)
    redis.freeze()
    await process.untilStatus('memory')
    const hits = 3_000 // of which some 750 have room
    for (let first = 1; first < hits; first += 200)
      await Promise.all(Array.from({ length: 200 }, (_, i) => hit(first + i)))
    await process.state.write('session:outage', Buffer.from('x'), 60_000)
    redis.thaw()
    await process.untilStatus('redis')
    expect(await usedBytes()).toBeLessThan(mostBytes * 0.65)
    expect(await redis.command('EXISTS', 'samovar:state:session:outage')).toBe(':1\r\n')
    expect(await hit(hits - 1)).toBe(false)
  } finally {
    redis.thaw()
    await redis.command('CONFIG', 'SET', 'maxmemory', '0')
    await process.close()
  }
})
