// The data lock's word, and the reference database that waits for it.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createDataLock } from '../../src/core/data-lock.ts'
import { openSnapshot } from '../../src/sql/snapshot.ts'
import { eventually } from '../helpers/eventually.ts'
import { recordLog } from '../helpers/log.ts'

const PROMPTLY_MS = 5_000 // half a second is promised

const runDir = mkdtempSync(join(tmpdir(), 'samovar-run-'))
const say = (word: string) => writeFileSync(join(runDir, 'data'), `${word}\n`)
afterAll(() => rmSync(runDir, { recursive: true }))

test('outside the image nobody else writes: held', () => {
  expect(createDataLock(undefined).state()).toBe('held')
})

test('until the guard has spoken it is waiting; each word is passed on', async () => {
  const lock = createDataLock(runDir)
  const heard: string[] = []
  lock.onChange((state) => heard.push(state))
  expect(lock.state()).toBe('waiting')
  for (const word of ['held', 'draining', 'released']) {
    say(word)
    await eventually(() => expect(heard.at(-1)).toBe(word), PROMPTLY_MS)
  }
  expect([heard, lock.state()]).toEqual([['held', 'draining', 'released'], 'released'])
  lock.close()
})

test('a database that may not be made yet is served from memory, and made when it may', async () => {
  say('waiting')
  const path = join(runDir, 'reference.db')
  const lock = createDataLock(runDir)
  const snapshot = openSnapshot({
    path,
    fill: (run) => {
      run('CREATE TABLE t (a TEXT)')
      run('INSERT INTO t VALUES (?)', 'x')
    },
    dataLock: lock,
    log: recordLog().log,
  })
  expect(await snapshot.all('SELECT a FROM t')).toEqual([{ a: 'x' }])
  expect(existsSync(path)).toBe(false)
  say('held')
  await eventually(() => expect(existsSync(path)).toBe(true), PROMPTLY_MS)
  expect(await snapshot.all('SELECT a FROM t WHERE a = ?', 'x')).toEqual([{ a: 'x' }])
  snapshot.close()
  lock.close()
})
