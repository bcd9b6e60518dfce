// One row of the fault table, run: a Redis, a subject under traffic, the fault, its end, and what came of it.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { createClient } from 'redis'
import { checkByStranger } from './checker.ts'
import { startStopwatch } from './control-clock.ts'
import { eventually } from './eventually.ts'
import { startLoopClock } from './loop-clock.ts'
import { startRedis, type TestRedis } from './redis-server.ts'
import type { OpenSubject, Subject } from './subject.ts'
import { startTcpProxy, type TcpProxy } from './tcp-proxy.ts'
import { createTraffic, type Ledger, type Traffic, type Violations } from './traffic.ts'

export const BUDGET_MS = 100
const CALM_MS = 600 // of traffic before the fault and after it
const BACK_MS = 20_000 // what is not back by then never comes
const SAMPLE_MS = 5

export interface World {
  /** Holds the state; the cache too, unless the row has two servers. */
  readonly redis: TestRedis
  readonly cacheRedis: TestRedis
  readonly proxy: TcpProxy
  readonly traffic: Traffic
  subject(): Subject
  /** One command over a connection that was there before the fault, by a user of its own. */
  operate(...words: string[]): Promise<unknown>
  /** Where the server that holds the state (or the cache) keeps its files. */
  folderOf(redis: TestRedis): Promise<string>
  /** Ends the app, or kills it, and opens it again on the same data. */
  restartApp(how?: 'kill'): Promise<void>
  /** Sets the clock of this process, which is the subject's, but not Redis'. */
  stepClock(ms: number): void
  /** Whatever must be ended after the row. */
  atEnd(end: () => unknown): void
}

export interface Fault {
  readonly name: string
  /** `proxy`: between the app and its Redis stands the proxy. */
  readonly through?: 'proxy'
  /** A server for each role. */
  readonly servers?: 2
  /** Its files are on a file system of a few megabytes. */
  readonly disk?: 'small'
  readonly memoryBudgetBytes?: number
  /** 2: the app is one of two, so that it cannot rely on what it wrote itself. 1 unless said. */
  readonly workers?: 2
  /** The app is a process of its own, so that it can be killed. */
  readonly needs?: 'a process of its own'
  /** How long the fault lasts once `break` has ended, ms of the control clock. */
  readonly lastsMs?: number
  /** Redis goes on being used: the fault must not be taken for an outage. */
  readonly stays?: true
  /** What may happen here, and why. */
  readonly permits?: { readonly [what in keyof Violations | 'refused']?: string }
  /** Before the traffic. */
  prepare?(world: World): Promise<unknown>
  break(world: World): unknown
  heal(world: World): unknown
}

export interface Outcome
  extends Violations,
    Pick<Ledger, 'calls' | 'refused' | 'worstMs' | 'worstByLoopMs' | 'msIn' | 'examples'> {
  readonly name: string
  /** From the end of the fault until Redis was used again and had everything; undefined: never. */
  readonly backMs: number | undefined
  /** The longest turn of the loop that the subject runs on, in units of loop-clock.ts. */
  readonly longestTurn: number
}

export interface Contender {
  open: OpenSubject
  /** As `open`, in a process of its own. */
  openApart?: OpenSubject
}

