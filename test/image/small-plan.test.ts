// The smallest plan: 512 MiB and a quarter of a core.
import { setTimeout as sleep } from 'node:timers/promises'
import { boot, createVolume, keepOn, removeAll, until } from '../helpers/image.ts'

afterAll(removeAll)

test('ready within 6 s, at most 130 MiB idle, 2,000 requests without an error and without leaving Redis', async () => {
  const samovar = await boot({ memoryMb: 512, cpus: 0.25, volume: await createVolume() })
  await until('ready', 30_000, async () => (await samovar.get('/readyz')).status === 200)
  const readyAfterMs = Date.now() - samovar.startedAtMs()
  await samovar.status('redis', 10_000)

  await sleep(10_000)
  const { memory_stats: memory } = await samovar.raw.stats({ stream: false })
  const inactive = memory.stats.total_inactive_file ?? memory.stats.inactive_file ?? 0
  const idleMib = (memory.usage - inactive) / 1024 / 1024

  // What stats say is sampled all through the load; one look afterwards could miss a short fall.
  const seen = new Set<string>()
  const stopWatching = keepOn(async () => {
    seen.add((await samovar.stats()).status)
    await sleep(100)
  })
  const statuses: Record<string, number> = {}
  let left = 2000
  const client = async () => {
    while (left-- > 0) {
      const answer = await samovar
        .get('/api/countries?lang=ru', { signal: AbortSignal.timeout(20_000) })
        .then((response) => response.arrayBuffer().then(() => response.status), String)
      statuses[answer] = (statuses[answer] ?? 0) + 1
    }
  }
  await Promise.all(Array.from({ length: 20 }, client))
  await stopWatching()

  expect(statuses).toEqual({ 200: 2000 })
  expect([...seen]).toEqual(['redis'])
  expect((await samovar.stats()).fallback.activations).toBe(0)
  expect(idleMib).toBeLessThanOrEqual(130)
  expect(readyAfterMs).toBeLessThanOrEqual(6000)
})

test('it starts in 256 MiB, too', async () => {
  const samovar = await boot({ memoryMb: 256 })
  await samovar.status('redis', 30_000)
  expect(await samovar.text()).toContain("the container's limit of 256 MiB")
})
