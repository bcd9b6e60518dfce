// Small things that outlive the process: whose word counts when the disk comes, and comes back.
import { createMetadata } from '../../src/core/state/disk/metadata.ts'
import type { StateDisk } from '../../src/core/state/disk/state-disk.ts'

const diskWith = (names: Record<string, string>) =>
  ({
    metadata: (name: string) => names[name],
    setMetadata(name: string, value: string) {
      names[name] = value
    },
  }) as StateDisk

test('what was set before the disk is ours goes there; what it has is known after it is given up', () => {
  const names: Record<string, string> = { process: 'p', epoch: 'old' }
  const metadata = createMetadata()
  metadata.set('epoch', 'new')
  metadata.participant.load(diskWith(names))
  expect([metadata.get('epoch'), metadata.get('process'), names.epoch]).toEqual(['new', 'p', 'new'])
  metadata.participant.persist()
  expect([metadata.get('epoch'), metadata.get('process')]).toEqual(['new', 'p'])
})

test('a disk that comes back from another container knows more', () => {
  const metadata = createMetadata()
  metadata.participant.load(diskWith({}))
  metadata.set('epoch', 'ours')
  metadata.set('only-ours', 'kept')
  metadata.participant.persist()
  const names: Record<string, string> = { epoch: 'theirs' }
  metadata.participant.load(diskWith(names))
  expect([metadata.get('epoch'), metadata.get('only-ours')]).toEqual(['theirs', 'kept'])
  expect(names).toEqual({ epoch: 'theirs', 'only-ours': 'kept' })
})
