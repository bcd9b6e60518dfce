// The real image, started with testcontainers and broken for real. Containers are asked at their own address on the
// bridge, without Docker's port proxy in between, so that what a client sees at a stop is what Samovar does.

import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { GenericContainer, getContainerRuntimeClient, type WaitStrategy } from 'testcontainers'
import type { CacheStats } from '../../src/features/cache-admin/cache-stats.ts'
import { startStopwatch, timed } from './control-clock.ts'

const IMAGE = process.env.SAMOVAR_IMAGE ?? 'samovar:test'
// scripts/test removes by this label what a crashed run has left.
const [LABEL = 'samovar.test', LABEL_VALUE = 'by-hand'] = (process.env.SAMOVAR_TEST_LABEL ?? '')
  .split('=')
  .filter(Boolean)

/** By the control clock. No promise about time: what takes longer has hung. */
const HUNG_MS = 200_000
/** By the control clock, half of what a caller would wait who waits for a frozen Redis. No answer may take longer. */
const PATIENCE_MS = 5000

export type Options = {
  /** Another image than the one under test. */
  image?: string
  env?: Record<string, string>
  /** A volume of createVolume(), else the container has none. */
  volume?: string
  memoryMb?: number
  cpus?: number
  user?: string
  /** No others than these. */
  capabilities?: string[]
  readOnlyWith?: string[]
  /** A /data of this size in memory; it does not outlive a stop. */
  dataMb?: number
  /** Host files mounted read-only: [source, target]. */
  files?: [string, string][]
}

export type LogLine = { atMs: number; text: string }
export type Container = Awaited<ReturnType<typeof startContainer>>
export type Samovar = Awaited<ReturnType<typeof boot>>

type Engine = Awaited<ReturnType<typeof getContainerRuntimeClient>>['container']['dockerode']
type EngineContainer = ReturnType<Engine['getContainer']>

const atOnce: WaitStrategy = {
  waitUntilReady: async () => {},
  withStartupTimeout: () => atOnce,
  isStartupTimeoutSet: () => false,
  getStartupTimeout: () => 0,
}

// testcontainers has no word for a read-only root; its host configuration has.
class ImageContainer extends GenericContainer {
  withReadOnlyRoot(tmpfs: string[]): this {
    this.hostConfig.ReadonlyRootfs = true
    return this.withTmpFs(Object.fromEntries(tmpfs.map((path) => [path, ''])))
  }
  withLimits(memoryMb: number, cpus: number): this {
    if (memoryMb) this.hostConfig.Memory = this.hostConfig.MemorySwap = memoryMb * 1024 * 1024
    if (cpus) this.hostConfig.NanoCpus = cpus * 1e9
    return this
  }
}

// An address that nobody has: that of a container which has ended may be somebody else's by now.
const NOWHERE = 'http://ended.invalid'

const closers: (() => Promise<unknown>)[] = []

/** Runs the round again and again until stopped, at the latest by removeAll. Resolves when the last round has ended. */
export function keepOn(round: () => Promise<unknown>): () => Promise<void> {
  let on = true
  const rounds = (async () => {
    while (on) await round()
  })()
  const stop = () => {
    on = false
    return rounds
  }
  closers.push(stop)
  return stop
}

/** Ends what goes on and removes every container and volume of this test file. For afterAll. */
export async function removeAll(): Promise<void> {
  for (const close of closers.splice(0).reverse()) await close().catch(() => {})
}

async function docker(): Promise<Engine> {
  return (await getContainerRuntimeClient()).container.dockerode
}

export async function createVolume(): Promise<string> {
  const engine = await docker()
  const name = `samovar-test-${randomBytes(4).toString('hex')}`
  await engine.createVolume({ Name: name, Labels: { [LABEL]: LABEL_VALUE } })
  closers.push(() => engine.getVolume(name).remove({ force: true }))
  return name
}

/**
 * Polls until the check gives a value; throws with what was waited for. `withinMs`, by the control clock, is given
 * where it is a promise; without it, only what hangs fails.
 */
export async function until<T>(
  what: string,
  check: () => Promise<T | undefined | false>,
  withinMs = HUNG_MS,
  everyMs = 100,
): Promise<T> {
  const elapsedMs = await startStopwatch()
  for (;;) {
    const value = await check().catch(() => undefined)
    if (value !== undefined && value !== false) return value
    if (elapsedMs() > withinMs) throw new Error(`not within ${withinMs} ms: ${what}`)
    await sleep(everyMs)
  }
}

