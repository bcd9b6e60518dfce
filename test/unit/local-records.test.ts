// Records on disk: all of a transaction or nothing, by whoever holds the data lock.
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { DataLockState } from '../../src/core/data-lock.ts'
import { handingOver } from '../../src/core/errors.ts'
import { createInstallation } from '../../src/core/files/installation.ts'
import { createDrainGate } from '../../src/lib/async/drain-gate.ts'
import { type LocalRecords, openLocalRecords } from '../../src/sql/local-records.ts'
import type { Transaction } from '../../src/sql/sql.ts'
import { recordLog } from '../helpers/log.ts'

const migrations = [
  { of: 'test', steps: ['CREATE TABLE notes (text TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;'] },
]
let dir: string
let records: LocalRecords
let lock: ReturnType<typeof createLock>
let lines: ReturnType<typeof recordLog>['lines']

function createLock() {
  let state: DataLockState = 'held'
  const listeners: ((state: DataLockState) => void)[] = []
  return {
    state: () => state,
    changes: createDrainGate(handingOver),
    ready: () => {},
    onChange: (listener: (state: DataLockState) => void) => void listeners.push(listener),
    close: () => {},
    turn(next: DataLockState) {
      state = next
      for (const listener of listeners) listener(next)
    },
  }
}

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'samovar-records-'))
  lock = createLock()
  const recorded = recordLog()
  lines = recorded.lines
  const { log } = recorded
  const installation = createInstallation(dir, log)
  records = openLocalRecords({ path: join(dir, 'records.db'), migrations, dataLock: lock, installation, log })
})
afterEach(() => {
  records.close()
  chmodSync(dir, 0o700)
  rmSync(dir, { recursive: true })
})

const notes = async () => (await records.all('SELECT text FROM notes')).map(({ text }) => text)
const add = (...texts: (string | null)[]) =>
  records.transaction(async (tx) => {
    for (const text of texts) tx.run('INSERT INTO notes VALUES (?)', text)
  })
const unavailable = { code: 'records_unavailable', status: 503, headers: { 'Retry-After': '5' } }
const handedOver = { code: 'handing_over', retryAfterMs: 1_000 }

test('a transaction is committed when its work is done, and reads what was committed before', async () => {
  await add('a')
  await records.transaction(async (tx) => {
    tx.run('INSERT INTO notes VALUES (?)', 'b')
    expect(await tx.all('SELECT text FROM notes')).toEqual([{ text: 'a' }])
    await add('c') // nothing is held open meanwhile
  })
  expect(await notes()).toEqual(['a', 'b', 'c'])
})

test('nothing is kept of work that rejects, or of which one statement fails', async () => {
  const rejecting = records.transaction(async (tx) => {
    tx.run('INSERT INTO notes VALUES (?)', 'a')
    throw new Error('no')
  })
  await expect(rejecting).rejects.toThrow('no')
  await add('b')
  await expect(add('c', 'b')).rejects.toThrow('UNIQUE')
  await expect(add('d', null)).rejects.toThrow('NOT NULL')
  expect(await notes()).toEqual(['b'])
})

test('a statement after the end of its transaction is a bug, and says so', async () => {
  let kept: Transaction | undefined
  await records.transaction(async (tx) => {
    kept = tx
  })
  expect(() => kept?.run('DELETE FROM notes')).toThrow(TypeError)
})

test('only the holder of the data lock reads and writes', async () => {
  lock.turn('waiting')
  await expect(notes()).rejects.toMatchObject(handedOver)
  let hasBegun = false
  const refused = records.transaction(async () => {
    hasBegun = true
  })
  await expect(refused).rejects.toMatchObject(handedOver)
  expect([hasBegun, readdirSync(dir)]).toEqual([false, []])
  lock.turn('held')
  await add('a')
  const overtaken = records.transaction(async (tx) => {
    tx.run('INSERT INTO notes VALUES (?)', 'b')
    lock.turn('draining')
  })
  await expect(overtaken).rejects.toMatchObject(handedOver)
  lock.turn('held')
  expect(await notes()).toEqual(['a'])
})

test('a file that cannot be opened is reported once, and taken up when it can be', async () => {
  mkdirSync(join(dir, 'records.db'))
  for (const _ of [1, 2]) await expect(add('a')).rejects.toMatchObject(unavailable)
  expect(lines.map(({ level }) => level)).toEqual(['error'])
  rmdirSync(join(dir, 'records.db'))
  await add('a')
  expect(await notes()).toEqual(['a'])
})

test('a step that is no SQL is named in the log', async () => {
  const steps = ['CREATE TABLE a (x TEXT) STRICT;', 'CREATE TABEL b (x TEXT) STRICT;']
  const wrong = { path: join(dir, 'wrong.db'), migrations: [{ of: 'polls', steps }], dataLock: lock }
  const { log, lines: said } = recordLog()
  const opened = openLocalRecords({ ...wrong, installation: createInstallation(dir, log), log })
  await expect(opened.all('SELECT 1')).rejects.toMatchObject(unavailable)
  opened.close()
  const { message } = said.map(({ fields }) => fields.err)[0] as Error
  expect(message).toBe('step 2 of the tables of polls: near "TABEL": syntax error')
})

test('a file that can be read and not written is reported once', async () => {
  await add('a')
  const other = new DatabaseSync(join(dir, 'records.db'))
  other.exec('BEGIN IMMEDIATE')
  for (const _ of [1, 2]) {
    await expect(add('b')).rejects.toMatchObject(unavailable)
    expect(await notes()).toEqual(['a'])
  }
  other.close()
  await add('b')
  expect(lines).toHaveLength(1)
})

test('a damaged file is set aside', async () => {
  writeFileSync(
    join(dir, 'records.db'),
    'no database at all, but long enough to be taken for one'.repeat(100),
  )
  await add('a')
  expect(readdirSync(join(dir, 'quarantine'))).toEqual([expect.stringMatching(/-records\.db$/)])
  expect(lines[0]?.message).toContain('ALERT')
})

test('after the end nothing is opened again', async () => {
  await add('a')
  records.close()
  await expect(add('b')).rejects.toMatchObject(unavailable)
})
