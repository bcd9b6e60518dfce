// docker stop under load, and docker start again.
import { request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { bootReady, createVolume, keepOn, removeAll, until } from '../helpers/image.ts'
import { recovered, serversUp } from '../helpers/image-state.ts'

// Docker gives a container 10 s of the wall clock. Here it has longer, and the bound is 10 s of the control clock.
const MOST_MS = 10_000

afterAll(removeAll)

type Outcome = 'whole' | 'cut' | 'refused'

/** One request on a connection of its own. "cut": the answer had begun and did not end. */
function ask(url: string): Promise<Outcome> {
  return new Promise((resolve) => {
    const call = request(url, { agent: false }, (response) => {
      response.on('end', () => resolve(response.complete ? 'whole' : 'cut'))
      response.on('error', () => resolve('cut'))
      response.resume()
    })
    call.on('error', () => resolve('refused'))
    call.end()
  })
}

test('a stop under load ends with 0 in under 10 s, cuts no answer, and the cache is warm at the next start', async () => {
  const samovar = await bootReady({ volume: await createVolume() })
  expect((await samovar.get('/api/countries')).status).toBe(200)
  await serversUp(samovar)

  const outcomes: Record<Outcome, number> = { whole: 0, cut: 0, refused: 0 }
  const url = `${samovar.origin()}/api/countries?lang=ru`
  const clients = Array.from({ length: 20 }, () =>
    keepOn(async () => {
      const outcome = await ask(url)
      outcomes[outcome]++
      if (outcome === 'refused') await sleep(20)
    }),
  )
  await until('the load is on', async () => outcomes.whole > 100)
  const { code, tookMs } = await samovar.stop()
  await Promise.all(clients.map((stop) => stop()))
  expect(code).toBe(0)
  expect(tookMs).toBeLessThan(MOST_MS)
  expect(outcomes.cut).toBe(0)

  await samovar.start()
  await recovered(samovar)
  const before = await samovar.stats()
  const answer = await samovar.get('/api/countries')
  expect(answer.status).toBe(200)
  const after = await samovar.stats()
  expect([after.misses - before.misses, after.hits - before.hits]).toEqual([0, 1])
})

test('a stop during the start ends soon, too', async () => {
  const samovar = await bootReady()
  await samovar.stop()
  // Close together at the beginning: there PID 1 changes hands, and a stop must not fall between them.
  for (const afterMs of [0, 20, 40, 60, 80, 100, 150, 200, 600, 1500]) {
    await samovar.start()
    await sleep(afterMs)
    const { code, tookMs } = await samovar.stop()
    expect(code).toBe(0)
    expect(tookMs).toBeLessThan(MOST_MS)
  }
})
