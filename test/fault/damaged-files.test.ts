// The files of a data directory that a real process has left, damaged one at a time in every way: what is sound is
// used, what is lost is told in the log, in the statistics, in /readyz and in a report, and nothing waits for a person.
import { chmodSync, cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { spawnApp } from '../helpers/app-process.ts'
import { eventually } from '../helpers/eventually.ts'
import { createRandom } from '../helpers/random.ts'
import { startRedis, type TestRedis } from '../helpers/redis-server.ts'
import {
  AWAY,
  copyFiles,
  countInside,
  damages,
  ENV,
  type Found,
  makeVolume,
  openVolume,
  type Volume,
} from '../helpers/volume.ts'
import { signedRequest } from '../helpers/webhook-app.ts'

const SEED = 12
const random = createRandom(SEED)
const places = (count: number) => Array.from({ length: count }, () => random.below(1_000_000) / 1_000_000)

type Base = 'killed' | 'closed'

let volume: Volume
let dir: string
/** Lost its files as well: once it has been read, nobody else can know what a damaged samovar.db lacks. */
let emptied: TestRedis
beforeAll(async () => {
  volume = await makeVolume()
  emptied = await startRedis()
})
afterAll(async () => {
  await volume?.remove()
  await emptied?.stop()
})
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'samovar-damaged-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

/** The next app on a copy of it, to whose file this was done. */
async function open(base: Base, damage: (dir: string) => void, redis?: TestRedis): Promise<Found> {
  copyFiles(volume[base], dir)
  damage(dir)
  await redis?.command('FLUSHALL')
  return openVolume(dir, volume, redis && { url: redis.url, isEmpty: true })
}

/** Whatever is lost is told in all four places; and what is told in one is told in the others. */
function expectTold(base: Base, found: Found, file?: string): void {
  const isLost =
    found.inside < volume.inside.length || found.outside > 0 || found.deliveries < volume.deliveries[base]
  if (isLost || file) expect(found.told.length).toBeGreaterThan(0)
  if (file) expect(found.alerts.map((alert) => alert.file)).toContain(file)
  expect(found.reported.map((report) => report.file).sort()).toEqual(
    found.alerts.map(({ file }) => file).sort(),
  )
  expect(found.ready.fileAlerts ?? 0).toBe(found.alerts.length)
}

const whole = (base: Base) => ({
  inside: volume.inside.length,
  outside: 0,
  deliveries: volume.deliveries[base],
})

test.each(['killed', 'closed'] as const)(
  '%s and not damaged: everything is there, and nothing is told',
  async (base) => {
    const found = await open(base, () => {})
    expect(found).toMatchObject({ ...whole(base), alerts: [], reported: [], told: [] })
  },
)

describe.each(['killed', 'closed'] as const)('samovar.db, %s', (base) => {
  test.each(['empty', 'missing', 'cut'] as const)('%s', async (how) => {
    const found = await open(base, (at) => damages[how](join(at, 'samovar.db')), emptied)
    expectTold(base, found, how === 'cut' && base === 'killed' ? undefined : 'samovar.db')
    expect(found.deliveries).toBe(volume.deliveries[base])
    // Its -wal has all pages that have changed since the last checkpoint.
    if (base === 'killed') expect(found.inside).toBeGreaterThan(0)
  })

  test('missing, with its -wal', async () => {
    const found = await open(
      base,
      (at) => {
        for (const name of ['samovar.db', 'samovar.db-wal']) rmSync(join(at, name), { force: true })
      },
      emptied,
    )
    expectTold(base, found, 'samovar.db')
    expect(found).toMatchObject({ inside: 0, deliveries: volume.deliveries[base] })
  })

  test('of an earlier time', async () => {
    const found = await open(
      base,
      (at) => {
        rmSync(join(at, 'samovar.db-wal'), { force: true })
        for (const name of ['samovar.db', 'samovar.db-wal']) copyOne(volume.earlier, at, name)
      },
      emptied,
    )
    expectTold(base, found, 'samovar.db')
    expect(found.inside).toBe(10)
  })
})

const redisFor = (name: string) => (name.startsWith('samovar') ? emptied : undefined)

const copyOne = (from: string, to: string, name: string) => {
  if (readdirSync(from).includes(name)) writeFileSync(join(to, name), readFileSync(join(from, name)))
}

describe.each(['samovar.db', 'records.db'])('the -wal of %s', (name) => {
  test.each(['empty', 'missing', 'cut'] as const)('%s', async (how) => {
    const base = 'killed'
    const found = await open(base, (at) => damages[how](join(at, `${name}-wal`)), redisFor(name))
    expectTold(base, found, name)
    if (how === 'cut') expect(found.inside).toBeGreaterThan(0)
  })

  test('of an earlier time, beside a file that was closed without one', async () => {
    const base = 'closed'
    const found = await open(base, (at) => copyOne(volume.killed, at, `${name}-wal`))
    expectTold(base, found, `${name}-wal`)
    expect(found).toMatchObject(whole(base))
  })
})

describe.each(['killed', 'closed'] as const)('records.db, %s', (base) => {
  test.each(['empty', 'missing', 'cut'] as const)('%s', async (how) => {
    const found = await open(base, (at) => damages[how](join(at, 'records.db')))
    // What is cut off a small file that was in use is in its -wal, too.
    expectTold(base, found, how === 'cut' && base === 'killed' ? undefined : 'records.db')
    expect(found).toMatchObject({ inside: volume.inside.length, outside: 0 })
  })

  test('of an earlier time', async () => {
    const found = await open(base, (at) => {
      rmSync(join(at, 'records.db-wal'), { force: true })
      for (const name of ['records.db', 'records.db-wal']) copyOne(volume.earlier, at, name)
    })
    expectTold(base, found, 'records.db')
    expect(found.deliveries).toBe(12)
  })
})

describe('session-secret', () => {
  const base = 'killed'

  test.each(['empty', 'missing', 'cut', 'flipped'] as const)('%s: nobody is logged out', async (how) => {
    const found = await open(base, (at) => damages[how](join(at, 'session-secret'), 0.3))
    expectTold(base, found, 'session-secret')
    expect(found).toMatchObject(whole(base))
    expect(readFileSync(join(dir, 'session-secret'), 'utf8')).toBe(
      readFileSync(join(volume.killed, 'session-secret'), 'utf8'),
    )
    expect(found.told.join()).not.toContain(readFileSync(join(dir, 'session-secret'), 'utf8').trim())
  })

  test('missing, and samovar.db with it: everybody is logged out, and it is told', async () => {
    const found = await open(base, (at) => {
      for (const name of ['session-secret', 'samovar.db', 'samovar.db-wal']) rmSync(join(at, name))
    })
    expectTold(base, found, 'session-secret')
    expect(found.inside).toBe(0)
  })

  test('an operator who wants a new one gets it', async () => {
    const found = await open(base, (at) => writeFileSync(join(at, 'session-secret'), 'renew\n'))
    expect(found).toMatchObject({ inside: 0, alerts: [] })
    expect((await openVolume(dir, volume)).told).toEqual([])
  })
})

test.each(['missing', 'empty', 'cut'] as const)(
  'installation %s: it is made again of the others',
  async (how) => {
    const base = 'killed'
    const found = await open(base, (at) => damages[how](join(at, 'installation')))
    expect(found).toMatchObject({ ...whole(base), alerts: [] })
  },
)

test('a volume of the release before gets ids without a word; one without its samovar.db is told of', async () => {
  const base = 'closed'
  const strip = (at: string) => rmSync(join(at, 'installation'))
  expect(await open(base, strip)).toMatchObject({ ...whole(base), alerts: [] })
  rmSync(join(dir, 'installation'))
  rmSync(join(dir, 'samovar.db'))
  expectTold(base, await openVolume(dir, volume), 'samovar.db')
})

describe.each([
  ['killed', 'samovar.db', 5],
  ['killed', 'samovar.db-wal', 6],
  ['closed', 'samovar.db', 6],
  ['killed', 'records.db-wal', 4],
  ['closed', 'records.db', 5],
] as const)('%s, one flipped byte in %s', (base, name, count) => {
  test.each(places(count))('at %d', async (part) => {
    const found = await open(base, (at) => damages.flipped(join(at, name), part), redisFor(name))
    expectTold(base, found)
    // One page at most, of which one row or another is in the journal as well.
    expect(found.inside).toBeGreaterThanOrEqual(volume.inside.length - 2)
    expect(found.deliveries).toBeGreaterThanOrEqual(volume.deliveries[base] - 10)
    expect(found.outside).toBe(0)
  })
})

describe.each([
  ['read-only', 0o444],
  ['of another owner', 0],
] as const)('%s', (_how, mode) => {
  test.each(['samovar.db', 'records.db', 'session-secret'])(
    '%s stays, and is used as soon as it can be',
    async (name) => {
      copyFiles(volume.closed, dir)
      const path = join(dir, name)
      chmodSync(path, mode)
      const before = readFileSync(join(volume.closed, name))
      const env = { ...ENV, DATA_DIR: dir, REDIS_URL: AWAY }
      const app = await spawnApp(env, { withoutCapabilities: process.getuid?.() === 0 })
      const isReadable = mode !== 0 || name !== 'samovar.db'
      expect(await countInside(app.url, volume.inside)).toBe(isReadable ? volume.inside.length : 0)
      const deliver = (id: string) =>
        fetch(`${app.url}/api/webhooks/payments`, signedRequest(id, '{}', Date.now()))
      expect((await deliver('msg_200')).status).toBe(name === 'records.db' ? 503 : 204)
      expect((await deliver('msg_201')).status).toBe(name === 'records.db' ? 503 : 204)
      const alerts = app.said.out.split('\n').filter((line) => line.includes('ALERT'))
      const isReadOnce = name === 'session-secret' // it is read at the start alone
      expect(alerts).toHaveLength(isReadOnce && mode !== 0 ? 0 : 1)
      if (!isReadOnce) expect(alerts.join()).toContain(`${name} is tried again`)

      chmodSync(path, 0o600)
      expect(readFileSync(path)).toEqual(before)
      if (name === 'samovar.db')
        await eventually(() => expect(app.said.out).toContain('the journal could be opened'))
      await eventually(async () => expect((await deliver('msg_202')).status).toBe(204))
      expect(await countInside(app.url, volume.inside)).toBe(volume.inside.length)
      const ready = (await (await fetch(`${app.url}/readyz`)).json()) as object
      if (!isReadOnce) expect(ready).not.toHaveProperty('fileAlerts')
      app.child.kill('SIGKILL')
      await app.ended
    },
  )
})

describe('with a Redis that kept what it had', () => {
  const openWithRedis = async (base: string, damage: () => void) => {
    cpSync(volume.redisDir, join(dir, 'redis'), { recursive: true })
    const redis = await startRedis('--dir', join(dir, 'redis'), '--appendonly', 'yes')
    try {
      copyFiles(base, dir)
      damage()
      return await openVolume(dir, volume, redis)
    } finally {
      await redis.stop()
    }
  }

  test.each([
    ['samovar.db', 'missing'],
    ['samovar.db', 'empty'],
    ['samovar.db-wal', 'missing'],
    ['samovar.db', 'cut'],
  ] as const)('%s %s: what Redis has is used', async (name, how) => {
    const found = await openWithRedis(volume.killed, () => damages[how](join(dir, name)))
    expectTold('killed', found, how === 'cut' ? undefined : 'samovar.db')
    expect(found.inside).toBeGreaterThanOrEqual(10)
  })

  test('nothing is told where nothing is wrong', async () => {
    const found = await openWithRedis(volume.killed, () => {})
    expect(found).toMatchObject({ ...whole('killed'), alerts: [] })
  })

  test('all files are of an earlier time than Redis', async () => {
    const found = await openWithRedis(volume.earlier, () => {})
    expect(found.alerts).toMatchObject([{ file: 'redis-state', problem: 'older' }])
    expect(found).toMatchObject({ inside: 10, outside: 0 })
  })
})
