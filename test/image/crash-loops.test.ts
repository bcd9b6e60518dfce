// An app that dies, after whatever time, ends the container with a code the host's restart policy can see.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { boot, removeAll, until } from '../helpers/image.ts'

const folder = mkdtempSync(join(tmpdir(), 'samovar-'))
afterAll(async () => {
  await removeAll()
  rmSync(folder, { recursive: true })
})

/** A stand-in for dist/main.js that says it is ready and does this. */
function bootWith(name: string, body: string) {
  const file = join(folder, `${name}.js`)
  writeFileSync(file, `process.send?.('ready')\nconsole.log('app starts')\n${body}\n`)
  return boot({ files: [[file, '/app/dist/main.js']] })
}

async function outcome(samovar: Awaited<ReturnType<typeof bootWith>>, timeoutMs: number) {
  const code = await samovar.exitCode(timeoutMs)
  const { State } = await samovar.raw.inspect()
  const tookMs = Date.parse(State.FinishedAt) - Date.parse(State.StartedAt)
  const starts = (await samovar.log()).filter(({ text }) => text === 'app starts').length
  return { code, tookMs, starts }
}

test.concurrent.each([
  [100, 3, 40_000],
  [1200, 3, 40_000],
  [6000, 3, 60_000],
  // Up for 30 s is a start that went well for pm2, which would go on for ever: the fourth restart in two minutes ends it.
  [30_000, 4, 150_000],
])(
  'an app that dies after %i ms is started a few times, then the container ends',
  async (afterMs, atLeast, withinMs) => {
    const samovar = await bootWith(`dies-${afterMs}`, `setTimeout(() => process.exit(1), ${afterMs})`)
    const { code, tookMs, starts } = await outcome(samovar, withinMs + 20_000)
    expect(code).toBe(1)
    expect(tookMs).toBeLessThan(withinMs)
    expect(starts).toBeGreaterThanOrEqual(atLeast)
    expect(starts).toBeLessThanOrEqual(5)
  },
)

test.concurrent('an app that was well for long and begins to crash ends the container as well', async () => {
  // Well once, for longer than the half minute in which pm2 counts, then never again.
  const samovar = await bootWith(
    'old',
    `import { existsSync, writeFileSync } from 'node:fs'
     const old = existsSync('/tmp/old')
     writeFileSync('/tmp/old', '')
     setTimeout(() => process.exit(1), old ? 200 : 35_000)`,
  )
  const { code, tookMs, starts } = await outcome(samovar, 90_000)
  expect(code).toBe(1)
  expect(tookMs).toBeLessThan(70_000)
  expect(starts).toBeLessThanOrEqual(20)
})

test.concurrent('an app that refuses its configuration is not tried again, and the code is 78', async () => {
  const samovar = await bootWith('refuses', 'process.exit(78)')
  const { code, tookMs, starts } = await outcome(samovar, 30_000)
  expect([code, starts]).toEqual([78, 1])
  expect(tookMs).toBeLessThan(20_000)
})

test.concurrent('a killed pm2 ends the container', async () => {
  const samovar = await bootWith('well', 'setInterval(() => {}, 1000)')
  await until('the app runs', 20_000, async () => (await samovar.text()).includes('app starts'))
  await samovar.exec(
    'for p in /proc/[0-9]*; do grep -qz pm2-runtime $p/cmdline && kill -9 $' + '{p#/proc/}; done; true',
  )
  expect((await outcome(samovar, 20_000)).code).toBe(1)
})
