// How much of the code one request crosses: node scripts/ways.ts [cached-read|miss|login|webhook|check|alert] [--list]
//
// Starts the real app over a real redis-server in this process, warms up, walks each way once more, and counts what
// ran during that: files and functions below src (V8's precise coverage), Redis scripts (MONITOR) and SQLite commits.
// It uses src/app.ts, src/config.ts and HTTP, so that it measures an older tree as well: copy it there.
//
// The short ways are walked several times, and the walk with the fewest functions counts: in the others something else
// ran at the same moment. An alert takes a second, so what an idle app does in as long a time is taken off. Alerts are
// checked at full minutes: `check` and `alert` take two to three minutes each, the others a few seconds.
import { createHmac, randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { Session } from 'node:inspector/promises'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import { WebSocket } from 'ws'
import { BOT_TOKEN, startFakeBotApi } from '../test/helpers/fake-bot-api.ts'
import { startFakeCoinGecko } from '../test/helpers/fake-coingecko.ts'
import { freePort } from '../test/helpers/free-port.ts'
import { recordLog } from '../test/helpers/log.ts'
import { startRedis, type TestRedis } from '../test/helpers/redis-server.ts'
import { signWidget, widgetFields } from '../test/helpers/telegram-signer.ts'

const SOURCE = pathToFileURL(join(import.meta.dirname, '../src/')).href
const MINUTE_MS = 60_000
const WALKS = 5
const SETTLE_MS = 300 // what a way does after its answer
const SECRET = Buffer.alloc(24, 'a').toString('base64')

/**
 * How often each thing happened: functions by where they are, scripts by their hash and whose they are, commits by
 * file.
 */
interface Counts {
  readonly functions: ReadonlyMap<string, number>
  readonly scripts: ReadonlyMap<string, number>
  readonly commits: ReadonlyMap<string, number>
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
const add = (counts: Map<string, number>, key: string) => counts.set(key, (counts.get(key) ?? 0) + 1)

const { log, lines } = recordLog()

/** Waits for three full minutes: on a busy machine a check may be missed. Says what the app has warned of. */
async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  const byMs = Date.now() + 3 * MINUTE_MS
  while (!(await isSo())) {
    if (Date.now() > byMs) {
      console.error(lines.filter(({ level }) => ['warn', 'error', 'fatal'].includes(level)))
      throw new Error(`never: ${isSo}`)
    }
    await pause(10)
  }
}

/** Counts commits of every SQLite database of this process, by the name of its file. */
function watchSqlite(): Map<string, number> {
  const commits = new Map<string, number>()
  const nameOf = (database: DatabaseSync) => database.location()?.split('/').at(-1) ?? ':memory:'
  const { exec, prepare } = DatabaseSync.prototype
  DatabaseSync.prototype.exec = function (text) {
    if (/^\s*COMMIT/i.test(text)) add(commits, nameOf(this))
    return exec.call(this, text)
  }
  DatabaseSync.prototype.prepare = function (text) {
    const statement = prepare.call(this, text)
    if (/^\s*(SELECT|PRAGMA)/i.test(text)) return statement
    const run = statement.run.bind(statement) as (
      ...parameters: unknown[]
    ) => ReturnType<typeof statement.run>
    statement.run = (...parameters: unknown[]) => {
      if (!this.isTransaction) add(commits, nameOf(this))
      return run(...parameters)
    }
    return statement
  }
  return commits
}

/** Counts scripts that clients run, by hash, `bullmq ` before those that touch BullMQ's keys. */
async function watchRedis({ port }: TestRedis): Promise<{ scripts: Map<string, number>; socket: Socket }> {
  const scripts = new Map<string, number>()
  const socket = connect(port, '127.0.0.1')
  let rest = ''
  socket.on('data', (data) => {
    const lines = (rest + data).split('\r\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      const [, client, command = '', text = ''] =
        /^\+\S+ \[\d+ ([^\]]*)\] "(evalsha|eval)" "(.*)/i.exec(line) ?? []
      if (client === undefined || client === 'lua') continue
      const owner = /"[^"]*state:queue:/.test(text) ? 'bullmq' : 'ours'
      add(scripts, `${owner} ${command.toLowerCase() === 'eval' ? 'eval' : text.slice(0, 40)}`)
    }
  })
  await new Promise((resolve) => socket.once('connect', resolve))
  socket.write('MONITOR\r\n')
  return { scripts, socket }
}

const commits = watchSqlite()
const redis = await startRedis()
process.on('exit', () => void redis.kill()) // also when this fails
const { scripts, socket: monitor } = await watchRedis(redis)
const [bot, coinGecko] = await Promise.all([startFakeBotApi(), startFakeCoinGecko()])
const profiler = new Session()
profiler.connect()
await profiler.post('Profiler.enable')
await profiler.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false })

