// Reference data on disk: the copy of somebody else's, and the database of our own, when the disk or the lock say no.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DataLockState } from '../../src/core/data-lock.ts'
import { openLocalCopy } from '../../src/sql/local-copy.ts'
import { openSnapshot } from '../../src/sql/snapshot.ts'
import { recordLog } from '../helpers/log.ts'

let dir: string
let path: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'samovar-copy-'))
  path = join(dir, 'copy.db')
})
afterEach(() => rmSync(dir, { recursive: true }))

function createLock(state: DataLockState = 'held') {
  const listeners: ((state: DataLockState) => void)[] = []
  return {
    state: () => state,
    onChange: (listener: (state: DataLockState) => void) => void listeners.push(listener),
    close: () => {},
    turn(next: DataLockState) {
      state = next
      for (const listener of listeners) listener(next)
    },
  }
}

const columns = ['code', 'size']
const table = (size: number, asOfMs = 1_000) => ({ rows: [{ code: 'DE', size }], asOfMs })
const open = (place = 'a', dataLock = createLock(), log = recordLog().log) =>
  openLocalCopy({ path, columns, place, dataLock, log })

test('what was saved is there after a restart, for the same place only', () => {
  expect(open().read()).toBeUndefined()
  open().save(table(1))
  expect(open().read()).toEqual(table(1))
  expect(open('b').read()).toBeUndefined()
  expect(readdirSync(dir)).toEqual(['copy.db'])
})

test('the same rows are written again for their time, at most once a minute', () => {
  const copy = open()
  const writtenAsOf = () => open().read()?.asOfMs
  copy.save(table(1, 1_000))
  copy.save(table(1, 60_999))
  expect([copy.read()?.asOfMs, writtenAsOf()]).toEqual([60_999, 1_000])
  copy.save(table(1, 61_000))
  expect(writtenAsOf()).toBe(61_000)
  copy.save(table(2, 61_001))
  expect(writtenAsOf()).toBe(61_001)
})

test('without the data lock it is kept in memory, and written once the lock is held', () => {
  const lock = createLock('waiting')
  const copy = open('a', lock)
  copy.save(table(1))
  expect([copy.read(), existsSync(path)]).toEqual([table(1), false])
  lock.turn('held')
  expect(open().read()).toEqual(table(1))
  lock.turn('draining')
  copy.save(table(2))
  expect([copy.read(), open().read()]).toEqual([table(2), table(1)])
})

test('a file that is none, and a disk that takes none, are logged and do no harm', () => {
  writeFileSync(path, 'no database, but long enough to be taken for one '.repeat(100))
  const { log, lines } = recordLog()
  expect(open('a', createLock(), log).read()).toBeUndefined()
  rmSync(path)
  mkdirSync(path)
  const copy = open('a', createLock(), log)
  copy.save(table(1))
  expect(copy.read()).toEqual(table(1))
  expect(lines.map(({ level, message }) => [level, message])).toEqual([
    ['error', 'the copy of the reference data cannot be read'],
    ['error', 'the copy of the reference data cannot be written'],
  ])
})

describe('a database of our own that is damaged', () => {
  const openOwn = (dataLock = createLock()) => {
    const { log, lines } = recordLog()
    const fill = (run: (statement: string) => void) => {
      run('CREATE TABLE t (a TEXT)')
      run("INSERT INTO t VALUES ('x')")
    }
    return { own: openSnapshot({ path, fill, dataLock, log }), lines }
  }
  beforeEach(() => writeFileSync(path, 'no database, but long enough to be taken for one '.repeat(100)))

  test('is set aside and made again', async () => {
    const { own, lines } = openOwn()
    expect(await own.read('t', ['a'])).toEqual({ rows: [{ a: 'x' }], asOfMs: expect.any(Number) })
    expect(readdirSync(join(dir, 'quarantine'))).toEqual([expect.stringMatching(/-copy\.db$/)])
    expect(lines.map(({ message }) => message)).toEqual(['reference data was damaged: it is created again'])
    own.close()
  })

  test('is left alone by who may not write, and served from memory', async () => {
    const lock = createLock('waiting')
    const { own } = openOwn(lock)
    expect(await own.read('t', ['a'])).toEqual({ rows: [{ a: 'x' }], asOfMs: null })
    expect(readdirSync(dir)).toEqual(['copy.db'])
    lock.turn('held')
    expect((await own.read('t', ['a'])).asOfMs).toEqual(expect.any(Number))
    own.close()
  })
})
