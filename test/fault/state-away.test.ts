// What the state role promises while its Redis is killed, frozen, emptied or set back, and when the app restarts
// meanwhile: nothing written is lost, nothing destroyed comes back, nothing counts twice.
import { randomUUID } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createClient } from 'redis'
import { asAppError } from '../../src/http/problem.ts'
import { pause } from '../../src/lib/time.ts'
import { timed } from '../helpers/control-clock.ts'
import { eventually } from '../helpers/eventually.ts'
import { openFaultProxy } from '../helpers/fault-proxy.ts'
import { startRedis, type TestRedis } from '../helpers/redis-server.ts'
import { openProcess, type TestProcess, type TestProcessOptions } from '../helpers/stores.ts'

const LONG_MS = 3_600_000
const BUDGET_MS = 200 // twice the app's own, so that a busy machine is no outage
let redis: TestRedis
let dataDir: string
let app: TestProcess

beforeEach(async () => {
  redis = await startRedis('--appendonly', 'yes')
  dataDir = mkdtempSync(join(tmpdir(), 'samovar-data-'))
  app = await open({ dataDir })
  await app.untilStatus('redis')
})
afterEach(async () => {
  redis.thaw()
  await app.close()
  await redis.stop()
  rmSync(dataDir, { recursive: true, force: true })
})

const open = (options: Partial<TestProcessOptions> = {}) =>
  openProcess({ cacheUrl: redis.url, budgetMs: BUDGET_MS, ...options })
const newKey = (kind: string) => `${kind}:${randomUUID()}`
const write = (key: string, text: string, by = app) => by.state.write(key, Buffer.from(text), LONG_MS)
const text = async (key: string, by = app) => (await by.state.read(key))?.bytes.toString()
const claim = async (key: string, who: string, by = app) =>
  (await by.state.claim(key, Buffer.from(who), LONG_MS)).taken
const outagesOf = (by: TestProcess) => by.stateRole.outages.all().filter(({ role }) => role === 'state')
const lastOutage = (by = app) => outagesOf(by)[0]
const filled = (by = app) => eventually(() => expect(by.stateRole.coverage()).toBe('full'))

/** What another process, which was not there, finds in Redis. */
async function stranger<T>(look: (process: TestProcess) => Promise<T>): Promise<T> {
  const other = await open()
  try {
    await other.untilStatus('redis')
    return await look(other)
  } finally {
    await other.close()
  }
}

async function outage(during: () => Promise<void>, how: 'kill' | 'freeze' = 'kill'): Promise<void> {
  if (how === 'kill') await redis.kill()
  else redis.freeze()
  await app.untilStatus('memory')
  await during()
  if (how === 'kill') await redis.start()
  else redis.thaw()
  await app.untilStatus('redis')
}

test.each(['kill', 'freeze'] as const)(
  '%s: what was written, destroyed, claimed and marked meanwhile is in Redis after',
  async (how) => {
    const [before, changed, destroyed, made] = [
      newKey('session'),
      newKey('session'),
      newKey('session'),
      newKey('session'),
    ]
    const [seen, late, user] = [newKey('webhook'), newKey('webhook'), newKey('revoked')]
    for (const key of [before, changed, destroyed]) await write(key, 'old')
    expect(await claim(seen, 'first')).toBe(true)
    await app.state.mark(user, 10, LONG_MS)

    await outage(async () => {
      expect(await text(before)).toBe('old') // who was signed in still is
      await write(changed, 'new')
      await write(made, 'made')
      await app.state.destroy(destroyed, LONG_MS)
      expect(await claim(seen, 'again')).toBe(false) // seen before, refused during
      expect(await claim(late, 'during')).toBe(true)
      expect(await app.state.mark(user, 20, LONG_MS)).toBe(20)
      expect(app.pendingWrites()).toBeGreaterThan(0)
    }, how)

    expect(await claim(late, 'after')).toBe(false) // seen during, refused after
    await eventually(() => expect(app.pendingWrites()).toBe(0))
    await stranger(async (other) => {
      expect(await Promise.all([before, changed, made].map((key) => text(key, other)))).toEqual([
        'old',
        'new',
        'made',
      ])
      expect(await text(destroyed, other)).toBeUndefined()
      expect(await claim(late, 'stranger', other)).toBe(false)
      expect(await other.state.marked(user)).toBe(20)
    })
    expect(lastOutage()).toMatchObject({ endedAt: expect.any(String), conflicts: [], lost: 0 })
    expect(lastOutage()?.merged.session).toBeGreaterThanOrEqual(3)
  },
)

