// A redeploy: for a moment two containers have one /data. The newcomer serves from memory, the holder hands over. Under
// load, and with faults: redeploy.test.ts.
import { startStopwatch } from '../helpers/control-clock.ts'
import { boot, bootReady, createVolume, removeAll, type Samovar, until } from '../helpers/image.ts'
import {
  clear,
  clearsCounted,
  expectSessions,
  plantSessions,
  recovered,
  sessionsOf,
} from '../helpers/image-state.ts'

afterAll(removeAll)

// Writes to redis-state as fast as it acknowledges, until the server goes away; prints what was acknowledged.
const WRITER = `
import { connect } from 'node:net'
let acknowledged = 0
const write = () => {
  const key = 'ledger:' + acknowledged
  socket.write('*3\\r\\n$3\\r\\nSET\\r\\n$' + key.length + '\\r\\n' + key + '\\r\\n$1\\r\\nx\\r\\n')
}
const end = () => {
  console.log(acknowledged)
  process.exit(0)
}
const socket = connect('/run/samovar/redis-state.sock', write).on('error', end).on('close', end)
socket.on('data', (reply) => {
  if (String(reply) !== '+OK\\r\\n') return end()
  acknowledged++
  write()
})`

const word = (samovar: Samovar) => samovar.exec('cat /run/samovar/data')

async function writersBelowData(samovar: Samovar): Promise<string> {
  const command = `for f in /proc/[0-9]*/fd/*; do case $(readlink $f) in /data/samovar.lock*) ;; /data/*)
     info=$(echo $f | sed s,/fd/,/fdinfo/,)
     grep -q 'flags:.*[12]$' $info && readlink $f;; esac; done 2>/dev/null; true`
  // Each user sees what it has open itself, and root without SYS_PTRACE nobody's.
  return (await samovar.exec(command, 'samovar')) + (await samovar.exec(command, 'samovar-redis'))
}

test('the holder hands over within 10 s and nothing that redis-state acknowledged is lost', async () => {
  const volume = await createVolume()
  const old = await bootReady({ volume })
  const ledger = old.exec(`cat > /tmp/writer.mjs <<'END'\n${WRITER}\nEND\nnode /tmp/writer.mjs`)
  await until(
    'the ledger has entries',
    async () => Number(await old.exec('redis-cli -s /run/samovar/redis-state.sock DBSIZE')) > 500,
  )

  const young = await boot({ volume })
  await until('the newcomer waits', async () => (await young.text()).includes('redis-state: waits'))
  await until('it is ready, and asks for the data', async () => (await word(old)) !== 'held', undefined, 20)
  const waitingMs = await startStopwatch()
  await until('the newcomer holds the data', async () => (await word(young)) === 'held')
  expect(waitingMs()).toBeLessThan(10_000)
  await until('the newcomer serves', async () => (await young.get('/api/countries')).status === 200)
  expect(await word(old)).toBe('released')
  expect(await writersBelowData(old)).toBe('')

  await young.status('redis')
  const acknowledged = Number(await ledger)
  expect(acknowledged).toBeGreaterThan(500)
  const keys = await young.exec(
    'redis-cli -s /run/samovar/redis-state.sock --scan --pattern "ledger:*" | wc -l',
  )
  expect(Number(keys)).toBeGreaterThanOrEqual(acknowledged)

  // The old one goes on from memory, and does not come back to the files while somebody else has them.
  expect((await old.get('/api/countries')).status).toBe(200)
  expect((await old.stats()).status).toBe('memory')
  expect((await old.stop()).code).toBe(0)
  expect(await word(young)).toBe('held')
  expect((await young.stats()).status).toBe('redis')
})

test('a newcomer whose holder is killed has the data at once', async () => {
  const volume = await createVolume()
  const old = await bootReady({ volume })
  await old.kill()
  const young = await bootReady({ volume })
  expect(await word(young)).toBe('held')
})

test('a redeploy in an outage: the new one only reads samovar.db, the old one closes it, nothing is lost', async () => {
  const databaseOf = (samovar: Samovar) =>
    samovar.exec('cd /data && md5sum samovar.db* && stat -c "%n %Y %s" samovar.db*')
  const volume = await createVolume()
  const old = await bootReady({ volume })
  await plantSessions(old, 500)
  const sessions = await sessionsOf(old)
  await old.exec('kill -STOP $(cat /run/samovar/redis-state.pid)')
  await old.status('memory')
  for (let i = 0; i < 9; i++) expect(await clear(old, {})).toBe(200)
  const before = await databaseOf(old)

  // Stopped in its tracks, the holder neither writes nor hands over: what changes, the newcomer changes.
  await old.raw.pause()
  const young = await boot({ volume })
  await until('the newcomer serves', async () => (await young.get('/api/countries')).status === 200)
  expect(await word(young)).toBe('waiting')
  expect(await databaseOf(young)).toBe(before)
  expect(await young.text()).not.toContain('no copy of the state could be read')
  // It could not keep what it would acknowledge.
  expect(await clear(young, {})).toBe(503)
  expect(await databaseOf(young)).toBe(before)

  await old.raw.unpause()
  // A frozen server cannot be stopped, and is killed when its time is up, after 8 s.
  const waitingMs = await startStopwatch()
  await until('the newcomer holds the data', async () => (await word(young)) === 'held')
  expect(waitingMs()).toBeLessThan(20_000)
  expect(await word(old)).toBe('released')
  expect(await writersBelowData(old)).toBe('')
  await until('the newcomer has opened samovar.db', async () =>
    (await writersBelowData(young)).includes('/data/samovar.db'),
  )
  await recovered(young)
  await expectSessions(young, sessions)
  // The journal says that the nine clears of this minute are used up.
  expect(await clear(young, {})).toBe(429)
  expect(await clearsCounted(young)).toBe(9)

  // The old one still answers, and has nothing open to write to.
  expect(await clear(old, {})).toBe(503)
  expect((await old.get('/api/countries')).status).toBe(200)
  expect(await writersBelowData(old)).toBe('')
})
