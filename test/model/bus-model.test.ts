// Random publishes, joins, goings, and faults of Redis and of the network: no subscriber is given a message twice or
// out of order in an epoch, and what it was not given was announced.
import { startRedis, type TestRedis } from '../helpers/redis-server.ts'
import { bugs } from './bus-bugs.ts'
import { playBus, Violation } from './bus-play.ts'
import { seedsToPlay } from './seeds.ts'

const STEPS = 10_000
const SEEDS_FOR_A_BUG = 5
const STEPS_FOR_A_BUG = 2_000

let redis: TestRedis
beforeAll(async () => {
  redis = await startRedis('--appendonly', 'yes', '--appendfsync', 'always')
})
afterAll(() => redis.stop())

test.each(seedsToPlay({ every: 50 }))(`seed %i, ${STEPS} steps`, async (seed) => {
  const tally = await playBus({ seed, steps: STEPS, redis })
  process.stdout.write(`bus model, seed ${seed}: ${JSON.stringify(tally)}\n`)
  expect(Object.keys(tally.gaps)).toEqual(expect.arrayContaining(['epoch', 'behind']))
})

describe('each planted bug is found', () => {
  test.each(Object.entries(bugs))('%s', async (_name, { parts, foundIn }) => {
    const found = await firstViolation(parts)
    expect(found?.message).toMatch(foundIn)
  })
})

async function firstViolation(busParts: Parameters<typeof playBus>[0]['busParts']) {
  for (let seed = 1; seed <= SEEDS_FOR_A_BUG; seed += 1) {
    try {
      await playBus({ seed, steps: STEPS_FOR_A_BUG, redis, ...(busParts && { busParts }) })
    } catch (violation) {
      if (!(violation instanceof Violation)) throw violation
      return violation
    }
  }
  return undefined
}
