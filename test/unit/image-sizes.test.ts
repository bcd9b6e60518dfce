import { dataDirProblem } from '../../src/lib/environment/data-dir.ts'
import { neededFor, sizesBesideServer, sizesOf } from '../../src/lib/environment/image-sizes.ts'
import { volumeWarning } from '../../src/lib/environment/mounts.ts'
import { portProblem } from '../../src/lib/environment/port-problem.ts'

const BIG = 65_536

test('one process: as docs/operating.md has it', () => {
  for (const [limitMb, cacheMb, stateMb, heapMb, budgetMb] of [
    [256, 28, 15, 55, 23],
    [512, 85, 46, 162, 65],
    [1_024, 197, 107, 377, 151],
    [2_048, 423, 230, 807, 323],
  ] as const)
    expect(sizesOf({ limitMb, hostMb: BIG }, 1)).toMatchObject({
      cacheMb,
      stateMb,
      heapMb,
      budgetMb,
      warnings: [],
    })
})

test.each([
  ['the small plan', { limitMb: 256, hostMb: BIG }, 2, 1],
  ['a big host without a limit', { limitMb: undefined, hostMb: BIG }, 8, 2],
  ['512 MiB', { limitMb: 512, hostMb: BIG }, 64, 2],
  ['1 GiB', { limitMb: 1_024, hostMb: BIG }, 16, 5],
  ['a limit above what the host has', { limitMb: BIG * 2, hostMb: 256 }, 4, 1],
])('%s has no more processes than have the heap to start, and says so', (_name, machine, wanted, workers) => {
  const sizes = sizesOf(machine, wanted)
  expect(sizes.workers).toBe(workers)
  if (workers > 1) expect(sizes.heapMb / workers).toBeGreaterThanOrEqual(48)
  expect(sizes.warnings).toEqual([
    expect.stringMatching(/^WEB_CONCURRENCY is \d+, and .* (?:is|are) enough for \d+: /),
  ])
})

test('with the memory that the sentence names, so many are started', () => {
  for (const wanted of [2, 3, 8, 16]) {
    const [sentence = ''] = sizesOf({ limitMb: 256, hostMb: BIG }, wanted).warnings
    const needed = Number(/need (\d+) MiB/.exec(sentence)?.[1])
    expect(sizesOf({ limitMb: needed, hostMb: BIG }, wanted)).toMatchObject({ workers: wanted, warnings: [] })
    expect(sizesOf({ limitMb: needed - 5, hostMb: BIG }, wanted).workers).toBeLessThan(wanted)
  }
})

test('a server beside the app is a process more, of which no sentence speaks as of one of ours', () => {
  expect(sizesBesideServer({ limitMb: 512, hostMb: BIG }, 1)).toMatchObject({ workers: 1, warnings: [] })
  const { workers, warnings } = sizesBesideServer({ limitMb: 512, hostMb: BIG }, 2)
  expect([workers, warnings]).toEqual([
    1,
    [expect.stringMatching(/^WEB_CONCURRENCY is 2, .* enough for 1: /)],
  ])
  expect(sizesBesideServer({ limitMb: neededFor(2), hostMb: BIG }, 1).workers).toBe(1)
  for (const limitMb of [256, 300, 354, neededFor(2) - 5])
    expect(sizesBesideServer({ limitMb, hostMb: BIG }, 1).workers).toBe(0)
})

test('a data directory that is none', () => {
  const inImage = (path: string) => dataDirProblem(path, '/run/samovar')
  for (const path of ['./data', 'data', '~/data', 'C:\\data'])
    expect(inImage(path)).toContain('must be an absolute path')
  for (const path of ['/', '/etc', '/app/', '//', '/usr/../etc'])
    expect(inImage(path)).toContain('a directory of its own')
  expect(inImage('/run/samovar/data')).toContain('must not be in /run/samovar')
  expect(inImage('/data\n2')).toContain('a line break')
  for (const path of ['/data', '/data/my app', "/it's", '/mnt/"x"', '/app/data'])
    expect(inImage(path)).toBeUndefined()
  expect(dataDirProblem('./data', undefined)).toBeUndefined()
})

test('a data directory that is lost with the container', () => {
  const mounts = `22 1 0:21 / / rw,relatime master:1 - overlay overlay rw
30 22 8:1 /vol /data rw,relatime - ext4 /dev/sda1 rw
31 22 0:30 / /tmp rw - tmpfs tmpfs rw
32 22 8:1 /v /mnt/my\\040app rw - ext4 /dev/sda1 rw
33 22 0:5 / /proc rw - proc proc rw`
  expect(volumeWarning(mounts, '/data')).toBeUndefined()
  expect(volumeWarning(mounts, '/data/inner')).toBeUndefined()
  expect(volumeWarning(mounts, '/mnt/my app/x')).toBeUndefined()
  expect(volumeWarning(mounts, '/database')).toContain('DATA_DIR, /database, is no volume')
  expect(volumeWarning(mounts, '/app/data')).toContain('is no volume')
  expect(volumeWarning(mounts, '/tmp/data')).toContain('in memory (tmpfs)')
  expect(volumeWarning('', '/data')).toBeUndefined()
})

test('a port that cannot be opened is one sentence', () => {
  expect(portProblem(80, 'EACCES')).toMatch(
    /^port 80 may not be opened here: set PORT .*ip_unprivileged_port_start/,
  )
  expect(portProblem(8080, 'EADDRINUSE')).toBe('port 8080 is taken by another program: stop it, or set PORT')
  expect(portProblem(8080, 'EMFILE')).toBeUndefined()
})