test('a limit neither resets nor leaks at the switch, in either direction', async () => {
  const log = newKey('limit')
  const hit = async (by = app) =>
    (await by.state.hit(log, { id: randomUUID(), nowMs: Date.now(), limit: 5, windowMs: LONG_MS })).allowed
  expect([await hit(), await hit()]).toEqual([true, true])
  await outage(async () => {
    expect([await hit(), await hit()]).toEqual([true, true])
  }, 'freeze')
  expect([await hit(), await hit()]).toEqual([true, false])
  expect(await stranger(hit)).toBe(false)
})

test('the report counts every call that memory answered, also of what was changed meanwhile', async () => {
  const key = newKey('session')
  await outage(async () => {
    for (let i = 0; i < 10; i += 1) await write(key, `${i}`)
  })
  expect(lastOutage()?.servedCalls).toBeGreaterThanOrEqual(10)
})

test('Redis that comes back empty is seeded with everything', async () => {
  const [key, gone, seen] = [newKey('session'), newKey('session'), newKey('webhook')]
  await write(key, 'kept')
  await write(gone, 'x')
  await app.state.destroy(gone, LONG_MS)
  await claim(seen, 'first')
  await filled()
  await redis.kill()
  await app.untilStatus('memory')
  await redis.start('--appendonly', 'no')
  await app.untilStatus('redis')
  await stranger(async (other) => {
    expect(await text(key, other)).toBe('kept')
    expect(await write(gone, 'again', other)).toBe(false)
    expect(await claim(seen, 'stranger', other)).toBe(false)
  })
  expect(lastOutage()?.note).toContain('empty')
})

test.each([
  ['alone', 1],
  ['with others', 2],
])(
  '%s, Redis emptied while it runs: nobody is logged out, nothing is claimed twice, and it is seeded anew',
  async (_, workers) => {
    const own = await open({ workers })
    try {
      await own.untilStatus('redis')
      await filled(own)
      const [key, gone, seen] = [newKey('session'), newKey('session'), newKey('webhook')]
      await write(key, 'kept', own)
      await write(gone, 'x', own)
      await own.state.destroy(gone, LONG_MS)
      await claim(seen, 'first', own)
      await redis.command('FLUSHALL')
      expect(
        await Promise.all([text(key, own), claim(seen, 'again', own), write(gone, 'again', own)]),
      ).toEqual(['kept', false, false])
      await eventually(() => expect(lastOutage(own)?.note).toContain('seeded')) // empty, or named by the other process
      await own.untilStatus('redis')
      await stranger(async (other) => {
        expect(await text(key, other)).toBe('kept')
        expect(await claim(seen, 'stranger', other)).toBe(false)
        expect(await write(gone, 'again', other)).toBe(false)
      })
    } finally {
      await own.close()
    }
  },
)

test('alone, a key that somebody deletes by hand is gone', async () => {
  const own = await open({ workers: 1 })
  try {
    await own.untilStatus('redis')
    await filled(own)
    const key = newKey('session')
    await write(key, 'x', own)
    expect(await text(key, own)).toBe('x')
    await redis.command('DEL', `samovar:state:${key}`)
    await eventually(async () => expect(await text(key, own)).toBeUndefined())
    expect(own.stateRole.status().activations).toBe(0)
  } finally {
    await own.close()
  }
})