/** What ran since it was last called. */
async function take(): Promise<Counts> {
  const { result } = await profiler.post('Profiler.takePreciseCoverage')
  const functions = new Map<string, number>()
  for (const { url, functions: found } of result) {
    if (!url.startsWith(SOURCE)) continue
    for (const { functionName, ranges } of found) {
      const [{ count, startOffset } = { count: 0, startOffset: 0 }] = ranges
      const where = `${url.slice(SOURCE.length)} ${functionName || '(anonymous)'} ${startOffset}`
      if (count > 0) functions.set(where, (functions.get(where) ?? 0) + count)
    }
  }
  const counts = { functions, scripts: new Map(scripts), commits: new Map(commits) }
  scripts.clear()
  commits.clear()
  return counts
}

async function during(work: () => Promise<unknown>): Promise<Counts> {
  await take()
  await work()
  await pause(SETTLE_MS)
  return take()
}

/** What is left when what an idle app does is taken off. */
function without(counts: Counts, idle: Counts): Counts {
  const less = (all: ReadonlyMap<string, number>, some: ReadonlyMap<string, number>) =>
    new Map(
      [...all].flatMap(([key, count]): [string, number][] => {
        const left = count - (some.get(key) ?? 0)
        return left > 0 ? [[key, left]] : []
      }),
    )
  return {
    functions: less(counts.functions, idle.functions),
    scripts: less(counts.scripts, idle.scripts),
    commits: less(counts.commits, idle.commits),
  }
}

async function fewest(walk: () => Promise<unknown>): Promise<Counts> {
  let least: Counts | undefined
  for (let i = 0; i < WALKS; i += 1) {
    const counts = await during(walk)
    if (!least || counts.functions.size < least.functions.size) least = counts
  }
  return least as Counts
}

// Before there were manifests, app.ts itself made the app of the configuration.
const { createApp, features } = await import(`${SOURCE}app.ts`)
const { readConfig } = await import(`${SOURCE}config.ts`)
const dataDir = mkdtempSync(join(tmpdir(), 'samovar-ways-'))
const environment = {
  PORT: String(await freePort()),
  DATA_DIR: dataDir,
  REDIS_URL: redis.url,
  TELEGRAM_BOT_TOKEN: BOT_TOKEN,
  TELEGRAM_API_URL: bot.url,
  COINGECKO_URL: coinGecko.url,
  COINGECKO_TTL: '1',
  COINGECKO_CALLS_PER_MINUTE: '1000',
  WEBHOOK_SECRETS: `payments=${SECRET}`,
}
const app = features
  ? (await import(`${SOURCE}host/open-app.ts`)).openApp({
      features,
      config: readConfig(features, environment, false),
      log,
    })
  : createApp(readConfig(environment, false), log)
const base = `127.0.0.1:${await app.listen()}`
const url = (path: string) => `http://${base}${path}`

async function expectStatus(status: number, answer: Promise<Response>): Promise<Response> {
  const response = await answer
  const text = await response.text()
  if (response.status !== status) throw new Error(`${response.url}: ${response.status} ${text}`)
  return response
}

const read = (id: string) => expectStatus(200, fetch(url(`/api/coins/${id}`)))
const readList = () => expectStatus(200, fetch(url('/api/countries')))

let people = 100
/** Logs a person in, and resolves with the cookie. */
async function logIn(): Promise<string> {
  people += 1
  const fields = await signWidget(widgetFields({ id: String(people) }), BOT_TOKEN)
  const response = await expectStatus(
    303,
    fetch(url(`/api/auth/telegram?${new URLSearchParams(fields)}`), { redirect: 'manual' }),
  )
  return response.headers
    .getSetCookie()
    .map((cookie) => cookie.split(';')[0])
    .join('; ')
}

async function sendWebhook(): Promise<void> {
  const [id, body, seconds] = [randomUUID(), '{"type":"paid"}', String(Math.floor(Date.now() / 1_000))]
  const signature = createHmac('sha256', Buffer.from(SECRET, 'base64'))
    .update(`${id}.${seconds}.${body}`)
    .digest('base64')
  const headers = {
    'content-type': 'application/json',
    'webhook-id': id,
    'webhook-timestamp': seconds,
    'webhook-signature': `v1,${signature}`,
  }
  await expectStatus(204, fetch(url('/api/webhooks/payments'), { method: 'POST', headers, body }))
}

const WINDOW_MS = 1_500

