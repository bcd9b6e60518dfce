// What is written down beside our databases, and what it costs; and what becomes of those that are set aside.
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInstallation, type Installation } from '../../src/core/files/installation.ts'
import { setAside } from '../../src/core/files/quarantine.ts'
import { peekSequence } from '../../src/core/files/tracked-database.ts'
import { openOrReplace } from '../../src/core/open-or-replace.ts'
import { eventually } from '../helpers/eventually.ts'
import { recordLog } from '../helpers/log.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'samovar-tracked-'))
})
afterEach(() => rmSync(dir, { recursive: true }))

/** Notes each call that reads or writes the file `installation`. */
function counted(installation: Installation) {
  const calls: string[] = []
  const noting = <A extends unknown[], T>(name: string, call: (...args: A) => T) => {
    return (...args: A): T => {
      calls.push(name)
      return call(...args)
    }
  }
  const { id, generation, run, known, note, learn } = installation
  const all = { id, generation, run, known, note, learn }
  const noted = Object.fromEntries(
    Object.entries(all).map(([name, call]) => [name, noting(name, call as (...args: unknown[]) => unknown)]),
  )
  return { calls, installation: { ...installation, ...noted } as Installation }
}

test('that a database has come further is written down with one read and one write', async () => {
  const { calls, installation } = counted(createInstallation(dir, recordLog().log))
  const path = join(dir, 'some.db')
  const schema = 'CREATE TABLE IF NOT EXISTS notes (text TEXT) STRICT'
  const { database } = openOrReplace(path, { schema, installation })
  calls.length = 0
  database.run('INSERT INTO notes VALUES (?)', 'a')
  await eventually(() => expect(calls).toEqual(['note']))
  const sequence = installation.known('some.db')?.sequence ?? 0
  expect(sequence).toBeGreaterThan(1)
  database.close()
  expect(peekSequence(path)).toBe(sequence)
})

test('what another process has begun since is in what a database says of itself, after the next write', async () => {
  const { log } = recordLog()
  const installation = createInstallation(dir, log)
  const { database } = openOrReplace(join(dir, 'some.db'), {
    schema: 'CREATE TABLE IF NOT EXISTS notes (text TEXT) STRICT',
    installation,
  })
  createInstallation(dir, log).note('other.db', { sequence: 1 })
  const companions = () => database.all('SELECT companions, generation FROM samovar_installation')
  await eventually(() => {
    database.run('INSERT INTO notes VALUES (?)', 'a')
    expect(companions()).toEqual([{ companions: 'other.db some.db', generation: 2 }])
  })
  database.close()
})

test('of each file the last three that were set aside stay, and what is not ours', () => {
  const quarantine = join(dir, 'quarantine')
  mkdirSync(join(quarantine, '20260101T000001Z'), { recursive: true })
  const others = ['20260101T000001Z', '2026-01-01T000000.000Z-records.db', 'mine.db']
  for (const name of others.slice(1)) writeFileSync(join(quarantine, name), '')
  for (const second of [1, 2, 3])
    for (const suffix of ['', '-wal'])
      writeFileSync(join(quarantine, `2026-01-01T00000${second}.000Z-some.db${suffix}`), '')
  writeFileSync(join(dir, 'some.db'), 'damaged')
  const aside = setAside(join(dir, 'some.db'))
  expect(readdirSync(quarantine).sort()).toEqual(
    [
      ...others,
      ...[2, 3].flatMap((second) =>
        ['', '-wal'].map((end) => `2026-01-01T00000${second}.000Z-some.db${end}`),
      ),
      aside.slice(quarantine.length + 1),
    ].sort(),
  )
})