/** Starts a container of the image, with another command in place of its own where one is given. */
export async function startContainer(options: Options = {}, command?: string[]) {
  const container = new ImageContainer(options.image ?? IMAGE)
    .withLabels({ [LABEL]: LABEL_VALUE })
    // Tests tell their visitors apart as a proxy would.
    .withEnvironment({ TRUST_PROXY: '1', ...options.env })
    .withLimits(options.memoryMb ?? 0, options.cpus ?? 0)
    .withBindMounts([
      ...(options.volume ? [{ source: options.volume, target: '/data' }] : []),
      ...(options.files ?? []).map(([source, target]) => ({ source, target, mode: 'ro' as const })),
    ])
    .withWaitStrategy(atOnce)
  if (command) container.withEntrypoint(command)
  if (options.user) container.withUser(options.user)
  if (options.capabilities)
    container.withDroppedCapabilities('ALL').withAddedCapabilities(...options.capabilities)
  if (options.dataMb) container.withTmpFs({ '/data': `size=${options.dataMb}m` })
  if (options.readOnlyWith) container.withReadOnlyRoot(options.readOnlyWith)
  const started = await container.start()
  const raw = (await docker()).getContainer(started.getId())
  const remove = () => raw.remove({ force: true, v: true })
  closers.push(remove)
  let origin = await originOf(raw)

  async function exitCode(): Promise<number> {
    return until('the container ends', async () => {
      const { State } = await raw.inspect()
      return State.Running ? undefined : State.ExitCode
    })
  }

  return {
    raw,
    exitCode,
    remove,
    origin: () => origin,
    /** Fails when no answer has begun after PATIENCE_MS. */
    get: (path: string, init: RequestInit = {}) => fetchPatiently(`${origin}${path}`, init),
    /** Runs a shell command inside; as root unless told otherwise: the processes are of two users. */
    /** What the command prints. Both streams are one pipe: the engine would bring two in no certain order. */
    async exec(command: string, user = 'root'): Promise<string> {
      const { output } = await started.exec(['sh', '-c', `exec 2>&1\n${command}`], { user })
      return output.trim()
    },
    async log(): Promise<LogLine[]> {
      const bytes = (await raw.logs({ stdout: true, stderr: true, timestamps: true })) as unknown as Buffer
      return demultiplex(bytes)
    },
    /** `docker stop`, with so much grace that the container ends by itself if it ever does. */
    async stop() {
      const { tookMs } = await timed(() => raw.stop({ t: HUNG_MS / 1000 }))
      origin = NOWHERE
      return { code: await exitCode(), tookMs }
    },
    /** Without a warning to anybody inside. */
    async kill() {
      await raw.kill()
      origin = NOWHERE
    },
    async start() {
      await raw.start()
      origin = await originOf(raw)
    },
    /** From its last start until it answers here with 200; by the wall clock, for comparison with another container. */
    async firstAnswerMs(path: string): Promise<number> {
      const startedAtMs = Date.parse((await raw.inspect()).State.StartedAt)
      const answers = async () => (await fetchPatiently(`${origin}${path}`)).status === 200
      await until(`an answer of ${path}`, answers, HUNG_MS, 20)
      return Date.now() - startedAtMs
    },
  }
}

/** Starts the image and returns immediately, ready or not. */
export async function boot(options: Options = {}) {
  const container = await startContainer(options)
  const { get, exec, log } = container
  const token = options.env?.ADMIN_TOKEN
  const asAdmin: Record<string, string> = token ? { authorization: `Bearer ${token}` } : {}

  async function stats() {
    return (await (await get('/api/cache/stats', { headers: asAdmin })).json()) as CacheStats
  }

  return {
    ...container,
    stats,
    asAdmin,
    text: async () => (await log()).map((line) => line.text).join('\n'),
    status: (wanted: string, withinMs?: number) =>
      until(`status ${wanted}`, async () => (await stats()).status === wanted, withinMs),
    pid: (name: 'redis-cache' | 'redis-state') => exec(`cat /run/samovar/${name}.pid`),
  }
}

/** Starts the image and waits until it serves from Redis. */
export async function bootReady(options: Options = {}): Promise<Samovar> {
  const samovar = await boot(options)
  await samovar.status('redis').catch(async (error) => {
    throw new Error(`${error.message}\n${await samovar.text()}`)
  })
  return samovar
}

async function fetchPatiently(url: string, init: RequestInit = {}): Promise<Response> {
  const elapsedMs = await startStopwatch()
  const patience = new AbortController()
  const watch = setInterval(() => {
    if (elapsedMs() > PATIENCE_MS) patience.abort(new Error(`no answer within ${PATIENCE_MS} ms: ${url}`))
  }, 100)
  try {
    return await fetch(url, { signal: patience.signal, ...init })
  } finally {
    clearInterval(watch)
  }
}

async function originOf(container: EngineContainer): Promise<string> {
  const { NetworkSettings } = await container.inspect()
  return `http://${Object.values(NetworkSettings.Networks)[0]?.IPAddress}:8080`
}

// Docker's log stream: frames of an 8-byte header (stream, length) and a payload, each line with its time in front.
function demultiplex(bytes: Buffer): LogLine[] {
  const payloads: Buffer[] = []
  for (let at = 0; at + 8 <= bytes.length; ) {
    const length = bytes.readUInt32BE(at + 4)
    payloads.push(bytes.subarray(at + 8, at + 8 + length))
    at += 8 + length
  }
  const lines = Buffer.concat(payloads).toString().split('\n').filter(Boolean)
  return lines.map((line) => {
    const space = line.indexOf(' ')
    return { atMs: Date.parse(line.slice(0, space)), text: line.slice(space + 1) }
  })
}
