import { createDiskCopy } from '../../src/core/state/disk/disk-copy.ts'
import type { StateDisk } from '../../src/core/state/disk/state-disk.ts'
import { createHybridClock } from '../../src/core/state/kinds/hybrid-clock.ts'
import type { VersionedEntry } from '../../src/core/state/kinds/kinds.ts'
import { createStandby } from '../../src/core/state/standby.ts'
import { eventually } from '../helpers/eventually.ts'

const hybridClock = createHybridClock()
const record = (text: string): VersionedEntry => ({
  value: { kind: 'lww-register', timestamp: hybridClock.next(), bytes: Buffer.from(text) },
  expiresAtMs: Date.now() + 60_000,
})

function open() {
  const commits: string[][] = []
  const disk: Pick<StateDisk, 'metadata' | 'setMetadata' | 'save'> = {
    metadata: () => undefined,
    setMetadata: () => {},
    save: (_, entries) => void commits.push(Array.from(entries, ([key]) => key)),
  }
  const standby = createStandby({ budgetBytes: 1_000_000, hybridClock, changed: (key) => copy.changed(key) })
  const copy = createDiskCopy(() => standby)
  const write = (key: string) => {
    standby.apply(key, record(key))
    return copy.committed(key)
  }
  return { copy, standby, commits, write, useDisk: () => copy.participant.load(disk as StateDisk) }
}

test('what is waited for in one turn is one commit, and nothing else is in it', async () => {
  const { copy, standby, commits, write, useDisk } = open()
  useDisk()
  standby.apply('session:by-another', record('x'))
  await Promise.all([write('session:a'), write('session:b'), write('session:a')])
  expect(commits).toEqual([['session:a', 'session:b']])
  expect(copy.committed('session:a')).toBeUndefined()
  copy.flush()
  expect(commits[1]).toEqual(['session:by-another'])
  copy.close()
})

test('without a disk nobody waits, and nothing is remembered but what memory has', () => {
  const { copy, standby, commits, write, useDisk } = open()
  expect(write('session:kept')).toBeUndefined()
  for (let i = 0; i < 1_000; i += 1) {
    write(`webhook:${i}`)
    standby.forget(`webhook:${i}`)
  }
  useDisk()
  expect(commits).toEqual([['session:kept']])
  copy.close()
})

test('a resync is written a thousand keys at a time, neighbours together, each of them once', async () => {
  const { copy, standby, commits, write, useDisk } = open()
  useDisk()
  const names = Array.from(
    { length: 2_500 },
    (_, i) => `session:${String((i * 7_919) % 2_500).padStart(4, '0')}`,
  )
  for (const name of names) standby.apply(name, record('x'))
  await write('session:0007')
  await eventually(() => expect(commits.flat()).toHaveLength(names.length))
  expect([...commits.flat()].sort()).toEqual([...names].sort())
  expect(commits[0]).toEqual(['session:0007'])
  const [, first = [], second = []] = commits
  expect(first.length).toBeGreaterThan(990)
  expect(first).toEqual([...first].sort())
  expect([...first, ...second].sort().slice(-first.length)).toEqual(first)
  copy.close()
})
