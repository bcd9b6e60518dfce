import { createPendingInvalidations } from '../../src/core/cache/pending-invalidations.ts'
import type { StateDisk } from '../../src/core/state/disk/state-disk.ts'

const many = Array.from({ length: 100_001 }, (_, i) => `key-${i}`)

function diskOf(rows: Set<string>) {
  const disk: Pick<StateDisk, 'deleted' | 'saveDeleted' | 'acknowledgeDeleted'> = {
    deleted: () => [...rows],
    saveDeleted: (keys: readonly string[]) => keys.forEach((key) => void rows.add(key)),
    acknowledgeDeleted: (keys: readonly string[]) => keys.forEach((key) => void rows.delete(key)),
  }
  return disk as StateDisk
}

test('too many keys count as everything, in memory and on disk, until that has been told', () => {
  const rows = new Set<string>()
  const deleted = createPendingInvalidations()
  deleted.participant.load(diskOf(rows))
  deleted.add(many.slice(0, 50_000))
  expect([deleted.isEverything(), deleted.has('another'), deleted.size()]).toEqual([false, false, 50_000])
  deleted.add(many.slice(50_000))
  expect([deleted.isEverything(), deleted.has('another'), deleted.size()]).toEqual([true, true, 1])
  expect(rows.size).toBe(1)

  const next = createPendingInvalidations()
  next.add(['mine'])
  next.participant.load(diskOf(rows))
  expect([next.isEverything(), next.size(), rows.size]).toEqual([true, 1, 1])
  next.acknowledge(next.entries())
  expect([next.isEverything(), next.size(), rows.size]).toEqual([false, 0, 0])
})

test('what is deleted while it is told is told again', () => {
  const deleted = createPendingInvalidations()
  deleted.add(many)
  const told = deleted.entries()
  deleted.add(['another'])
  deleted.acknowledge(told)
  expect(deleted.isEverything()).toBe(true)
})
