// The state in an outage of both servers, on the real image: clears hold, limits neither reset nor leak, sessions from
// before it are there after it, and each role has its report. Restarted in the middle, killed in the merge.
import { setTimeout as sleep } from 'node:timers/promises'
import { bootReady, createVolume, keepOn, removeAll, type Samovar, until } from '../helpers/image.ts'
import {
  allowServers,
  bothAway,
  cached,
  clear,
  clearsCounted,
  damage,
  evaluate,
  expectSessions,
  onDisk,
  outages,
  plantSessions,
  recovered,
  rewrite,
  sessionsOf,
  signalBoth,
  takeServersAway,
} from '../helpers/image-state.ts'

const RUSSIAN = '/api/countries?lang=ru'
const ENGLISH = '/api/countries?lang=en'
const clearRussian = { prefix: 'countries:list:ru' }
const clearNothing = { prefix: 'nothing' }

afterAll(removeAll)

/** Both lists are cached, and six of the nine clears of this minute are used up. */
async function prepare(samovar: Samovar): Promise<void> {
  await samovar.get(RUSSIAN)
  await samovar.get(ENGLISH)
  expect([await cached(samovar, RUSSIAN), await cached(samovar, ENGLISH)]).toEqual(['hit', 'hit'])
  for (let i = 0; i < 6; i++) expect(await clear(samovar, clearNothing)).toBe(200)
}

/** The other three, one of them of the Russian list, and no seventh. */
async function useUpTheClears(samovar: Samovar): Promise<void> {
  for (const scope of [clearRussian, clearNothing, clearNothing])
    expect(await clear(samovar, scope)).toBe(200)
  expect(await clear(samovar, clearNothing)).toBe(429)
}

async function clearInTheOutage(samovar: Samovar): Promise<void> {
  await useUpTheClears(samovar)
  expect((await samovar.stats()).fallback.pendingWrites).toBeGreaterThan(0)
}

/** What was cleared is gone, and the limit goes on in Redis. */
async function expectClearsToHold(samovar: Samovar): Promise<void> {
  expect(await cached(samovar, RUSSIAN)).toBe('miss')
  await expectLimitToHold(samovar)
}

async function expectLimitToHold(samovar: Samovar): Promise<void> {
  expect(await clear(samovar, clearNothing)).toBe(429)
  expect(await clearsCounted(samovar)).toBe(9)
}

/** The last outage of these roles has ended, and what it says adds up. */
async function expectReports(
  samovar: Samovar,
  shortestMs: number,
  roles = ['cache', 'state'],
): Promise<void> {
  const reports = await outages(samovar)
  for (const role of roles) {
    const report = reports.find((one) => one.role === role)
    expect(Date.parse(report.endedAt) - Date.parse(report.startedAt)).toBe(report.durationMs)
    expect(report.durationMs).toBeGreaterThanOrEqual(shortestMs)
    expect(report.lost).toBe(0)
  }
  expect(reports.filter(({ endedAt }) => endedAt === null)).toEqual([])
}

test('frozen: a clear made meanwhile holds, and the limit of clears goes on in both directions', async () => {
  const samovar = await bootReady()
  await prepare(samovar)
  await signalBoth(samovar, 'STOP')
  await bothAway(samovar)
  await clearInTheOutage(samovar)
  await sleep(100)
  await signalBoth(samovar, 'CONT')
  await recovered(samovar)
  await expectClearsToHold(samovar)
  expect(await cached(samovar, ENGLISH)).toBe('hit')
  await expectReports(samovar, 100)
  // Without a token everybody may know when and how much, not why and what.
  for (const report of await outages(samovar)) {
    expect(report).not.toHaveProperty('cause')
    expect(report).not.toHaveProperty('note')
    expect(report.conflicts).toBe(0)
  }
})

test('killed, and back with nothing: the sessions, the clears and the limit are in it again', async () => {
  const samovar = await bootReady()
  await prepare(samovar)
  await plantSessions(samovar, 2000)
  const before = await sessionsOf(samovar)
  await takeServersAway(samovar)
  await clearInTheOutage(samovar)
  await samovar.exec('rm -r /data/state/appendonlydir')
  await allowServers(samovar, true)
  await recovered(samovar)
  expect(before.count).toBe(2000)
  await expectSessions(samovar, before)
  await expectClearsToHold(samovar)
  const state = (await outages(samovar)).find(({ role }) => role === 'state')
  // Two limits hold for a clear without the token: the client's and everybody's.
  expect(state.merged).toMatchObject({ session: 2000, limit: 2 })
})

test('restarted in the middle of the outage: nothing is lost, with Redis back empty and an old snapshot', async () => {
  const samovar = await bootReady({ volume: await createVolume() })
  await plantSessions(samovar, 2000)
  const before = await sessionsOf(samovar)
  await prepare(samovar)
  await samovar.exec('redis-cli SAVE && cp /data/cache/loading.rdb /data/before-the-clear.rdb')
  await takeServersAway(samovar)
  await clearInTheOutage(samovar)
  await samovar.exec('rm -r /data/state/appendonlydir')
  const began = (await outages(samovar)).filter(({ endedAt }) => endedAt === null)
  expect(began.map(({ role }) => role).sort()).toEqual(['cache', 'state'])

  expect((await samovar.stop()).code).toBe(0)
  await samovar.start()
  await samovar.status('memory')
  expect(await clear(samovar, clearNothing)).toBe(429)
  expect((await samovar.stats()).fallback.pendingWrites).toBeGreaterThan(0)

  await samovar.exec('mv /data/before-the-clear.rdb /data/cache/dump.rdb')
  await allowServers(samovar, true)
  await recovered(samovar)
  await expectSessions(samovar, before)
  await expectClearsToHold(samovar)
  expect(await cached(samovar, ENGLISH)).toBe('hit')
  expect((await onDisk(samovar)).journal).toBe(0)
  await expectReports(samovar, 1000)
  const ended = (await outages(samovar)).map(({ id }) => id)
  for (const { id } of began) expect(ended).toContain(id)
})

