// The list of licences is the one of the lock file.
import { spawnSync } from 'node:child_process'

test('THIRD-PARTY.md is up to date', () => {
  const { status, stderr } = spawnSync('node', ['scripts/third-party.ts', '--check'], { encoding: 'utf8' })
  expect([status, stderr]).toEqual([0, ''])
})