test('what did not fit into memory is not said to be absent in an outage', async () => {
  const names = Array.from({ length: 60 }, () => newKey('session'))
  for (const key of names) await write(key, 'x'.repeat(500))
  const small = await open({ memoryBudgetBytes: 40_000 })
  try {
    await small.untilStatus('redis')
    // What fits of a page is here when what does not fit is known to be missing.
    await eventually(async () => expect(await small.state.list('session')).not.toEqual([]))
    expect(small.stateRole.coverage()).toBe('partial')
    await redis.kill()
    await small.untilStatus('memory')
    const answers = await Promise.all(
      names.map((key) => text(key, small).catch((error: { code?: string }) => error.code)),
    )
    expect(new Set(answers)).toEqual(new Set(['x'.repeat(500), 'state_full']))
    await expect(claim(newKey('webhook'), 'anybody', small)).rejects.toMatchObject({ code: 'state_full' })
  } finally {
    await small.close()
  }
})

test('Redis set back to an older state: newer versions are put back, what was destroyed stays so', async () => {
  const [changed, destroyed] = [newKey('session'), newKey('session')]
  const proxy = await openFaultProxy(redis.port)
  await app.close()
  app = await open({ cacheUrl: proxy.url, dataDir })
  await app.untilStatus('redis')
  await write(changed, 'old')
  await write(destroyed, 'x')
  await filled()
  const dumps = await Promise.all([changed, destroyed].map((key) => redis.dump(`samovar:state:${key}`)))
  const offset = await redis.command('HVALS', 'samovar:state:offsets')
  await write(changed, 'new')
  await app.state.destroy(destroyed, LONG_MS)
  await eventually(async () => expect(await redis.command('HVALS', 'samovar:state:offsets')).not.toBe(offset))
  proxy.set('refuse')
  await app.untilStatus('memory')
  await redis.restore(`samovar:state:${changed}`, dumps[0])
  await redis.restore(`samovar:state:${destroyed}`, dumps[1])
  await redis.command('DEL', 'samovar:state:offsets')
  proxy.set('none')
  await app.untilStatus('redis')
  await stranger(async (other) => {
    expect(await text(changed, other)).toBe('new')
    expect(await text(destroyed, other)).toBeUndefined()
  })
  proxy.close()
})

test('a restart in the middle of an outage goes on with everything, from before it too', async () => {
  const [before, during, destroyed, seen] = [
    newKey('session'),
    newKey('session'),
    newKey('session'),
    newKey('webhook'),
  ]
  await write(before, 'before')
  await write(destroyed, 'x')
  await redis.kill()
  await app.untilStatus('memory')
  await write(during, 'during')
  await app.state.destroy(destroyed, LONG_MS)
  await claim(seen, 'first')
  await app.cache.invalidate(['deleted-in-the-outage'])
  await app.close()
  app = await open({ dataDir })
  expect(await text(before)).toBe('before')
  expect(await text(during)).toBe('during')
  expect(await text(destroyed)).toBeUndefined()
  expect(await claim(seen, 'again')).toBe(false)
  await redis.start()
  await redis.command('SET', 'deleted-in-the-outage', 'must go')
  await app.untilStatus('redis')
  expect(await redis.command('EXISTS', 'deleted-in-the-outage')).toBe(':0\r\n')
  await stranger(async (other) => {
    expect(await text(during, other)).toBe('during')
    expect(await text(destroyed, other)).toBeUndefined()
  })
})

test('a damaged file is set aside and reported, and the app starts', async () => {
  await app.close()
  writeFileSync(join(dataDir, 'samovar.db'), 'this is no database at all '.repeat(500))
  rmSync(join(dataDir, 'samovar.db-wal'), { force: true })
  app = await open({ dataDir })
  await app.untilStatus('redis')
  expect(app.lines.map(({ message }) => message).join()).toContain('ALERT samovar.db was damaged')
  expect(readdirSync(join(dataDir, 'quarantine'))).toHaveLength(1)
  const key = newKey('session')
  await write(key, 'x')
  expect(await text(key)).toBe('x')
})

