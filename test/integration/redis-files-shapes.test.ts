// Every shape that the files of redis-state may have: a server is up on them in the end, no matter what stands where,
// with every sound part in it, and each loss told.
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import {
  BASE,
  before,
  closeWorlds,
  type Damage,
  each,
  earlier,
  heal,
  INCREMENT,
  KEYS,
  type Paths,
  pathsOf,
  prepareFiles,
  whole,
} from '../helpers/redis-files-world.ts'

beforeAll(prepareFiles)
afterAll(closeWorlds)

const GROUPS = ['first', 'base', 'incr']

// What is done to the files, the groups of keys that are there afterwards ('incr/2': the first half of them), and how
// it is told.
const shapes: [name: string, damage: Damage, groups: string[], words?: RegExp][] = [
  [
    'base empty',
    ({ base }) => writeFileSync(base, ''),
    [],
    /ALERT .*base.rdb of the append-only file was empty/,
  ],
  ['base missing', ({ base }) => rmSync(base), [], /ALERT .*no base/],
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
    /ALERT .*what stood before appendonly.aof.5.incr.aof/,
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