test('the app is killed in the merge: the next one ends it, and nothing is missing', async () => {
  const samovar = await bootReady()
  await plantSessions(samovar, 20_000)
  const before = await sessionsOf(samovar)
  await takeServersAway(samovar)
  await samovar.exec('rm -r /data/state/appendonlydir')
  const starts = () => samovar.exec('stat -c %s /run/samovar/app-starts').then(Number)
  const startsBefore = await starts()
  await allowServers(samovar, true)
  // As soon as the first sessions are back, and before the last.
  const atTheKill = await samovar.exec(
    `app=$(cat /run/samovar/pm2/app-0.pid)
     size() { redis-cli -s /run/samovar/redis-state.sock DBSIZE 2>/dev/null; }
     until n=$(size) && [ "$n" -gt 100 ] 2>/dev/null; do :; done
     kill -9 $app; redis-cli -s /run/samovar/redis-state.sock DBSIZE`,
  )
  expect(Number(atTheKill)).toBeLessThan(20_000)
  await until('the app has been started again', async () => (await starts()) > startsBefore)
  await recovered(samovar)
  await expectSessions(samovar, before)
  expect((await onDisk(samovar)).journal).toBe(0)
})

// What is overwritten, and what run-redis says of it. A damaged increment is cut off; a damaged base cannot be.
test.each([
  ['incr.aof' as const, /redis-state: ALERT .* cut to its sound part/],
  ['base.rdb' as const, /redis-state: ALERT .* damaged beyond repair .* set aside in \/data\/quarantine\//],
])(
  'a damaged append-only file (%s), also met by a new start of the container: no session is missing',
  async (file, words) => {
    const samovar = await bootReady({ volume: await createVolume() })
    await plantSessions(samovar, 1000)
    if (file === 'base.rdb') await rewrite(samovar)
    const before = await sessionsOf(samovar)
    await damage(samovar, file)
    await samovar.kill()
    await samovar.start()
    await recovered(samovar)
    expect(await samovar.text()).toMatch(words)
    expect(before.count).toBe(1000)
    await expectSessions(samovar, before)
    expect(await samovar.exec('ls /data/quarantine/*/appendonlydir')).toContain(file)

    // Repaired once, and sound from then on.
    await samovar.stop()
    await samovar.start()
    await recovered(samovar)
    await expectSessions(samovar, before)
    expect(await samovar.exec('ls /data/quarantine | wc -l')).toBe('1')
  },
)

test('killed again and again: served all the while, and the state is whole at the end', async () => {
  const samovar = await bootReady()
  await plantSessions(samovar, 1000)
  const before = await sessionsOf(samovar)
  await prepare(samovar)
  const bad: string[] = []
  const stopAsking = keepOn(async () => {
    const answer = await samovar.get(ENGLISH).then(({ status }) => status, String)
    if (answer !== 200) bad.push(String(answer))
    await sleep(50)
  })
  const killing = samovar.exec(
    `for i in $(seq 8); do
       for name in cache state; do kill -9 $(cat /run/samovar/redis-$name.pid); done 2>/dev/null; sleep 1; done`,
  )
  await sleep(3000)
  await useUpTheClears(samovar)
  await killing
  await recovered(samovar)
  await stopAsking()
  expect(bad).toEqual([])
  await expectSessions(samovar, before)
  await expectLimitToHold(samovar)
  await expectReports(samovar, 0)
})

test('the volume is full: served from memory; with space again all is in Redis, and the journal goes on', async () => {
  const samovar = await bootReady({ dataMb: 24 })
  await plantSessions(samovar, 1000)
  const before = await sessionsOf(samovar)
  await prepare(samovar)
  await samovar.exec('dd if=/dev/zero of=/data/filler bs=4k; true')
  // The last page of the append-only file has room for some more; nobody but us writes that much at once.
  await evaluate(samovar, "redis.call('SET', 'too-much', string.rep('x', 20000))")
  await samovar.status('memory')
  await clearInTheOutage(samovar)
  expect((await samovar.get(ENGLISH)).status).toBe(200)
  expect(await samovar.text()).toContain('No space left on device')
  expect(await samovar.text()).toContain('ALERT the journal cannot be written')

  await samovar.exec('rm /data/filler')
  await recovered(samovar)
  await expectSessions(samovar, before)
  await expectClearsToHold(samovar)
  await expectReports(samovar, 0, ['state'])
  await until('the journal is written again', async () => (await samovar.text()).includes('is written again'))

  // In the next outage what happens is on disk before it is answered.
  await signalBoth(samovar, 'STOP')
  await bothAway(samovar)
  expect(await clear(samovar, clearNothing)).toBe(429)
  const { pendingWrites } = (await samovar.stats()).fallback
  expect(pendingWrites).toBeGreaterThan(0)
  // The counters of clears are no row of the journal: they have a place of their own on disk.
  const { journal, counters } = await onDisk(samovar)
  expect([journal, journal + counters]).toContain(pendingWrites)
})
