// Single bytes that change in Redis' files and in samovar.db, in what checksums cover: none of them is believed.
//
// The base file is written without its binary form (aof-use-rdb-preamble no): that has a checksum of its own over the
// whole file, and Redis does not start on one that differs. Bytes are changed in arguments of commands, so that the
// file stays one that Redis loads: names of keys, values, and in a set the scores and names.
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createDamageLog } from '../../src/core/damage-log.ts'
import { createKeyKinds } from '../../src/core/keys.ts'
import { connectRedis } from '../../src/core/redis/connection.ts'
import { openStateDisk, type StateDisk } from '../../src/core/state/disk/state-disk.ts'
import { encodeStored, type VersionedEntry } from '../../src/core/state/kinds/kinds.ts'
import { createRedisStateStore } from '../../src/core/state/redis-state-store.ts'
import { eventually } from '../helpers/eventually.ts'
import { type Argument, changeFile, commandsOf, flipOne } from '../helpers/flips.ts'
import { recordLog } from '../helpers/log.ts'
import { createRandom } from '../helpers/random.ts'
import { startRedis } from '../helpers/redis-server.ts'
import { declaredKeys, openProcess, type TestProcess, targetOf } from '../helpers/stores.ts'

const PREFIX = 'samovar:state:'
const LONG_MS = 3_600_000
const EACH = 68 // flips in the base file, in the incremental one, and in samovar.db
const WORDS = ['session', 'gone', 'login', 'revoked', 'sessions'] as const
const kindOf = createKeyKinds(declaredKeys)
const folder = mkdtempSync(join(tmpdir(), 'samovar-flips-'))
let app: TestProcess | undefined
afterEach(async () => {
  await app?.close()
  app = undefined
})
afterAll(() => rmSync(folder, { recursive: true }))

const keyOf = (n: number) => {
  const word = WORDS[n % WORDS.length] as (typeof WORDS)[number]
  return `${word === 'gone' ? 'session' : word}:${word}-${n}`
}

async function write({ state }: TestProcess, from: number): Promise<string[]> {
  const names = Array.from({ length: EACH }, (_, i) => keyOf(from + i))
  for (const key of names) {
    if (key.startsWith('session:gone')) await state.destroy(key, LONG_MS)
    else if (key.startsWith('session:'))
      await state.write(
        key,
        Buffer.from(`{"user":"telegram:71","seenAtMs":1732798000000,"of":"${key}"}`),
        LONG_MS,
      )
    else if (key.startsWith('login:')) await state.claim(key, Buffer.from(`used by ${key}`), LONG_MS)
    else if (key.startsWith('revoked:')) await state.mark(key, 1_732_798_000_000 + from, LONG_MS)
    else await state.include(key, `${key}-hash`, LONG_MS)
  }
  return names
}

/** What is under a key, without when it ends; undefined when it is absent. */
const plain = (entry: VersionedEntry | undefined) =>
  entry &&
  JSON.stringify({ ...entry.value, ...('bytes' in entry.value && { bytes: `${entry.value.bytes}` }) })

async function readAll(url: string, names: readonly string[]): Promise<Map<string, string>> {
  const connection = connectRedis({
    target: targetOf(url),
    ca: undefined,
    budgetMs: 5_000,
    trackPrefix: undefined,
  })
  await connection.open()
  try {
    const store = createRedisStateStore({ connection, prefix: PREFIX, kindOf, isShared: true })
    const found = new Map<string, string>()
    for (const [i, entry] of (await store.read(names)).entries()) {
      const text = plain(entry)
      if (text) found.set(names[i] as string, text)
    }
    return found
  } finally {
    connection.close()
  }
}

/** All keys that are in Redis, also those whose names have been changed to others that may be ours. */
async function keysIn(command: (...words: string[]) => Promise<string>): Promise<string[]> {
  const reply = await command('KEYS', `${PREFIX}*`)
  const names = reply.split('\r\n').filter((line) => line.startsWith(PREFIX))
  return names.map((name) => name.slice(PREFIX.length)).filter((key) => kindOf(key))
}

/** Changes one byte of the last command that writes each of these keys. */
function flipCommands(path: string, names: readonly string[], seed: number): void {
  const random = createRandom(seed)
  changeFile(path, (file) => {
    const last = new Map<string, Argument[]>()
    for (const command of commandsOf(file)) {
      const [{ text: name = '' } = {}, { text: key = '' } = {}] = command
      if (/^(SET|ZADD)$/i.test(name)) last.set(key, command)
    }
    for (const key of names) {
      const [name, own, ...rest] = last.get(PREFIX + key) ?? []
      if (!name || !own) throw new Error(`${key} is not in ${path}`)
      const covered = /^SET$/i.test(name.text) ? rest.slice(0, 1) : rest.slice(-2)
      const inKey = { at: own.at + PREFIX.length, length: own.text.length - PREFIX.length }
      const places = [inKey, ...covered.map(({ at, text }) => ({ at, length: text.length }))]
      flipOne(file, random.pick(places), random)
    }
  })
}

