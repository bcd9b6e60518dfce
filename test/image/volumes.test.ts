// Every shape of volume that Redis itself would open with no keys and no error: all keys, or a refusal in a sentence.
import { boot, bootReady, createVolume, removeAll, type Samovar } from '../helpers/image.ts'

afterAll(removeAll)

const KEYS = 2000
const cli = 'redis-cli -s /run/samovar/redis-state.sock'
const kept = async (samovar: Samovar) =>
  Number(await samovar.exec(`${cli} --scan --pattern 'kept:*' | wc -l`))

/** A volume with keys in redis-state, and then this done to its files by a container that serves from memory. */
async function volumeWith(change: string): Promise<string> {
  const volume = await createVolume()
  const samovar = await bootReady({ volume })
  await samovar.exec(`seq ${KEYS} | sed 's/.*/SET kept:& &/' | ${cli} --pipe`)
  expect(await kept(samovar)).toBe(KEYS)
  await samovar.exec(
    `${cli} BGREWRITEAOF; until ${cli} INFO persistence | grep -q in_progress:0; do sleep 0.1; done`,
  )
  await samovar.exec(`seq ${KEYS} | sed 's/.*/SET kept:& &/' | ${cli} --pipe`)
  expect((await samovar.stop()).code).toBe(0)
  const surgeon = await boot({ volume, env: { REDIS_URL: 'off' } })
  await surgeon.status('memory', 20_000)
  await surgeon.exec(`cd /data/state && ${change}`)
  await surgeon.stop()
  return volume
}

test('a damaged end and a damaged middle are cut off, a copy is kept, and it is said loudly', async () => {
  const volume = await volumeWith(
    'f=$(ls appendonlydir/*.incr.aof) && dd if=/dev/urandom of=$f bs=1 seek=$(($(stat -c %s $f) / 2)) count=200 conv=notrunc',
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
  await samovar.status('redis', 20_000)
  expect(await kept(samovar)).toBe(KEYS)
})

test('a dump beside an append-only file is refused in a sentence, and the app serves', async () => {
  const samovar = await boot({ volume: await volumeWith('cp appendonlydir/*.base.rdb dump.rdb') })
  await samovar.status('memory', 20_000)
  expect((await samovar.get('/api/countries')).status).toBe(200)
  expect(await samovar.text()).toMatch(/redis-state: refuses to start: .*both dump.rdb and appendonlydir/)
  await samovar.exec('rm /data/state/dump.rdb')
  await samovar.status('redis', 15_000)
  expect(await kept(samovar)).toBe(KEYS)
})
