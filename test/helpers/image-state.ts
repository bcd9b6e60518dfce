// The state role in a running image: what a test puts there, does to it, and finds afterwards. Where only their number
// matters, sessions are written into redis-state as the app writes them, and the app is made to read all that is there.
import { signalServers } from '../../src/adapters/testing.ts'
import { type Samovar, until } from './image.ts'

const CLI = 'redis-cli -s /run/samovar/redis-state.sock'
const SESSIONS = 'samovar:state:session:'
const CLEARS = 'samovar:state:limit:cache-clear:all'

export const signalBoth = (samovar: Samovar, signal: Parameters<typeof signalServers>[0]) =>
  samovar.exec(signalServers(signal))

/** Whether redis-server can be started from here on. */
export const allowServers = (samovar: Samovar, allowed: boolean) =>
  samovar.exec(`chmod a${allowed ? '+' : '-'}x $(readlink -f /usr/bin/redis-server)`, 'root')

/** Both killed, and not started again before allowServers. */
export async function takeServersAway(samovar: Samovar): Promise<void> {
  await allowServers(samovar, false)
  await signalBoth(samovar, 'KILL')
  await bothAway(samovar)
}

/** Both roles have noticed that their Redis is away: the status of the app tells when the first of them has. */
export async function bothAway(samovar: Samovar, withinMs?: number): Promise<void> {
  await until(
    'both roles have noticed',
    async () => (await outages(samovar)).filter(({ endedAt }) => endedAt === null).length === 2,
    withinMs,
  )
}

/** Both servers run and answer to run-redis: one that ends from here on is started again by supervisord. */
export async function serversUp(samovar: Samovar): Promise<void> {
  await until('both servers are up', async () => {
    const log = await samovar.text()
    return ['cache', 'state'].every((name) => log.includes(`redis-${name}: up, pid`))
  })
}

/** Writes sessions that end in a day, and returns once the app has them in its standby and on disk. */
export async function plantSessions(samovar: Samovar, count: number): Promise<void> {
  const timestamp = String(Date.now()).padStart(16, '0')
  await evaluate(
    samovar,
    `for i = 1, ${count} do
      local value = '${timestamp}.0123456789\\n' .. 'visitor ' .. i
      redis.call('SET', '${SESSIONS}' .. i, value, 'PX', 86400000 + i)
    end`,
  )
  const returns = async () => {
    const { activations, reconnects } = (await samovar.stats()).fallback
    return activations + reconnects
  }
  const before = await returns()
  await until('the standby is full', async () => {
    // A return is when the app reads all that Redis has. It takes another cut if the first one met it in doubt.
    if ((await returns()) === before) await samovar.exec(`${CLI} CLIENT KILL TYPE normal`)
    const { status, fallback } = await samovar.stats()
    return (await returns()) > before && status === 'redis' && fallback.standby === 'full'
  })
  await until('the copy is on disk', async () => (await onDisk(samovar)).sessions === count)
}

/** How many sessions redis-state has, what is in them all, and when the first one ends. */
export async function sessionsOf(samovar: Samovar) {
  const answer = await evaluate(
    samovar,
    `local keys = redis.call('KEYS', '${SESSIONS}*') table.sort(keys) local all, first = '', math.huge
     for _, key in ipairs(keys) do
       all = redis.sha1hex(all .. key .. redis.call('GET', key)) first = math.min(first, redis.call('PEXPIRETIME', key))
     end
     return { #keys, all, string.format('%.0f', first) }`,
  )
  const [count, content, firstEndsAtMs] = answer.split('\n')
  return { count: Number(count), content, firstEndsAtMs: Number(firstEndsAtMs) }
}

/** All of them are there as they were, with their ends. */
export async function expectSessions(
  samovar: Samovar,
  { firstEndsAtMs, ...same }: Awaited<ReturnType<typeof sessionsOf>>,
): Promise<void> {
  const now = await sessionsOf(samovar)
  expect(now).toMatchObject(same)
  // What is left of its time is sent to Redis, and so an end moves by the milliseconds that are under way.
  expect(Math.abs(now.firstEndsAtMs - firstEndsAtMs)).toBeLessThan(500)
}

export const evaluate = (samovar: Samovar, lua: string) => samovar.exec(`${CLI} EVAL "${lua}" 0`)

/** So that what was written is in the base of the append-only file. */
export async function rewrite(samovar: Samovar): Promise<void> {
  const rewrites = () => samovar.exec(`${CLI} INFO persistence | grep ^aof_rewrites:`)
  const before = await rewrites()
  await samovar.exec(`${CLI} BGREWRITEAOF`)
  await until('the append-only file is rewritten', async () => {
    const isOver = (await samovar.exec(`${CLI} INFO persistence`)).includes('aof_rewrite_in_progress:0')
    return isOver && (await rewrites()) !== before
  })
}

/** Overwrites some bytes in the middle of a file of redis-state's append-only directory. */
export const damage = (samovar: Samovar, file: 'base.rdb' | 'incr.aof') =>
  samovar.exec(
    `f=$(ls /data/state/appendonlydir/*.${file}) &&
     dd if=/dev/urandom of=$f bs=1 seek=$(($(stat -c %s $f) / 2)) count=200 conv=notrunc`,
  )

/** The clears that redis-state counts in the last minute or so. */
export const clearsCounted = async (samovar: Samovar) => Number(await samovar.exec(`${CLI} ZCARD ${CLEARS}`))

/** What /data/samovar.db has. */
export async function onDisk(
  samovar: Samovar,
): Promise<{ sessions: number; journal: number; counters: number }> {
  const script = `const { DatabaseSync } = require('node:sqlite')
    const db = new DatabaseSync('/data/samovar.db', { readOnly: true })
    const count = (from) => db.prepare('SELECT count(*) AS n FROM ' + from).get().n
    const sessions = count('copy WHERE key LIKE \\'session:%\\'')
    const counters = count('facts WHERE name = \\'clears\\'')
    console.log(JSON.stringify({ sessions, journal: count('journal'), counters }))`
  return JSON.parse(await samovar.exec(`node --no-warnings -e "${script}"`))
}

/** The status of a clear of the cache. */
export async function clear(samovar: Samovar, scope: object, headers = {}): Promise<number> {
  const init = { method: 'POST', headers: { 'content-type': 'application/json', ...headers } }
  return (await samovar.get('/api/cache/clear', { ...init, body: JSON.stringify(scope) })).status
}

/** Reads the path, and says whether the cache had it. */
export async function cached(samovar: Samovar, path: string): Promise<'hit' | 'miss'> {
  const before = await samovar.stats()
  const { status } = await samovar.get(path)
  if (status !== 200) throw new Error(`${path} answered ${status}`)
  const after = await samovar.stats()
  return after.misses === before.misses && after.hits === before.hits + 1 ? 'hit' : 'miss'
}

// biome-ignore lint/suspicious/noExplicitAny: its shape is what the tests look at.
export async function outages(samovar: Samovar): Promise<any[]> {
  return (await (await samovar.get('/api/outages', { headers: samovar.asAdmin })).json()) as never
}

/** Redis is asked again, and nothing waits to be written to it. */
export async function recovered(samovar: Samovar, withinMs?: number): Promise<void> {
  await samovar.status('redis', withinMs)
  await until('nothing is pending, and the standby is full', async () => {
    const { fallback } = await samovar.stats()
    return fallback.pendingWrites === 0 && fallback.standby === 'full'
  })
}
