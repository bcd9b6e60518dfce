// A data directory as a real app process has left it, with people logged in and deliveries accepted: copied, damaged,
// and opened again.
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { startApp } from './app.ts'
import { removeProcesses, spawnApp, untilStatus } from './app-process.ts'
import { eventually } from './eventually.ts'
import { BOT_TOKEN } from './fake-telegram.ts'
import { startRedis, type TestRedis } from './redis-server.ts'
import { signWidget, widgetFields } from './telegram-signer.ts'
import { SECRET, signedRequest } from './webhook-app.ts'

const FILES = [
  'samovar.db',
  'samovar.db-wal',
  'records.db',
  'records.db-wal',
  'session-secret',
  'installation',
]
export const ENV = {
  TELEGRAM_BOT_TOKEN: BOT_TOKEN,
  WEBHOOK_SECRETS: `payments=${SECRET}`,
  FEATURES_OFF: 'calls,page,markets,alerts,reference',
}
/** Nothing listens there. */
export const AWAY = 'redis://127.0.0.1:1/0'

export interface Ledger {
  /** Cookies of people who are logged in, and of those who have logged out. */
  readonly inside: readonly string[]
  readonly outside: readonly string[]
  readonly deliveries: { readonly killed: number; readonly closed: number }
}

export interface Volume extends Ledger {
  /** How it is left: killed while Redis was away, or stopped cleanly after that. */
  readonly killed: string
  readonly closed: string
  /** As it was before that, closed as well. */
  readonly earlier: string
  /** The files of the Redis that went away. */
  readonly redisDir: string
  remove(): Promise<void>
}

export async function makeVolume(): Promise<Volume> {
  const root = mkdtempSync(join(tmpdir(), 'samovar-volume-'))
  const at = (name: string) => join(root, name)
  for (const name of ['live', 'redis']) mkdirSync(at(name))
  const redis = await startRedis('--dir', at('redis'), '--appendonly', 'yes')
  const env = { ...ENV, DATA_DIR: at('live'), REDIS_URL: redis.url }
  const before = await spawnApp(env)
  await untilStatus('redis', before.url)
  const first = await logInMany(before.url, 1, 12)
  await deliver(before.url, 0, 12)
  for (const cookie of first.slice(0, 2)) await logOut(before.url, cookie)
  before.child.kill('SIGTERM')
  await before.ended
  copyFiles(at('live'), at('earlier'))

  const app = await spawnApp(env)
  await untilStatus('redis', app.url)
  await redis.kill()
  await untilStatus('memory', app.url)
  const second = await logInMany(app.url, 13, 12)
  await deliver(app.url, 12, 12)
  for (const cookie of second.slice(0, 2)) await logOut(app.url, cookie)
  await eventually(() => expect(knownSequence(at('live'))).toBe(sequenceIn(at('live'))))
  app.child.kill('SIGKILL')
  await app.ended
  copyFiles(at('live'), at('killed'))

  const again = await spawnApp({ ...env, REDIS_URL: AWAY })
  await deliver(again.url, 24, 1) // it opens the records
  again.child.kill('SIGTERM')
  await again.ended
  copyFiles(at('live'), at('closed'))
  return {
    killed: at('killed'),
    closed: at('closed'),
    earlier: at('earlier'),
    redisDir: at('redis'),
    inside: [...first.slice(2), ...second.slice(2)],
    outside: [...first.slice(0, 2), ...second.slice(0, 2)],
    deliveries: { killed: 24, closed: 25 },
    async remove() {
      await redis.stop()
      await removeProcesses()
      rmSync(root, { recursive: true, force: true })
    },
  }
}

/** The sequence that `installation` knows of samovar.db, and the one in it. */
function knownSequence(dir: string): number {
  const { files } = JSON.parse(readFileSync(join(dir, 'installation'), 'utf8').split('\n')[0] ?? '') as {
    files: Record<string, { sequence: number }>
  }
  return files['samovar.db']?.sequence ?? -1
}
function sequenceIn(dir: string): number {
  const database = new DatabaseSync(join(dir, 'samovar.db'))
  const { sequence } = database.prepare('SELECT sequence FROM samovar_installation').get() as {
    sequence: number
  }
  database.close()
  return sequence
}

export function copyFiles(from: string, to: string): void {
  mkdirSync(to, { recursive: true })
  for (const name of FILES) cpSync(join(from, name), join(to, name), { force: true, filter: isThere })
}
const isThere = (path: string) => statSync(path, { throwIfNoEntry: false }) !== undefined

