// The smallest plan: 512 MiB and a quarter of a core.
import { setTimeout as sleep } from 'node:timers/promises'
import { besideBareStarts } from '../helpers/bare-container.ts'
import { boot, createVolume, keepOn, removeAll, type Samovar, until } from '../helpers/image.ts'
import { recovered } from '../helpers/image-state.ts'

const LIMITS = { memoryMb: 512, cpus: 0.25 }
// From the start of the container until it is ready, in starts of a bare Node server; measured were 30 to 45.
const MOST_BARE_STARTS = 90
const REQUESTS = 2000
const CLIENTS = 40
// Beside busy neighbours even a healthy Redis may get no turn for a whole budget, once in a round or two.
const MOST_ROUNDS = 5

afterAll(removeAll)

async function idleMib(samovar: Samovar): Promise<number> {
  const { memory_stats: memory } = await samovar.raw.stats({ stream: false })
  const inactive = memory.stats.total_inactive_file ?? memory.stats.inactive_file ?? 0
  return (memory.usage - inactive) / 1024 / 1024
}

/** Many clients ask: what they were answered, how often Redis was left, and what stats said. */
async function load(samovar: Samovar) {
  const { activations } = (await samovar.stats()).fallback
  // What stats say is sampled all through the load; one look afterwards could miss a short fall.
  const seen = new Set<string>()
  const stopWatching = keepOn(async () => {
    seen.add((await samovar.stats()).status)
    await sleep(100)
  })
  const statuses: Record<string, number> = {}
  let left = REQUESTS
  const client = async () => {
    while (left-- > 0) {
      const answer = await fetch(`${samovar.origin()}/api/countries?lang=ru`).then(
        (response) => response.arrayBuffer().then(() => response.status),
        String,
      )
      statuses[answer] = (statuses[answer] ?? 0) + 1
    }
  }
  await Promise.all(Array.from({ length: CLIENTS }, client))
  await stopWatching()
  const timesLeft = (await samovar.stats()).fallback.activations - activations
  return { statuses, timesLeft, seen: [...seen] }
}

test('ready soon, at most 130 MiB idle, 2,000 requests without an error and without leaving Redis', async () => {
  const samovar = await boot({ ...LIMITS, volume: await createVolume() })
  const { answer: readyMs, bareMs } = await besideBareStarts(LIMITS, samovar.firstAnswerMs('/readyz'))
  expect(readyMs / bareMs).toBeLessThan(MOST_BARE_STARTS)
  await samovar.status('redis')

  await sleep(3000)
  await until('at most 130 MiB idle', async () => (await idleMib(samovar)) <= 130, 20_000)

  // A Redis that is healthy and left is left in each round.
  let round = await load(samovar)
  for (let i = 1; round.timesLeft > 0 && i < MOST_ROUNDS; i++) {
    expect(round.statuses).toEqual({ 200: REQUESTS })
    await recovered(samovar)
    round = await load(samovar)
  }
  expect(round).toEqual({ statuses: { 200: REQUESTS }, timesLeft: 0, seen: ['redis'] })
})

test('it starts in 256 MiB, too', async () => {
  const samovar = await boot({ memoryMb: 256 })
  await samovar.status('redis')
  expect(await samovar.text()).toContain("the container's limit of 256 MiB")
})
