// Shapes of volume that Redis itself would open with no keys and no error, or never. All others that it may find are in
// test/integration/redis-files.test.ts.
import { bootBare } from '../helpers/bare-container.ts'
import { bootReady, createVolume, removeAll, type Samovar } from '../helpers/image.ts'
import { rewrite } from '../helpers/image-state.ts'

afterAll(removeAll)

const KEYS = 2000
const cli = 'redis-cli -s /run/samovar/redis-state.sock'
/** How many of the keys there are; fails with what was said where nobody could be asked. */
async function kept(samovar: Samovar): Promise<number> {
  const said = await samovar.exec(
    `names=$(${cli} --scan --pattern 'kept:*') && echo "$names" | grep -c kept:`,
  )
  if (!/^\d+$/.test(said)) throw new Error(`${said}\n${await samovar.text()}`)
  return Number(said)
}

let whole: string

// A volume with keys in redis-state, in the base of its append-only file and in its increment.
beforeAll(async () => {
  whole = await createVolume()
  const samovar = await bootReady({ volume: whole })
  await samovar.exec(`seq ${KEYS} | sed 's/.*/SET kept:& &/' | ${cli} --pipe`)
  expect(await kept(samovar)).toBe(KEYS)
  await rewrite(samovar)
  await samovar.exec(`seq ${KEYS} | sed 's/.*/SET kept:& &/' | ${cli} --pipe`)
  expect((await samovar.stop()).code).toBe(0)
})

/** A copy of it, with this done to its files. */
async function volumeWith(change: string): Promise<string> {
  const volume = await createVolume()
  const surgeon = await bootBare({ volume, files: [[whole, '/whole']] })
  const said = await surgeon.exec(`cp -a /whole/. /data && cd /data/state && ${change} && echo done`, 'root')
  if (!said.endsWith('done')) throw new Error(`the volume could not be prepared: ${said}`)
  await surgeon.kill()
  return volume
}

test('a damaged end and a damaged middle are cut off, a copy is kept, and it is said loudly', async () => {
  const volume = await volumeWith(
    'f=$(ls appendonlydir/*.incr.aof) && ' +
      'dd if=/dev/urandom of=$f bs=1 seek=$(($(stat -c %s $f) / 2)) count=200 conv=notrunc',
  )
  const samovar = await bootReady({ volume })
  expect(await kept(samovar)).toBe(KEYS)
  expect(await samovar.text()).toMatch(/redis-state: ALERT .*damaged.*\/data\/quarantine\//)
  expect(await samovar.exec('ls /data/quarantine/*/appendonlydir')).toContain('incr.aof')
})

test('a missing manifest is written anew', async () => {
  const samovar = await bootReady({ volume: await volumeWith('rm appendonlydir/*.manifest') })
  expect(await kept(samovar)).toBe(KEYS)
})

test('a dump without an append-only file is converted', async () => {
  const volume = await volumeWith('cp appendonlydir/*.base.rdb dump.rdb && rm -r appendonlydir')
  const samovar = await bootReady({ volume })
  expect(await kept(samovar)).toBe(KEYS)
  // The app's own keys are among them: how far Redis has come, and the schedules of the jobs.
  const converted = Number(/converted dump.rdb \((\d+) keys\)/.exec(await samovar.text())?.[1])
  expect(converted).toBeGreaterThan(KEYS)
  expect(converted).toBeLessThan(KEYS + 100)
  expect((await samovar.stop()).code).toBe(0)
  await samovar.start()
  await samovar.status('redis')
  expect(await kept(samovar)).toBe(KEYS)
})

test('a dump beside an append-only file is set aside, and the append-only file is used', async () => {
  const samovar = await bootReady({ volume: await volumeWith('cp appendonlydir/*.base.rdb dump.rdb') })
  expect(await kept(samovar)).toBe(KEYS)
  expect(await samovar.text()).toMatch(
    /redis-state: dump.rdb beside an append-only file: .* in \/data\/quarantine\//,
  )
})

test('a command that is none: Redis says so at each start, the checker does not, and it is cut off', async () => {
  const volume = await volumeWith("sed -i '0,/SET\\r/s//SEX\\r/' appendonlydir/*.incr.aof")
  const samovar = await bootReady({ volume })
  expect(await kept(samovar)).toBe(KEYS)
  expect(await samovar.text()).toMatch(/redis-state: ALERT .*Unknown command 'SEX'.* cut to its sound part/)
})