test('two processes that were both cut off merge to one result, and a claim made by both is reported', async () => {
  const other = await open()
  try {
    await other.untilStatus('redis')
    const [mine, theirs, both, seen] = [
      newKey('session'),
      newKey('session'),
      newKey('session'),
      newKey('webhook'),
    ]
    await redis.kill()
    await Promise.all([app.untilStatus('memory'), other.untilStatus('memory')])
    await write(mine, 'mine')
    await write(theirs, 'theirs', other)
    await write(both, 'first')
    await pause(5) // versions of one millisecond have no order but that of their writers' names
    await write(both, 'second', other)
    expect([await claim(seen, 'a'), await claim(seen, 'b', other)]).toEqual([true, true])
    await redis.start()
    await Promise.all([app.untilStatus('redis'), other.untilStatus('redis')])
    for (const reader of [app, other]) {
      await eventually(async () => {
        expect(await Promise.all([mine, theirs, both].map((key) => text(key, reader)))).toEqual([
          'mine',
          'theirs',
          'second',
        ])
      })
    }
    expect([await claim(seen, 'a'), await claim(seen, 'b')].filter(Boolean)).toHaveLength(1)
    const conflicts = [app, other].flatMap(outagesOf).flatMap((report) => report.conflicts)
    expect(conflicts).toEqual([`${seen} was processed twice`])
  } finally {
    await other.close()
  }
})

test('state_full: what is known is served, what is new is refused with a name, nothing is lost', async () => {
  const small = await open({ memoryBudgetBytes: 200_000 })
  try {
    await small.untilStatus('redis')
    const key = newKey('session')
    await write(key, 'known', small)
    await redis.kill()
    await small.untilStatus('memory')
    const full = async () => {
      for (let i = 0; i < 500; i += 1)
        await small.state.write(newKey('session'), Buffer.alloc(1_000), LONG_MS)
    }
    expect(await full().catch(asAppError)).toMatchObject({ code: 'state_full', status: 503 })
    expect(await text(key, small)).toBe('known')
    await write(key, 'newer', small)
    await redis.start()
    await small.untilStatus('redis')
    await app.untilStatus('redis')
    expect(await text(key)).toBe('newer')
  } finally {
    await small.close()
  }
})

/** Reads every key as a client does that does nothing else. */
async function readBare(): Promise<void> {
  const client = await createClient({ url: redis.url }).connect()
  for await (const keys of client.scanIterator({ MATCH: 'samovar:state:session:*', COUNT: 1_000 }))
    await Promise.all(keys.map((key) => client.get(key)))
  client.destroy()
}

test('10,000 sessions are in the standby soon after Redis is, compared with a bare client', async () => {
  const keys = Array.from({ length: 10_000 }, () => newKey('session'))
  // With room for all of them, should a busy machine make it leave Redis meanwhile.
  const writer = await open({ memoryBudgetBytes: 64 * 1024 * 1024 })
  await writer.untilStatus('redis')
  for (let i = 0; i < keys.length; i += 200) {
    await Promise.all(keys.slice(i, i + 200).map((key) => write(key, 'x'.repeat(200), writer)))
  }
  await writer.untilStatus('redis')
  await writer.close()
  const before = await timed(readBare)
  const late = await open({ memoryBudgetBytes: 64 * 1024 * 1024 })
  try {
    await late.untilStatus('redis')
    const fill = await timed(() => filled(late))
    const after = await timed(readBare)
    expect(fill.tookMs).toBeLessThan(2 * (before.tookMs + after.tookMs))
    await redis.kill()
    await late.untilStatus('memory')
    const found = await Promise.all(keys.map((key) => text(key, late)))
    expect(found.filter((value) => value === undefined)).toHaveLength(0)
  } finally {
    await late.close()
  }
})

test('a Redis that is slow but alive: what it was too slow for is read back, and is in it soon after', async () => {
  const key = newKey('session')
  await write(key, 'old')
  // Others' commands keep the connection alive while ours waits: it is slow, not silent, and stays in use.
  await redis.command('CLIENT', 'PAUSE', String(1.5 * BUDGET_MS), 'WRITE')
  const busy = setInterval(() => void app.stateRole.state.read(newKey('session')), 5)
  try {
    await write(key, 'new')
    expect(await text(key)).toBe('new')
  } finally {
    clearInterval(busy)
  }
  await eventually(() => expect(app.pendingWrites()).toBe(0))
  expect(await stranger((other) => text(key, other))).toBe('new')
})