export async function runFault(
  fault: Fault,
  { open, openApart }: Contender,
  seed = Date.now(),
): Promise<Outcome> {
  const ends: (() => unknown)[] = []
  try {
    return await run()
  } finally {
    for (const end of ends.reverse()) await end()
  }

  async function run(): Promise<Outcome> {
    const stepClock = takeClock(ends)
    const settings = ['--appendonly', 'yes', ...(fault.disk ? ['--dir', mountSmallDisk(ends)] : [])]
    const redis = await startRedis(...settings)
    ends.push(() => redis.stop())
    const cacheRedis = fault.servers === 2 ? await startRedis(...settings) : redis
    if (cacheRedis !== redis) ends.push(() => cacheRedis.stop())
    const proxy = await startTcpProxy(redis.port)
    ends.push(() => proxy.close())
    const dataDir = mkdtempSync(join(tmpdir(), 'samovar-fault-'))
    ends.push(() => rmSync(dataDir, { recursive: true, force: true, maxRetries: 5 }))

    const operator = await connectOperator(redis)
    ends.push(() => operator.destroy())
    const openApp = fault.needs ? openApart : open
    if (!openApp) throw new Error(`${fault.name} needs ${fault.needs}`)
    const stateUrl = fault.through === 'proxy' ? proxy.url : redis.url
    const cacheUrl = cacheRedis === redis ? stateUrl : cacheRedis.url
    const { memoryBudgetBytes, workers } = fault
    const openOnData = () => openApp({ cacheUrl, stateUrl, dataDir, memoryBudgetBytes, workers })
    let subject = await openOnData()
    ends.push(() => subject.close())
    await untilSettled(subject)

    const loop = startLoopClock()
    ends.push(loop.stop)
    const traffic = createTraffic(subject, seed, loop)
    const sampler = sampleStatus(() => subject, traffic.ledger)
    ends.push(sampler.stop)
    const world: World = {
      redis,
      cacheRedis,
      proxy,
      traffic,
      subject: () => subject,
      operate: (...words) => operator.sendCommand(words),
      folderOf: async (server) => (await server.command('CONFIG', 'GET', 'dir')).split('\r\n')[4] ?? '',
      async restartApp(how) {
        if (how === 'kill') await subject.kill?.()
        await traffic.stop()
        if (how !== 'kill') await subject.close()
        subject = await openOnData()
        traffic.useSubject(subject)
        traffic.start()
      },
      stepClock,
      atEnd: (end) => void ends.push(end),
    }

    await fault.prepare?.(world)
    traffic.start()
    ends.push(() => traffic.stop())
    await flow(CALM_MS)
    await fault.break(world)
    await flow(fault.lastsMs ?? 1_500)
    await fault.heal(world)
    const backMs = await timeUntilBack(subject)
    await flow(CALM_MS)
    await end(traffic, subject)
    sampler.stop()
    const longestTurn = loop.longestTurn()

    const direct = { stateUrl: redis.url, cacheUrl: cacheRedis.url }
    const strangersDir = mkdtempSync(join(tmpdir(), 'samovar-stranger-'))
    const stranger = await open({ ...direct, dataDir: strangersDir, workers: 2 })
    try {
      await untilSettled(stranger)
      await checkByStranger(stranger, traffic.ledger)
    } finally {
      await stranger.close()
      rmSync(strangersDir, { recursive: true, force: true })
    }
    return { ...outcomeOf(fault.name, traffic.ledger, backMs), longestTurn }
  }
}

/** In the place of the clock, before the subject takes that. */
function takeClock(ends: (() => unknown)[]): World['stepClock'] {
  const now = Date.now
  let aheadMs = 0
  Date.now = () => now() + aheadMs
  ends.push(() => {
    Date.now = now
  })
  return (ms) => {
    aheadMs += ms
  }
}

/** A tmpfs; only root may mount one. */
function mountSmallDisk(ends: (() => unknown)[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'samovar-small-'))
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', folder])
  ends.push(() => {
    execFileSync('umount', [folder])
    rmdirSync(folder)
  })
  return folder
}

async function connectOperator({ url, command }: TestRedis) {
  await command('ACL', 'SETUSER', 'operator', 'on', '>operator', '~*', '&*', '+@all')
  const client = createClient({
    url,
    username: 'operator',
    password: 'operator',
    socket: { reconnectStrategy: () => 100 },
  })
  client.on('error', () => {}) // its server is killed on purpose
  await client.connect()
  return client
}

/** Lets the traffic run for so long by the control clock: a machine that stands still does not make it less. */
async function flow(ms: number): Promise<void> {
  const elapsedMs = await startStopwatch()
  while (elapsedMs() < ms) await pause(SAMPLE_MS)
}

/** Adds up how long each status lasted. */
function sampleStatus(subject: () => Subject, ledger: Ledger) {
  let at = performance.now()
  const timer = setInterval(() => {
    const now = performance.now()
    ledger.msIn[subject().status()] += now - at
    at = now
  }, SAMPLE_MS)
  return { stop: () => clearInterval(timer) }
}

async function untilSettled(subject: Subject): Promise<void> {
  await eventually(
    () => {
      if (!subject.isSettled()) throw new Error(`the status is still ${subject.status()}`)
    },
    BACK_MS,
    5,
  )
}

async function timeUntilBack(subject: Subject): Promise<number | undefined> {
  const startedAt = performance.now()
  try {
    await untilSettled(subject)
    return performance.now() - startedAt
  } catch {
    return undefined
  }
}

async function end(traffic: Traffic, subject: Subject): Promise<void> {
  await traffic.stop()
  await timeUntilBack(subject)
}

function outcomeOf(name: string, ledger: Ledger, backMs: number | undefined): Omit<Outcome, 'longestTurn'> {
  const {
    calls,
    failed,
    refused,
    missing,
    cameBack,
    overLimit,
    claimedTwice,
    worstMs,
    worstByLoopMs,
    msIn,
    examples,
  } = ledger
  return {
    name,
    calls,
    failed,
    refused,
    missing,
    cameBack,
    overLimit,
    claimedTwice,
    worstMs,
    worstByLoopMs,
    msIn,
    examples,
    backMs,
  }
}