async function logInMany(url: string, from: number, count: number): Promise<string[]> {
  const cookies: string[] = []
  for (let id = from; id < from + count; id += 1) {
    const proof = await signWidget(widgetFields({ id: String(1_000 + id) }), BOT_TOKEN)
    const login = await fetch(`${url}/api/auth/telegram`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(proof),
    })
    expect(login.status).toBe(200)
    cookies.push(String(login.headers.getSetCookie()[0]).split(';')[0] ?? '')
  }
  return cookies
}

async function logOut(url: string, cookie: string): Promise<void> {
  const { status } = await fetch(`${url}/api/logout`, { method: 'POST', headers: { cookie } })
  expect(status).toBe(204)
}

async function deliver(url: string, from: number, count: number): Promise<void> {
  for (let i = from; i < from + count; i += 1) expect((await deliverOne(url, i)).status).toBe(204)
}

async function deliverOne(url: string, number: number): Promise<Response> {
  const request = await signedRequest(`msg_${number}`, JSON.stringify({ number }), Date.now())
  return fetch(`${url}/api/webhooks/payments`, { method: 'POST', ...request })
}

/** The records are opened. Whether it was taken: where the state is no whole copy, nobody knows if it is new. */
async function isTaken(url: string, number: number): Promise<boolean> {
  const answer = await deliverOne(url, number)
  if (answer.status === 503) expect(await answer.json()).toMatchObject({ code: 'state_unknown' })
  else expect(answer.status).toBe(204)
  return answer.status === 204
}

/** How many of them are logged in. */
export async function countInside(url: string, cookies: readonly string[]): Promise<number> {
  const statuses = await Promise.all(
    cookies.map(async (cookie) => (await fetch(`${url}/api/me`, { headers: { cookie } })).status),
  )
  return statuses.filter((status) => status === 200).length
}

export interface Found {
  /** How many of those who were logged in still are, and of those who had logged out. */
  readonly inside: number
  readonly outside: number
  readonly deliveries: number
  readonly alerts: readonly { file: string; problem: string }[]
  readonly reported: readonly { file?: string; lost: number; note: string | null }[]
  readonly ready: { status: string; fileAlerts?: number }
  /** What the log says of it. */
  readonly told: readonly string[]
}

/**
 * What the next app finds in the directory. With a Redis it is asked until it is used; what is wrong with that Redis is
 * left out where it is empty.
 */
export async function openVolume(
  dataDir: string,
  ledger: Ledger,
  redis?: Pick<TestRedis, 'url'> & { isEmpty?: true },
): Promise<Found> {
  const app = await startApp({ ...ENV, DATA_DIR: dataDir, REDIS_URL: redis?.url ?? AWAY, ADMIN_TOKEN: TOKEN })
  const headers = { authorization: `Bearer ${TOKEN}` }
  try {
    if (redis) await app.untilSettled()
    const inside = await countInside(app.url, ledger.inside)
    const outside = await countInside(app.url, ledger.outside)
    const taken = (await isTaken(app.url, 100)) ? 1 : 0
    const stats = (await app.stats()) as unknown as { fileAlerts: Found['alerts'] }
    const ready = (await (await app.get('/readyz')).json()) as Found['ready']
    const isMeant = ({ file }: { file?: string }) =>
      file !== undefined && !(redis?.isEmpty && file === 'redis-state')
    const fileAlerts = stats.fileAlerts.filter(isMeant)
    return {
      inside,
      outside,
      alerts: fileAlerts,
      reported: ((await (await app.get('/api/outages', { headers })).json()) as Found['reported']).filter(
        isMeant,
      ),
      ready: {
        ...ready,
        fileAlerts: (ready.fileAlerts ?? 0) - (stats.fileAlerts.length - fileAlerts.length),
      },
      told: app.lines
        .filter(({ message, fields }) => /ALERT|corrupt/.test(message) && fields.file !== 'redis-state')
        .map(({ message }) => message),
      deliveries: deliveriesIn(dataDir) - taken,
    }
  } finally {
    await app.close()
  }
}
const TOKEN = 'a-long-enough-token'

function deliveriesIn(dataDir: string): number {
  const database = new DatabaseSync(join(dataDir, 'records.db'))
  const { found } = database.prepare('SELECT count(*) AS found FROM webhook_deliveries').get() as {
    found: number
  }
  database.close()
  return found
}

/** What may happen to a file. */
export const damages = {
  empty: (path: string) => writeFileSync(path, ''),
  missing: (path: string) => rmSync(path),
  cut: (path: string) => truncateSync(path, Math.floor(statSync(path).size * 0.6) + 1),
  flipped: (path: string, part: number) => {
    const bytes = readFileSync(path)
    const at = Math.floor(part * bytes.length)
    bytes[at] = (bytes[at] ?? 0) ^ (1 << (at % 8))
    writeFileSync(path, bytes)
  },
} as const