test('in the append-only file: absent there, and put back by an app that was up', async () => {
  const dir = join(folder, 'redis')
  mkdirSync(dir)
  const settings = ['--appendonly', 'yes', '--appendfsync', 'always', '--aof-use-rdb-preamble', 'no']
  const redis = await startRedis(...settings, '--auto-aof-rewrite-percentage', '0', '--dir', dir)
  const copy = join(folder, 'copy')
  let stranger: Awaited<ReturnType<typeof startRedis>> | undefined
  try {
    app = await openProcess({ cacheUrl: redis.url, dataDir: join(folder, 'app') })
    await app.untilStatus('redis')
    await eventually(() => expect(app?.stateRole.coverage()).toBe('full'))
    const inBase = await write(app, 0)
    await redis.command('BGREWRITEAOF')
    await eventually(async () => {
      const info = await redis.command('INFO', 'persistence')
      expect(info).toContain('aof_rewrite_in_progress:0')
      expect(readdirSync(join(dir, 'appendonlydir'))).toContain('appendonly.aof.2.base.aof')
    })
    const names = [...inBase, ...(await write(app, EACH))]
    const written = await readAll(redis.url, names)
    expect(written.size).toBe(names.length)

    await redis.kill()
    const files = readdirSync(join(dir, 'appendonlydir'))
    const fileOf = (part: string) =>
      join(
        dir,
        'appendonlydir',
        files
          .filter((name) => name.includes(part))
          .sort()
          .at(-1) as string,
      )
    flipCommands(fileOf('.base.aof'), inBase, 1)
    flipCommands(fileOf('.incr.aof'), names.slice(EACH), 2)
    cpSync(dir, copy, { recursive: true })

    stranger = await startRedis(...settings, '--dir', copy)
    const known = await keysIn(stranger.command)
    const believed = await readAll(stranger.url, [...new Set([...known, ...names])])
    for (const [key, text] of believed) expect([key, text]).toEqual([key, written.get(key)])
    // A few bytes say the same as before: in a score beyond what a number holds, say.
    expect(believed.size).toBeLessThan(names.length / 20)

    await redis.start('--dir', dir)
    await app.untilStatus('redis')
    await eventually(async () => expect(await readAll(redis.url, names)).toEqual(written))
    const { state, lines } = app
    const outages = () => app?.outages.all().filter(({ role }) => role === 'state') ?? []
    expect((await state.read('session:session-0'))?.bytes.toString()).toContain('telegram:71')
    expect(await state.read(keyOf(1))).toBeUndefined()
    // Those whose names are what they were.
    await eventually(() => expect(outages()[0]?.corrupt).toBeGreaterThan(names.length / 4))
    expect(app.stateRole.damage.count()).toBeGreaterThanOrEqual(outages()[0]?.corrupt ?? 0)
    const told = lines.filter(({ message }) => message.startsWith('a value in Redis is corrupt'))
    expect(new Set(told.map(({ fields }) => fields.key)).size).toBe(told.length)

    // Nothing damaged has come to the disk.
    await app.close()
    app = undefined
    const { log } = recordLog()
    const disk = openStateDisk(join(folder, 'app', 'samovar.db'), { log, damage: createDamageLog(log) })
    const copies = new Map(disk.load('copy').map(([key, entry]) => [key, plain(entry)]))
    expect(disk.unreadable()).toBe(0)
    disk.close()
    for (const [key, text] of written) expect([key, copies.get(key)]).toEqual([key, text])
  } finally {
    await stranger?.stop()
    await redis.stop()
  }
})

test('in samovar.db: no row with a changed byte is loaded', async () => {
  app = await openProcess({ cacheUrl: 'off', dataDir: join(folder, 'db') })
  await write(app, 0)
  await app.close()
  app = undefined
  const path = join(folder, 'db', 'samovar.db')
  const { log, lines } = recordLog()
  const open = () => openStateDisk(path, { log, damage: createDamageLog(log) })
  const use = <T>(work: (disk: StateDisk) => T): T => {
    const disk = open()
    try {
      return work(disk)
    } finally {
      disk.close()
    }
  }
  const written = use((disk) => {
    const rows = disk.load('copy').filter(([key]) => key !== 'generations')
    disk.save('journal', rows.slice(0, 10))
    for (const n of [1, 2, 3]) disk.saveJob(`job-${n}`, `{"a":${n}}`)
    disk.saveDeleted(['coins', 'countries'])
    disk.saveOutage('an-outage', 1, '{"id":"an-outage"}')
    return new Map(rows)
  })
  expect(written.size).toBe(EACH)

  const random = createRandom(3)
  changeFile(path, (file) => {
    for (const [key, entry] of written) {
      const { storedAs, bytes } = encodeStored(key, entry)
      const row = Buffer.concat([Buffer.from(key + storedAs), bytes])
      // In both tables; six bytes after the value say when it ends.
      for (let at = file.indexOf(row); at >= 0; at = file.indexOf(row, at + 1)) {
        const from = at + key.length
        const length = row.length - key.length + 6
        flipOne(file, { at: from, length }, random)
        at = from
      }
    }
    for (const text of ['{"a":2}', '{"id":"an-outage"}'])
      flipOne(file, { at: file.indexOf(text), length: text.length + 16 }, random)
  })
  use((disk) => {
    const found = [...disk.load('copy'), ...disk.load('journal')].filter(([key]) => key !== 'generations')
    for (const [key, entry] of found) expect([key, entry]).toEqual([key, written.get(key)])
    // Where the end beside a register has changed, the register says it itself.
    expect(found.length).toBeLessThan(EACH / 4)
    expect(disk.jobs().map(([key]) => key)).toEqual(['job-1', 'job-3'])
    expect(disk.outages()).toEqual([])
    expect(disk.deleted().sort()).toEqual(['coins', 'countries'])
  })
  expect(lines.filter(({ message }) => message.includes('damaged: it is set aside'))).toEqual([])
})
