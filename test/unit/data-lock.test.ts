// The data lock's word, and the reference database that waits for it.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createDataLock } from '../../src/core/data-lock.ts'
import { pause } from '../../src/lib/time.ts'
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
  for (const word of ['held', 'draining', 'released', 'held']) {
    say(word)
    await eventually(() => expect(heard.at(-1)).toBe(word), PROMPTLY_MS)
  }
  expect([heard, lock.state()]).toEqual([['held', 'draining', 'released', 'held'], 'held'])
  lock.close()
})

test('changes are accepted while it is held, also while only the cache leaves; those under way are finished first', async () => {
  say('waiting')
  const lock = createDataLock(runDir)
  const isOpen = () => lock.changes.isOpen()
  expect(isOpen()).toBe(false)
  await expect(lock.changes.pass(async () => {})).rejects.toMatchObject({
    code: 'handing_over',
    retryAfterMs: 1_000,
  })
  say('held')
  await eventually(() => expect(isOpen()).toBe(true), PROMPTLY_MS)
  let finish = () => {}
  const underWay = lock.changes.pass(
    () =>
      new Promise<void>((resolve) => {
        finish = resolve
      }),
  )
  say('leaving')
  await pause(200)
  expect([isOpen(), lock.state()]).toEqual([true, 'held'])
  say('draining')
  await eventually(() => expect(isOpen()).toBe(false), PROMPTLY_MS)
  expect(lock.state()).toBe('held') // its files are still open
  finish()
  await underWay
  await eventually(() => expect(lock.state()).toBe('draining'), PROMPTLY_MS)
  lock.close()
})

test('the guard is told when the app listens, when its files are closed, and when they are open again', async () => {
  say('held')
  const lock = createDataLock(runDir)
  const path = join(runDir, 'app', String(process.pid))
  const told = () => readFileSync(path, 'utf8')
  expect(existsSync(path)).toBe(false)
  lock.ready()
  expect(told()).toBe('open')
  for (const [word, expected] of [
    ['draining', 'closed'],
    ['released', 'closed'],
    ['held', 'open'],
  ] as const) {
    say(word)
    await eventually(() => expect([lock.state(), told()]).toEqual([word, expected]), PROMPTLY_MS)
  }
  lock.close()
  expect(existsSync(path)).toBe(false)
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
