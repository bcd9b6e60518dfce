// Both Redis servers killed, frozen, and unable to start: the app goes on serving, and Redis always comes back.
import { setTimeout as sleep } from 'node:timers/promises'
import { type Stopwatch, startStopwatch } from '../helpers/control-clock.ts'
import { bootReady, keepOn, removeAll, type Samovar, until } from '../helpers/image.ts'
import {
  allowServers,
  bothAway,
  recovered,
  serversUp,
  signalBoth,
  takeServersAway,
} from '../helpers/image-state.ts'

afterAll(removeAll)

/** Asks all the while; the function returned ends it and gives the answers that were not 200, with the log. */
function askingOn(samovar: Samovar): () => Promise<string[]> {
  const bad: string[] = []
  const stop = keepOn(async () => {
    const answer = await samovar.get('/api/countries').then((response) => response.status, String)
    if (answer !== 200) bad.push(String(answer))
    await sleep(50)
  })
  return async () => {
    await stop()
    // What the container says of it is gone with the container.
    return bad.length > 0 ? [...bad, await samovar.text()] : bad
  }
}

test.concurrent('both killed at once: 200 all the while, memory, and Redis again within 15 s, by supervisord', async () => {
  const samovar = await bootReady()
  await serversUp(samovar)
  const stopAsking = askingOn(samovar)
  const elapsedMs = await startStopwatch()
  await signalBoth(samovar, 'KILL')
  await until('both roles have noticed', async () => (await samovar.stats()).fallback.activations === 2)
  await recovered(samovar)
  expect(elapsedMs()).toBeLessThan(15_000)
  expect(await stopAsking()).toEqual([])
  const log = await samovar.text()
  for (const name of ['redis', 'redis-state']) expect(log.split(`spawned: '${name}'`)).toHaveLength(3)
})

test.concurrent('both frozen and left so: killed by the guard after 10 s, and back within 40 s', async () => {
  const samovar = await bootReady()
  await serversUp(samovar)
  const stopAsking = askingOn(samovar)
  const servers = () => Promise.all([samovar.pid('redis-cache'), samovar.pid('redis-state')])
  const before = await servers()
  const elapsedMs = await startStopwatch()
  await signalBoth(samovar, 'STOP')
  await bothAway(samovar)
  await until('two new servers', async () =>
    (await servers()).every((pid, index) => pid !== '' && pid !== before[index]),
  )
  await recovered(samovar)
  expect(elapsedMs()).toBeLessThan(40_000)
  expect(await stopAsking()).toEqual([])
  expect(await samovar.text()).toMatch(/redis-cache \(pid \d+\) gave no answer/)
})

const NAMES = ['redis-cache', 'redis-state'] as const

/** What run-redis says of its failed attempts, each with the time at which it was seen by the control clock. */
function watchAttempts(samovar: Samovar, elapsedMs: Stopwatch) {
  const seen = { 'redis-cache': [] as Attempt[], 'redis-state': [] as Attempt[] }
  keepOn(async () => {
    const log = await samovar.log()
    for (const name of NAMES) {
      const lines = log.filter(({ text }) => text.startsWith(`${name}: did not start`))
      for (const { text } of lines.slice(seen[name].length))
        seen[name].push({ atMs: elapsedMs(), nextInS: Number(/next attempt in ([\d.]+) s/.exec(text)?.[1]) })
    }
    await sleep(100)
  })
  return seen
}

interface Attempt {
  readonly atMs: number
  readonly nextInS: number
}

// Six attempts instead of the three minutes of an operator's bad day: by then the back-off has reached its cap (0.5, 1,
// 2, 4, 7, 7, … s), so that every later one would be the same again.
test.concurrent('unable to start: served from memory, attempts at most 10 s apart, taken up with the next one', async () => {
  const samovar = await bootReady()
  await serversUp(samovar)
  const stopAsking = askingOn(samovar)
  const attempts = watchAttempts(samovar, await startStopwatch())
  await takeServersAway(samovar)
  await until('six attempts of each', async () => NAMES.every((name) => attempts[name].length >= 6))
  expect((await samovar.stats()).status).toBe('memory')
  await allowServers(samovar, true)
  await recovered(samovar, 30_000)
  expect(await stopAsking()).toEqual([])

  for (const name of NAMES) {
    expect(Math.max(...attempts[name].map(({ nextInS }) => nextInS))).toBe(7)
    const gaps = attempts[name].slice(1).map(({ atMs }, index) => atMs - attempts[name][index]!.atMs)
    // Each delay and the second that an attempt takes, and what a slow machine adds to them.
    expect(Math.max(...gaps)).toBeLessThan(20_000)
  }
  expect(await samovar.text()).not.toMatch(/FATAL/)
})
