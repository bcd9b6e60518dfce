// Both Redis servers killed, frozen, and unable to start: the app goes on serving, and Redis always comes back.
import { setTimeout as sleep } from 'node:timers/promises'
import { bootReady, keepOn, removeAll, type Samovar, until } from '../helpers/image.ts'

afterAll(removeAll)

const signalBoth = (samovar: Samovar, signal: string) =>
  samovar.exec(`kill -${signal} $(cat /run/samovar/redis-cache.pid) $(cat /run/samovar/redis-state.pid)`)

/** Asks all the while; the function returned ends it and gives the answers that were not 200. */
function askingOn(samovar: Samovar): () => Promise<string[]> {
  const bad: string[] = []
  const stop = keepOn(async () => {
    const answer = await samovar.get('/api/countries').then((response) => response.status, String)
    if (answer !== 200) bad.push(String(answer))
    await sleep(50)
  })
  return () => stop().then(() => bad)
}

test('both killed at once: 200 all the while, memory, and Redis again within 15 s, by supervisord', async () => {
  const samovar = await bootReady()
  await sleep(5000) // a server counts as up once it has lived for 3 s and answered
  const stopAsking = askingOn(samovar)
  const killedAtMs = performance.now()
  await signalBoth(samovar, 'KILL')
  await samovar.status('memory', 3000)
  await samovar.status('redis', 15_000)
  expect(performance.now() - killedAtMs).toBeLessThan(15_000)
  expect(await stopAsking()).toEqual([])
  const log = await samovar.text()
  for (const name of ['redis', 'redis-state']) expect(log.split(`spawned: '${name}'`)).toHaveLength(3)
})

test('both frozen and left so: killed by the guard and back within 20 s', async () => {
  const samovar = await bootReady()
  await sleep(5000)
  const stopAsking = askingOn(samovar)
  const servers = () => Promise.all([samovar.pid('redis-cache'), samovar.pid('redis-state')])
  const before = await servers()
  await signalBoth(samovar, 'STOP')
  const frozenAtMs = performance.now()
  await until('two new servers', 20_000, async () =>
    (await servers()).every((pid, index) => pid !== '' && pid !== before[index]),
  )
  await samovar.status('redis', 20_000)
  expect(performance.now() - frozenAtMs).toBeLessThan(20_000)
  expect(await stopAsking()).toEqual([])
  expect(await samovar.text()).toMatch(/redis-cache \(pid \d+\) gave no answer/)
})

// 40 s instead of the three minutes of an operator's bad day: by then the back-off has long reached its cap (0.5, 1,
// 2, 4, 8, 8, … s), so that every later minute would be the same again.
test('unable to start: served from memory, attempts at most 10 s apart, taken up within 12 s of the return', async () => {
  const samovar = await bootReady()
  await sleep(5000)
  const binary = '$(readlink -f /usr/bin/redis-server)'
  await samovar.exec(`chmod a-x ${binary}`, 'root')
  const stopAsking = askingOn(samovar)
  await signalBoth(samovar, 'KILL')
  await samovar.status('memory', 5000)
  await sleep(40_000)
  expect((await samovar.stats()).status).toBe('memory')
  await samovar.exec(`chmod a+x ${binary}`, 'root')
  const returnedAtMs = performance.now()
  await samovar.status('redis', 12_000)
  expect(performance.now() - returnedAtMs).toBeLessThan(12_000)
  expect(await stopAsking()).toEqual([])

  const log = await samovar.log()
  for (const name of ['redis-cache', 'redis-state']) {
    const attempts = log
      .filter(({ text }) => text.startsWith(`${name}: did not start`))
      .map(({ atMs }) => atMs)
    expect(attempts.length).toBeGreaterThanOrEqual(6)
    const gaps = attempts.slice(1).map((atMs, index) => atMs - attempts[index]!)
    expect(Math.max(...gaps)).toBeLessThanOrEqual(10_000)
  }
  expect(log.map(({ text }) => text).join('\n')).not.toMatch(/FATAL/)
})
