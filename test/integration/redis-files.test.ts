// Redis judges its own files: whatever state they are in, a server is up on them in the end, with every sound part in
// it and each loss told; or the fault is not theirs, they stay as they are, and one ALERT says what to do. The full
// form: SAMOVAR_SEEDS=200 SAMOVAR_FIRST_SEED=1.
import {
  chmodSync,
  chownSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { eventually } from '../helpers/eventually.ts'
import { createRandom } from '../helpers/random.ts'
import {
  BASE,
  before,
  closeWorlds,
  type Damage,
  each,
  heal,
  INCREMENT,
  KEYS,
  MANIFEST,
  openWorld,
  pathsOf,
  prepareFiles,
  whole,
} from '../helpers/redis-files-world.ts'

const SEED = Number(process.env.SAMOVAR_FIRST_SEED ?? 1)
const PLACES = Number(process.env.SAMOVAR_SEEDS ?? 20)

beforeAll(prepareFiles)
afterAll(closeWorlds)

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
    const { world, content, isElsewhere } = await heal(({ aof }) => {
      at = flip(join(aof, INCREMENT), createRandom(seed))
    })
    const sound = [...before].filter(([key]) => {
      const [name, number] = key.split(':')
      // A crash takes the command before the damage along.
      return name !== 'incr' || (ends[Number(number) + 1] ?? bytes.length) < at
    })
    if (isElsewhere) return // the app sees that the sequence is missing, and writes what it has
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
  [line('Error writing to the append only file x: EINTR'), 137, /ALERT .*the kernel did/],
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
    expect(world.judge(1, code, log).words).toMatch(/ALERT .*beyond repair.* set aside in/)
    expect(world.files()).toEqual([])
    expect(world.judge(2, code, log)).toEqual({
      code: 0,
      words: expect.stringMatching(/ALERT .*lines of redis/),
    })
  })
})
