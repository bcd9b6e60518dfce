// An app that dies, after whatever time, ends the container with a code the host's restart policy can see.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startStopwatch } from '../helpers/control-clock.ts'
import { boot, removeAll, until } from '../helpers/image.ts'

const folder = mkdtempSync(join(tmpdir(), 'samovar-'))
afterAll(async () => {
  await removeAll()
  rmSync(folder, { recursive: true })
})

/** Boots a stand-in for dist/main.js that says it is ready and does this; the function returned waits for the end. */
async function bootWith(name: string, body: string) {
  const file = join(folder, `${name}.js`)
  writeFileSync(file, `process.send?.('ready')\nconsole.log('app starts')\n${body}\n`)
  const samovar = await boot({ files: [[file, '/app/dist/main.js']] })
  const elapsedMs = await startStopwatch()
  async function outcome() {
    const code = await samovar.exitCode()
    const tookMs = elapsedMs()
    const starts = (await samovar.log()).filter(({ text }) => text === 'app starts').length
    return { code, tookMs, starts }
  }
  return { samovar, outcome }
}

/** The control: a container like the others, started beside them, whose app ends it with its first start. */
let refusing: ReturnType<typeof refuse> | undefined

async function refuse() {
  const { outcome } = await bootWith('refuses', 'process.exit(78)')
  return outcome()
}

/** The most time that starts and ends may take beside the app's own lives. */
async function mostMs(): Promise<number> {
  refusing ??= refuse()
  return 4 * (await refusing).tookMs + 10_000
}

test.concurrent.each([
  [100, 3],
  [1200, 3],
  [6000, 3],
  // Up for 30 s is a start that went well for pm2, which would go on for ever: the fourth restart in two
  // minutes ends it.
  [30_000, 4],
])(
  'an app that dies after %i ms is started a few times, then the container ends',
  async (afterMs, atLeast) => {
    const { outcome } = await bootWith(`dies-${afterMs}`, `setTimeout(() => process.exit(1), ${afterMs})`)
    const [{ code, tookMs, starts }, boundMs] = await Promise.all([outcome(), mostMs()])
    expect(code).toBe(1)
    expect(starts).toBeGreaterThanOrEqual(atLeast)
    expect(starts).toBeLessThanOrEqual(5)
    expect(tookMs - starts * afterMs).toBeLessThan(boundMs)
  },
)

test.concurrent('an app that was well for long and begins to crash ends the container as well', async () => {
  // Well once, for longer than the half minute in which pm2 counts, then never again.
  const { outcome } = await bootWith(
    'old',
    `import { existsSync, writeFileSync } from 'node:fs'
     const old = existsSync('/tmp/old')
     writeFileSync('/tmp/old', '')
     setTimeout(() => process.exit(1), old ? 200 : 35_000)`,
  )
  const [{ code, tookMs, starts }, boundMs] = await Promise.all([outcome(), mostMs()])
  expect(code).toBe(1)
  expect(tookMs - 35_000).toBeLessThan(boundMs)
  expect(starts).toBeLessThanOrEqual(20)
})

test.concurrent('an app that refuses its configuration is not tried again, and the code is 78', async () => {
  refusing ??= refuse()
  const { code, starts } = await refusing
  expect([code, starts]).toEqual([78, 1])
})

test.concurrent('a killed pm2 ends the container', async () => {
  const { samovar, outcome } = await bootWith('well', 'setInterval(() => {}, 1000)')
  await until('the app runs', async () => (await samovar.text()).includes('app starts'))
  // In brackets: without them it would find the shell that runs it as well, and kill that first now and then.
  await samovar.exec(
    'for p in /proc/[0-9]*; do grep -qz [p]m2-runtime $p/cmdline && kill -9 $' + '{p#/proc/}; done; true',
  )
  expect((await outcome()).code).toBe(1)
})