/** What the check at the next full minute adds to an idle app; it reads new prices, and waits for the messages. */
async function walkMinute(isTold: () => boolean): Promise<Counts> {
  const idle = await during(() => pause(WINDOW_MS))
  await pause(MINUTE_MS - (Date.now() % MINUTE_MS) - 100)
  const beganAtMs = Date.now()
  const counts = await during(async () => {
    await until(isTold)
    await pause(Math.max(0, beganAtMs + WINDOW_MS - Date.now()))
  })
  return without(counts, idle)
}

/**
 * One alert of one user, told on an open page and by Telegram, from the check that decides it; or a check in which
 * nothing crosses. The first coin warms up, and the second is measured.
 */
async function walkCheck({
  coins: [first, second],
  isCrossing,
}: {
  coins: [string, string]
  isCrossing: boolean
}): Promise<Counts> {
  const cookie = await logIn()
  const messages = bot.messages.length
  const told: string[] = []
  const page = new WebSocket(`ws://${base}/ws/alerts`, { headers: { cookie } })
  page.on('message', (data) => told.push(String(data)))
  await until(() => told.length === 1)
  const isTold = (count: number) => () =>
    bot.messages.length === messages + count && told.length === count + 1
  for (const coin of [first, second]) coinGecko.moved.set(coin, 90)
  await pause(2_500) // older prices are not fresh any more
  for (const coin of [first, second]) {
    const body = JSON.stringify({ coin, vs: 'usd', when: 'above', value: 100, notify: ['telegram'] })
    const headers = { cookie, 'content-type': 'application/json' }
    await expectStatus(201, fetch(url('/api/alerts'), { method: 'POST', headers, body }))
  }
  coinGecko.moved.set(first, 101)
  await until(isTold(1))
  await pause(5_000)
  if (isCrossing) coinGecko.moved.set(second, 101)
  const counts = await walkMinute(isTold(isCrossing ? 2 : 1))
  page.close()
  return counts
}

const ways: Record<string, () => Promise<Counts>> = {
  'cached-read': () => fewest(readList),
  async miss() {
    const ids = ['ripple', 'solana', 'dogecoin', 'cardano', 'tron', 'chainlink']
    await read(ids.pop() ?? '')
    return fewest(() => read(ids.pop() ?? ''))
  },
  login: () => fewest(logIn),
  webhook: () => fewest(sendWebhook),
  check: () => walkCheck({ coins: ['bitcoin', 'ethereum'], isCrossing: false }),
  alert: () => walkCheck({ coins: ['tether', 'binancecoin'], isCrossing: true }),
}

const filesOf = ({ functions }: Counts) => new Set([...functions.keys()].map((where) => where.split(' ')[0]))
const sum = (counts: ReadonlyMap<string, number>, isMeant: (key: string) => boolean = () => true) =>
  [...counts].reduce((total, [key, count]) => total + (isMeant(key) ? count : 0), 0)

const statusOf = async () => ((await (await fetch(url('/status'))).json()) as { status: string }).status
await until(async () => (await statusOf()) === 'redis')
await Promise.all([readList(), logIn(), sendWebhook()])
await pause(3_000) // for what a start does in the background

/** Each file with its functions, each script and each database. */
function list(name: string, counts: Counts): void {
  const files = new Map<string, string[]>()
  for (const [where, count] of counts.functions) {
    const [file = '', called] = where.split(' ')
    files.set(file, [...(files.get(file) ?? []), `${called}×${count}`])
  }
  console.log(`\n${name}`)
  for (const [file, functions] of [...files].sort()) console.log(`  ${file}: ${functions.join(' ')}`)
  for (const [what, count] of [...counts.scripts, ...counts.commits]) console.log(`  ${what}: ${count}`)
}

const isListed = process.argv.includes('--list')
const named = process.argv.slice(2).filter((name) => !name.startsWith('--'))
const table: Record<string, Record<string, number>> = {}
for (const name of named.length > 0 ? named : Object.keys(ways)) {
  const walk = ways[name]
  if (!walk) throw new Error(`${name} is none of ${Object.keys(ways).join(', ')}`)
  console.error(`${name}: ${['check', 'alert'].includes(name) ? 'up to three minutes' : 'a few seconds'}`)
  const counts = await walk()
  table[name] = {
    files: filesOf(counts).size,
    functions: counts.functions.size,
    'scripts of ours': sum(counts.scripts, (key) => key.startsWith('ours')),
    'scripts of BullMQ': sum(counts.scripts, (key) => key.startsWith('bullmq')),
    'SQLite commits': sum(counts.commits),
  }
  if (isListed) list(name, counts)
}
console.table(table)

await app.close()
profiler.disconnect()
monitor.destroy()
await Promise.all([bot.close(), coinGecko.close(), redis.stop()])
rmSync(dataDir, { recursive: true, force: true })
