// Random operations, faults and clock steps, from seeds: what the stores answer is what the model allows.
import { openRedisCopier, type RedisCopier } from '../helpers/redis-copy.ts'
import { startRedis, type TestRedis } from '../helpers/redis-server.ts'
import type { Parts } from './app.ts'
import { bugs } from './bugs.ts'
import { play, Violation } from './play.ts'
import { seedsToPlay } from './seeds.ts'

const seeds = seedsToPlay()
const STEPS = 500
const KILLED_EVERY = 21 // odd, so that seeds of both kinds are
const SEEDS_FOR_A_BUG = 30

let redis: TestRedis
let copier: RedisCopier
beforeAll(async () => {
  redis = await startRedis()
  copier = await openRedisCopier(redis.url, 'samovar:state:*') // the cache comes back empty, as the image's does
})
afterAll(async () => {
  copier.close()
  await redis.stop()
})

test(`${seeds.length} seeds from ${seeds[0]} on, of ${STEPS} steps`, async () => {
  let outages = 0
  for (const seed of seeds) {
    const kills = seed % KILLED_EVERY === 0 ? 2 : 0
    outages += await play({ seed, steps: STEPS, redisPort: redis.port, copier, kills })
  }
  process.stdout.write(`model: ${seeds.length} seeds of ${STEPS} steps with ${outages} outages\n`)
})

describe('each planted bug is found', () => {
  test.each(Object.entries(bugs))('%s', async (name, { parts, foundIn }) => {
    const found = await firstViolation(parts)
    expect(found?.violation.question).toMatch(foundIn)
    process.stdout.write(`model: ${name} found by seed ${found?.seed}: ${found?.violation.question}\n`)
  })
})

async function firstViolation(parts: Parts) {
  for (let seed = 1; seed <= SEEDS_FOR_A_BUG; seed += 1) {
    try {
      await play({ seed, steps: STEPS, redisPort: redis.port, copier, parts })
    } catch (violation) {
      if (!(violation instanceof Violation)) throw violation
      return { seed, violation }
    }
  }
  return undefined
}
