// Redis judges its own files: whatever state they are in, a server is up on them in the end, with every sound part in
// it and each loss told; or the fault is not theirs, they stay as they are, and one ALERT says what to do.
import {
  appendFileSync,
  chmodSync,
  chownSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { eventually } from '../helpers/eventually.ts'
import { createRandom } from '../helpers/random.ts'
import { closeWorlds, openWorld, type World } from '../helpers/redis-files-world.ts'

const SEED = Number(process.env.SAMOVAR_FIRST_SEED ?? 1)
const PLACES = Number(process.env.SAMOVAR_SEEDS ?? 20)
const KEYS = 20
const AT_ONCE = 8

let whole: World // base and increment
let earlier: World // the same server's files of another time, one rewrite before
let before: Map<string, string>

beforeAll(async () => {
  const world = openWorld()
  world.start()
  await world.up()
  await write(world, 'first')
  await rewrite(world)
  await write(world, 'base')
  earlier = openWorld(world.state)
  await rewrite(world)
  await write(world, 'incr')
  before = await world.content()
  await world.stop()
  whole = world
  expect(before.size).toBe(3 * KEYS)
  expect(world.files()).toEqual([BASE, INCREMENT, MANIFEST].map((name) => join('appendonlydir', name)))
})
afterAll(closeWorlds)

const BASE = 'appendonly.aof.3.base.rdb'
const INCREMENT = 'appendonly.aof.3.incr.aof'
const MANIFEST = 'appendonly.aof.manifest'

async function write(world: World, name: string): Promise<void> {
  for (let i = 0; i < KEYS; i += 1) await world.ask('SET', `${name}:${i}`, `${name} value ${i}`)
}

async function rewrite(world: World): Promise<void> {
  await world.ask('BGREWRITEAOF')
  await eventually(async () =>
    expect(await world.ask('INFO', 'persistence')).toMatch(
      /aof_rewrite_in_progress:0[^]*aof_rewrite_scheduled:0/,
    ),
  )
}

type Outcome = { world: World; content: Map<string, string> }

/** A copy of the whole files with this done to them, and what a server has of it in the end. */
async function heal(damage: (world: World) => void): Promise<Outcome> {
  const world = openWorld(whole.state)
  damage(world)
  world.own(world.data)
  world.start()
  await world.up()
  const content = await world.content()
  await world.stop()
  return { world, content }
}

/** Runs them all, some at once; all that went wrong is in the one failure. */
async function each<T>(cases: readonly T[], run: (one: T) => Promise<void>): Promise<void> {
  const waiting = [...cases]
  const failures: string[] = []
  const work = async () => {
    for (let one = waiting.shift(); one !== undefined; one = waiting.shift()) {
      const name = JSON.stringify(one)
      await run(one).catch((error) => failures.push(`${name}: ${error.stack}`))
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  if (failures.length > 0) throw new Error(failures.join('\n\n'))
}

function flip(path: string, random: ReturnType<typeof createRandom>): number {
  const bytes = readFileSync(path)
  const at = random.below(bytes.length)
  bytes[at] = (bytes[at] as number) ^ (1 + random.below(255))
  writeFileSync(path, bytes)
  return at
}

const seeds = Array.from({ length: PLACES }, (_, i) => SEED + i)
// Wherever these two are hit, the same happens.
const someSeeds = process.env.SAMOVAR_SEEDS ? seeds : seeds.slice(0, 6)

test('a flipped byte in the increment: all that was written before it is there, and what is missing is told', async () => {
  const bytes = readFileSync(join(whole.aof, INCREMENT))
  const ends = Array.from({ length: KEYS }, (_, i) => bytes.indexOf(`\r\nincr value ${i}\r\n`))
  await each(seeds, async (seed) => {
    let at = 0
    const { world, content } = await heal(({ aof }) => {
      at = flip(join(aof, INCREMENT), createRandom(seed))
    })
    const sound = [...before].filter(([key]) => {
      const [name, number] = key.split(':')
      // A crash takes the command before the damage along.
      return name !== 'incr' || (ends[Number(number) + 1] ?? bytes.length) < at
    })
    for (const [key, value] of sound) expect([key, content.get(key)]).toEqual([key, value])
    const missing = [...before.keys()].filter((key) => !content.has(key)).length
    if (missing > 1)
      expect([at, world.alerts()]).toEqual([at, [expect.stringContaining('cut to its sound part')]])
    else expect(content.size).toBeGreaterThanOrEqual(before.size - 1)
  })
})

test('a flipped byte in the base: it is set aside as it was, and a fresh server is up', async () => {
  await each(someSeeds, async (seed) => {
    const { world, content } = await heal(({ aof }) => void flip(join(aof, BASE), createRandom(seed)))
    expect([content.size, world.alerts()]).toEqual([0, [expect.stringContaining('damaged beyond repair')]])
    expect(world.files('quarantine')).toContainEqual(expect.stringContaining(BASE))
  })
})

test('a flipped byte in the manifest: nothing is missing', async () => {
  await each(someSeeds, async (seed) => {
    const { content } = await heal(({ aof }) => void flip(join(aof, MANIFEST), createRandom(seed)))
    expect(content).toEqual(before)
  })
})

type Damage = (paths: Paths) => void
type Paths = Readonly<Record<'data' | 'state' | 'aof' | 'base' | 'increment' | 'manifest' | 'dump', string>>
const GROUPS = ['first', 'base', 'incr']

// What is done to the files, the groups of keys that are there afterwards ('incr/2': the first half of them), and how
// it is told.
const shapes: [name: string, damage: Damage, groups: string[], words?: RegExp][] = [
  ['base empty', ({ base }) => writeFileSync(base, ''), [], /ALERT .*base.rdb was empty/],
  ['base missing', ({ base }) => rmSync(base), [], /ALERT .*no base, and is set aside/],
  ['base cut', ({ base }) => truncateSync(base, 200), [], /ALERT .*damaged beyond repair \(/],
  // Nothing in it says so; for the app see its sequence.
  ['base of another time', ({ base }) => cpSync(earlierFile('2.base.rdb'), base), ['first', 'incr']],
  ['increment empty', ({ increment }) => writeFileSync(increment, ''), ['first', 'base']],
  [
    'increment missing',
    ({ increment }) => rmSync(increment),
    ['first', 'base'],
    /ALERT .*incr.aof was missing/,
  ],
  [
    'increment a directory',
    ({ increment }) => beDirectory(increment),
    ['first', 'base'],
    /ALERT .*was missing/,
  ],
  [
    'increment cut',
    ({ increment }) => truncateSync(increment, half().at + 9),
    ['first', 'base', 'incr/2'],
    /ALERT .*cut to/,
  ],
  [
    'increment of another time',
    ({ increment }) => cpSync(earlierFile('2.incr.aof'), increment),
    ['first', 'base'],
  ],
  [
    'a command that is none',
    ({ increment }) => overwrite(increment, half().at + 8, 'SEX'),
    ['first', 'base', 'incr/2'],
    /ALERT .*Unknown command 'SEX'/,
  ],
  [
    'a command with too few words',
    ({ increment }) => overwrite(increment, half().at + 1, '2'),
    ['first', 'base', 'incr/2'],
    /ALERT .*damaged/,
  ],
  [
    '30 scrambled bytes',
    ({ increment }) => overwrite(increment, half().at, 'x'.repeat(30)),
    ['first', 'base', 'incr/2'],
    /ALERT .*cut to/,
  ],
  [
    'a length beyond the end',
    ({ increment }) => overwrite(increment, half().at + 4, '$99999999999\r\n'),
    ['first', 'base', 'incr/2'],
    /ALERT .*cut to/,
  ],
  [
    'a transaction without an end',
    ({ increment }) => insert(increment, half().at, '*1\r\n$5\r\nMULTI\r\n'),
    ['first', 'base', 'incr/2'],
    /ALERT .*cut to/,
  ],
  ['manifest empty', ({ manifest }) => writeFileSync(manifest, ''), GROUPS, /made again from the names/],
  ['manifest missing', ({ manifest }) => rmSync(manifest), GROUPS, /made again/],
  ['manifest a directory', ({ manifest }) => beDirectory(manifest), GROUPS, /made again/],
  [
    'manifest cut at a line',
    ({ manifest }) => writeFileSync(manifest, `file ${BASE} seq 3 type b\n`),
    GROUPS,
    /made again/,
  ],
  ['manifest without its end', ({ manifest }) => truncateSync(manifest, 70), GROUPS, /made again/],
  [
    'manifest of another time',
    ({ manifest }) => cpSync(earlierFile('manifest'), manifest),
    GROUPS,
    /made again/,
  ],
  [
    'increment called history',
    ({ manifest }) => overwrite(manifest, readFileSync(manifest).length - 2, 'h'),
    GROUPS,
    /made again/,
  ],
  ['two increments without a manifest', (paths) => twoIncrements(paths, 4), GROUPS, /made again/],
  [
    'a gap between two increments',
    (paths) => twoIncrements(paths, 5),
    ['first', 'base', 'incr/2'],
    /ALERT .*a part before appendonly.aof.5.incr.aof was missing/,
  ],
  [
    'a rewrite that just ended, without a manifest',
    ({ aof, manifest }) => {
      for (const name of ['2.base.rdb', '2.incr.aof'])
        cpSync(earlierFile(name), join(aof, `appendonly.aof.${name}`))
      rmSync(manifest)
    },
    GROUPS,
    /made again/,
  ],
  [
    'a damaged increment before a sound one',
    (paths) => {
      twoIncrements(paths, 4)
      appendFileSync(
        paths.manifest,
        `file ${BASE} seq 3 type b\nfile ${INCREMENT} seq 3 type i\nfile appendonly.aof.4.incr.aof seq 4 type i\n`,
      )
      appendFileSync(paths.increment, 'damaged\n')
    },
    ['first', 'base', 'incr/2'],
    /ALERT .*cut to/,
  ],
  [
    'all but foreign files missing',
    ({ aof }) => {
      rmSync(aof, { recursive: true })
      mkdirSync(aof)
      writeFileSync(join(aof, 'notes.txt'), 'x')
    },
    [],
    /ALERT .*set aside/,
  ],
  ['state a plain file', ({ state }) => beFile(state), [], /ALERT .*state was no directory/],
  [
    'state a link to nothing',
    ({ state }) => beLink(state, '/nowhere/at/all'),
    [],
    /ALERT .*state was no directory/,
  ],
  ['state a link to where it is', ({ state, data }) => beLink(state, moved(state, data)), GROUPS],
  ['appendonlydir a plain file', ({ aof }) => beFile(aof), [], /ALERT .*appendonlydir was no directory/],
  ['appendonlydir a link to nothing', ({ aof }) => beLink(aof, 'nowhere'), [], /ALERT .*no directory/],
  ['appendonlydir a link to where it is', ({ aof, data }) => beLink(aof, moved(aof, data)), GROUPS],
  [
    'a dump beside an append-only file',
    ({ dump }) => cpSync(earlierFile('2.base.rdb'), dump),
    GROUPS,
    /the append-only file is used, the dump is in .*quarantine/,
  ],
  [
    'an unreadable dump beside an append-only file',
    ({ dump }) => writeFileSync(dump, 'x'),
    GROUPS,
    /the dump is in/,
  ],
  [
    'a dump alone',
    ({ base, dump, aof }) => alone(base, dump, aof),
    ['first', 'base'],
    /converted dump.rdb \(40 keys\)/,
  ],
  [
    'a link to a dump alone',
    ({ base, dump, aof, data }) => {
      alone(base, join(data, 'elsewhere.rdb'), aof)
      symlinkSync('../elsewhere.rdb', dump)
    },
    ['first', 'base'],
    /converted dump.rdb \(40 keys\)/,
  ],
  [
    'an unreadable dump alone',
    ({ dump, aof }) => alone(earlierFile('manifest'), dump, aof),
    [],
    /ALERT dump.rdb does not load \(.*signature/,
  ],
  [
    'a dump that is a directory',
    ({ dump, aof }) => {
      rmSync(aof, { recursive: true })
      mkdirSync(dump)
    },
    [],
    /ALERT dump.rdb was no file/,
  ],
  [
    'a conversion that was cut off',
    ({ base, dump, aof, state }) => {
      alone(base, dump, aof)
      mkdirSync(join(state, 'converting/appendonlydir'), { recursive: true })
      writeFileSync(join(state, 'converting/appendonlydir', BASE), 'half')
    },
    ['first', 'base'],
    /converted/,
  ],
  ['the same by a release before', ({ state }) => mkdirSync(`${state}.converting`), GROUPS],
  [
    'a conversion by a release before, cut off at its end',
    ({ state }) => renameSync(state, `${state}.converting`),
    GROUPS,
  ],
  [
    'what killed rewrites have left',
    ({ state, aof }) => {
      for (const folder of [state, aof]) writeFileSync(join(folder, 'temp-rewriteaof-bg-7.aof'), 'x')
    },
    GROUPS,
  ],
  [
    'the file of a Redis 6',
    ({ state, aof, increment }) => {
      renameSync(increment, join(state, 'appendonly.aof'))
      rmSync(aof, { recursive: true })
    },
    ['incr'],
  ],
]

const earlierFile = (name: string) => join(earlier.aof, `appendonly.aof.${name}`)

/** The increment up to the middle one of its commands, and where that begins. */
function half() {
  const bytes = readFileSync(join(whole.aof, INCREMENT))
  const at = bytes.indexOf('*3\r\n', bytes.indexOf(`incr value ${KEYS / 2 - 1}`))
  return { at, bytes }
}

function overwrite(path: string, at: number, text: string): void {
  const bytes = readFileSync(path)
  bytes.write(text, at, 'latin1')
  writeFileSync(path, bytes)
}

function insert(path: string, at: number, text: string): void {
  const bytes = readFileSync(path)
  writeFileSync(path, Buffer.concat([bytes.subarray(0, at), Buffer.from(text), bytes.subarray(at)]))
}

function twoIncrements({ increment, aof, manifest }: Paths, second: number): void {
  const { bytes, at } = half()
  writeFileSync(increment, bytes.subarray(0, at))
  writeFileSync(join(aof, `appendonly.aof.${second}.incr.aof`), bytes.subarray(at))
  rmSync(manifest)
}

function beDirectory(path: string): void {
  rmSync(path)
  mkdirSync(path)
}

function beFile(path: string): void {
  rmSync(path, { recursive: true })
  writeFileSync(path, 'not a directory')
}

function beLink(path: string, target: string): void {
  rmSync(path, { recursive: true, force: true })
  symlinkSync(target, path)
}

function moved(path: string, to: string): string {
  renameSync(path, join(to, 'elsewhere'))
  return join(to, 'elsewhere')
}

function alone(from: string, dump: string, aof: string): void {
  cpSync(from, dump)
  rmSync(aof, { recursive: true })
}

const pathsOf = ({ data, state, aof }: World): Paths => ({
  data,
  state,
  aof,
  base: join(aof, BASE),
  increment: join(aof, INCREMENT),
  manifest: join(aof, MANIFEST),
  dump: join(state, 'dump.rdb'),
})

test('no shape of files waits for a person, and every sound part is used', async () => {
  await each(shapes, async ([, damage, groups, words]) => {
    const { world, content } = await heal((it) => damage(pathsOf(it)))
    const expected = [...before.keys()].filter((key) => {
      const [group = '', number] = key.split(':')
      return groups.includes(group) || (groups.includes(`${group}/2`) && Number(number) < KEYS / 2)
    })
    expect([...content.keys()].sort()).toEqual(expected.sort())
    expect(world.log()).toMatch(words ?? /^(?!.*(ALERT|made again))/s)
    expect(world.alerts()).toHaveLength(words?.source.startsWith('ALERT') ? 1 : 0)
    expect(world.files().filter((name) => /temp-|converting/.test(name))).toEqual([])
  })
})

test('the quarantine keeps our last three, and what is not ours', async () => {
  const { world } = await heal(({ data, aof }) => {
    const names = [
      '20260101T000001Z',
      '20260101T000001Z-2',
      '20260101T000001Z-10',
      '20260101T000001Z-9',
      'mine',
    ]
    for (const name of names) mkdirSync(join(data, 'quarantine', name), { recursive: true })
    writeFileSync(join(data, 'quarantine/20260101T000000Z-samovar.db'), '')
    rmSync(join(aof, BASE))
  })
  expect(readdirSync(join(world.data, 'quarantine')).sort()).toEqual([
    '20260101T000000Z-samovar.db',
    '20260101T000001Z-10',
    '20260101T000001Z-9',
    expect.stringMatching(/^20(?!260101T)/),
    'mine',
  ])
})

/** Made to look like what a newer Redis has written, or only its number of the format. */
function newer(path: string, server: string): void {
  const bytes = readFileSync(path)
  bytes.write('0099', 5)
  const at = bytes.indexOf('redis-ver') + 'redis-ver'.length + 1
  bytes.write(server, at)
  writeFileSync(path, bytes)
}

// What is done, what undoes it, and how it is told.
const faults: [name: string, damage: Damage, undo: Damage, words: RegExp][] = [
  ...(['base', 'increment', 'manifest', 'aof', 'state'] as const).map((part): (typeof faults)[number] => [
    `no rights: ${part}`,
    (paths) => chmodSync(paths[part], part === 'increment' ? 0o400 : 0),
    (paths) => chmodSync(paths[part], 0o700),
    /Permission denied.*Give user \d+ the right/,
  ]),
  [
    'of another owner',
    ({ base }) => (process.getuid?.() === 0 ? chownToRoot(base) : chmodSync(base, 0)),
    ({ base }) => chmodSync(base, 0o604),
    /Permission denied.*Give user/,
  ],
  [
    'of a newer Redis',
    ({ base }) => newer(base, '99.9.9'.slice(0, 6)),
    ({ base }) => cpSync(join(whole.aof, BASE), base),
    /Can't handle RDB format version 99.*newer image/,
  ],
  [
    'a dump of a newer Redis',
    ({ aof, base, dump }) => {
      newer(base, '99.9.9')
      cpSync(base, dump)
      rmSync(aof, { recursive: true })
    },
    ({ aof, dump }) => {
      rmSync(dump)
      cpSync(whole.aof, aof, { recursive: true })
      chmodSync(aof, 0o777)
      for (const name of readdirSync(aof)) chmodSync(join(aof, name), 0o666)
    },
    /dump.rdb: Can't handle RDB format version 99.*newer image/,
  ],
]

function chownToRoot(path: string): void {
  chownSync(path, 0, 0)
  chmodSync(path, 0o600)
}

test('what is no fault of a file: it stays, one ALERT says what to do, and it is used as soon as it can be', async () => {
  await each(faults, async ([, damage, undo, words]) => {
    const world = openWorld(whole.state)
    const paths = pathsOf(world)
    damage(paths)
    world.start()
    await eventually(() => expect(world.attempts()).toBeGreaterThanOrEqual(3))
    expect(world.alerts()).toEqual([expect.stringMatching(words)])
    expect(world.files('quarantine')).toEqual([])
    undo(paths)
    await world.up()
    expect(await world.content()).toEqual(before)
    await world.stop()
  })
})

const line = (text: string) => `7:M 28 Nov 2026 13:00:00.000 # ${text}\n`

// Redis' last words, the code it ends with, and what that counts for.
const words: [log: string, code: number, verdict: RegExp][] = [
  [line("Can't open the append-only file x: No space left on device"), 1, /ALERT .*Free space/],
  [line('Fatal error: the file x: Read-only file system'), 1, /ALERT .*Free space|ALERT .*right/],
  [
    line('Out Of Memory allocating 52224 bytes!') + line('=== REDIS BUG REPORT START'),
    134,
    /ALERT .*more memory/,
  ],
  [
    line("Can't rewrite append only file in background: fork: Cannot allocate memory"),
    1,
    /ALERT .*more memory/,
  ],
  ['', 137, /ALERT .*ended with code 137.*the kernel did/],
  ['setpriv: failed to execute redis-server: Permission denied\n', 126, /ALERT .*cannot be run/],
  [
    line('WARNING Memory overcommit must be enabled!') + line('*** FATAL CONFIG FILE ERROR ***'),
    1,
    /ALERT .*lines of redis/,
  ],
  [line('Redis 7.0.15 crashed by signal: 11, si_code: 1'), 139, /^$/],
  [line('Redis aborting for OUT OF MEMORY. Allocating 1152921504606846976 bytes!'), 1, /^$/],
  [line('Short read or OOM loading DB. Unrecoverable error, aborting now.'), 1, /^$/],
  [line('Internal error in RDB reading offset 5, function at rdb.c:1 -> x'), 1, /^$/],
  [line('Wrong signature trying to load DB from file'), 1, /^$/],
  [
    line(
      'FATAL: Data file was created with a Redis server configured to handle more than 16 databases. Exiting',
    ),
    1,
    /^$/,
  ],
  ['', 0, /^$/],
]

test('Redis is taken at its word, and content that it blames a third time is not what keeps it down', async () => {
  await each(words, async ([log, code, verdict]) => {
    const world = openWorld(whole.state)
    const content = verdict.source === '^$' && code !== 0
    const { code: blamed, words } = world.judge(0, code, log)
    expect([words, blamed]).toEqual([expect.stringMatching(verdict), content ? 1 : 0])
    expect(world.files()).toEqual(whole.files())
    if (!content) return
    expect(world.judge(1, code, log).words).toMatch(/ALERT .*beyond repair.* set aside/)
    expect(world.files()).toEqual([])
    expect(world.judge(2, code, log)).toEqual({
      code: 0,
      words: expect.stringMatching(/ALERT .*lines of redis/),
    })
  })
})
