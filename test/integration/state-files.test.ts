// A state file that cannot be opened at the start is not a damaged one: memory serves, the file stays where it is, and
// is taken up as soon as it can be opened.
import { mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { createDamageLog } from '../../src/core/damage-log.ts'
import { createDataLock } from '../../src/core/data-lock.ts'
import { createInstallation } from '../../src/core/files/installation.ts'
import { createJournal } from '../../src/core/state/disk/journal.ts'
import { openStateDisk } from '../../src/core/state/disk/state-disk.ts'
import { openStateFiles } from '../../src/core/state/disk/state-files.ts'
import { createHybridClock } from '../../src/core/state/kinds/hybrid-clock.ts'
import type { VersionedEntry } from '../../src/core/state/kinds/kinds.ts'
import { createStandby } from '../../src/core/state/standby.ts'
import { pause } from '../../src/lib/time.ts'
import { eventually } from '../helpers/eventually.ts'
import { recordLog } from '../helpers/log.ts'

const folder = mkdtempSync(join(tmpdir(), 'samovar-files-'))
const hybridClock = createHybridClock()
afterAll(() => rmSync(folder, { recursive: true }))

function open(dataDir: string) {
  const { log, lines } = recordLog()
  const journal = createJournal()
  const standby = createStandby({ budgetBytes: 1_000_000, hybridClock })
  const files = openStateFiles({
    dataDir,
    dataLock: createDataLock(undefined),
    standby,
    participant: journal,
    damage: createDamageLog(log),
    installation: createInstallation(dataDir, log),
    log,
  })
  return { journal, standby, files, alerts: () => lines.filter(({ message }) => message.startsWith('ALERT')) }
}

const version = (text: string): VersionedEntry => ({
  value: { kind: 'lww-register', timestamp: hybridClock.next(), bytes: Buffer.from(text) },
  expiresAtMs: Date.now() + 60_000,
})

test('what was on the disk before, and what was written meanwhile, is there once it can be opened', async () => {
  const dataDir = join(folder, 'data')
  const before = open(dataDir)
  before.journal.put('session:before', version('before'))
  before.files.close()

  renameSync(dataDir, join(folder, 'away'))
  writeFileSync(dataDir, '') // not a directory: whatever is opened below it fails, for root, too
  const during = open(dataDir)
  during.journal.put('session:during', version('during'))
  expect(during.alerts()).toHaveLength(1)

  rmSync(dataDir)
  renameSync(join(folder, 'away'), dataDir)
  await eventually(() => expect(during.standby.kept('session:before')).toBeDefined())
  expect(during.journal.size()).toBe(2)
  expect(during.alerts()).toHaveLength(1)
  during.files.close()

  const after = open(dataDir)
  expect(after.journal.size()).toBe(2)
  after.files.close()
  expect(readdirSync(dataDir)).toEqual(['installation', 'samovar.db'])
})

test('a copy of what has expired does not stay on the disk for ever', () => {
  const path = join(folder, 'expired.db')
  const { log } = recordLog()
  const disk = openStateDisk(path, { log, damage: createDamageLog(log) })
  disk.save('copy', [
    ['session:old', { ...version('old'), expiresAtMs: Date.now() - 1 }],
    ['session:new', version('new')],
  ])
  expect(disk.load('copy')).toHaveLength(2)
  disk.close()
  const reopened = openStateDisk(path, { log, damage: createDamageLog(log) })
  expect(reopened.load('copy').map(([key]) => key)).toEqual(['session:new'])
  reopened.close()
})

test('what an earlier life left in the journal is merged with what is in it already, not replaced', () => {
  const dataDir = join(folder, 'merged')
  const log = (...ids: string[]): VersionedEntry => ({
    value: { kind: 'sliding-window-log', hits: ids.map((id, i) => ({ id, atMs: i })) },
    expiresAtMs: Date.now() + 60_000,
  })
  const tombstone: VersionedEntry = {
    ...version(''),
    value: { kind: 'lww-register', timestamp: hybridClock.next(), bytes: undefined },
  }
  const before = open(dataDir)
  before.journal.putAll([
    ['limit:a', log('1', '2', '3', '4')],
    ['session:ended', tombstone],
  ])
  before.files.close()

  const { log: silent } = recordLog()
  const journal = createJournal()
  journal.put('limit:a', log('5'))
  journal.put('session:ended', version('live'))
  const damage = createDamageLog(silent)
  const disk = openStateDisk(join(dataDir, 'samovar.db'), { log: silent, damage })
  journal.load(disk)
  for (const entries of [journal.entries(10), disk.load('journal')]) {
    const found = new Map(entries)
    expect(found.get('limit:a')?.value).toHaveProperty('hits.length', 5)
    expect(found.get('session:ended')?.value).toMatchObject({ bytes: undefined })
  }
  disk.close()
})

test('a disk that cannot be written is owed what is kept, not what has come and gone meanwhile', async () => {
  const path = join(folder, 'locked.db')
  const { log, lines } = recordLog()
  const disk = openStateDisk(path, { log, damage: createDamageLog(log) })
  disk.save('copy', [['session:in-file', version('old')]])
  const other = new DatabaseSync(path)
  other.exec('BEGIN IMMEDIATE')
  disk.save('copy', [['session:kept', version('kept')]])
  disk.save('copy', [
    ['session:in-file', undefined],
    ['session:expired', { ...version('x'), expiresAtMs: Date.now() }],
    ['session:deleted', undefined],
  ])
  for (let i = 0; i < 100; i += 1) {
    disk.saveJob(`job-${i}`, '{}')
    disk.saveJob(`job-${i}`, undefined)
  }
  const madeGood = () => lines.filter(({ message }) => message.startsWith('the journal is written again'))
  await pause(2_500) // it has tried again
  expect(madeGood()).toEqual([])
  other.exec('ROLLBACK')
  other.close()
  await eventually(() => expect(madeGood()).toMatchObject([{ fields: { rows: 2 } }]))
  expect(disk.load('copy').map(([key]) => key)).toEqual(['session:kept'])
  disk.close()
})
