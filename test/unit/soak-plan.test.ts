// The plan of the soak's faults is the seed's, and leaves one long life; its command line refuses what it cannot mean.
import { faultsFor } from '../../bench/soak/faults.ts'
import { BadOptions, readOptions } from '../../bench/soak/options.ts'
import { planFaults } from '../../bench/soak/plan.ts'

const names = (seed: number, minutes = 30) =>
  planFaults({ seed, minutes, faults: faultsFor({ withRedeploys: true }) }).map(
    ({ atMs, fault }) => `${atMs} ${fault.name}`,
  )

test('the same seed is the same plan, another one is another', () => {
  expect(names(1)).toEqual(names(1))
  expect(names(1)).not.toEqual(names(2))
})

test('half an hour has every fault, in its order, and what ends the app only in its first part', () => {
  const faults = faultsFor({ withRedeploys: true })
  for (const seed of [1, 2, 3]) {
    const plan = planFaults({ seed, minutes: 30, faults })
    expect(new Set(plan.map(({ fault }) => fault.name)).size).toBe(faults.length)
    expect(plan.map(({ atMs }) => atMs)).toEqual(plan.map(({ atMs }) => atMs).toSorted((a, b) => a - b))
    const ends = plan.filter(({ fault }) => fault.endsApp).map(({ atMs }) => atMs)
    expect(Math.max(...ends)).toBeLessThan(12 * 60_000)
    // The guard ends a container whose app was restarted more than three times in two minutes.
    for (const [i, atMs] of ends.entries())
      if (i >= 3) expect(atMs - (ends[i - 3] as number)).toBeGreaterThan(120_000)
  }
})

test('redeploys can be left out', () => {
  expect(faultsFor({ withRedeploys: false }).filter(({ isRedeploy }) => isRedeploy)).toEqual([])
  expect(faultsFor({ withRedeploys: true }).filter(({ isRedeploy }) => isRedeploy)).toHaveLength(1)
})

test('the command line', () => {
  expect(readOptions([])).toMatchObject({
    minutes: 30,
    seed: 1,
    cpus: 0.5,
    memoryMb: 512,
    withRedeploys: true,
  })
  const words = ['--minutes', '2', '--memory', '1g', '--no-redeploys', '--plant', 'leak']
  expect(readOptions(words)).toMatchObject({
    minutes: 2,
    memoryMb: 1_024,
    withRedeploys: false,
    plant: 'leak',
  })
  expect(readOptions(['--help'])).toBe('help')
  for (const bad of [
    ['--minutes', 'x'],
    ['--minutes', '0'],
    ['--memory', '512'],
    ['--plant', 'all'],
    ['--sed', '1'],
  ])
    expect(() => readOptions(bad)).toThrow(BadOptions)
})
