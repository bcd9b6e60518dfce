// The real image, started with testcontainers and broken for real. Containers are asked at their own address on the
// bridge, without Docker's port proxy in between, so that what a client sees at a stop is what Samovar does.

import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { GenericContainer, getContainerRuntimeClient, type WaitStrategy } from 'testcontainers'
import type { CacheStats } from '../../src/features/cache-admin/cache-stats.ts'

const IMAGE = process.env.SAMOVAR_IMAGE ?? 'samovar:test'
// scripts/test removes by this label what a crashed run has left.
const [LABEL = 'samovar.test', LABEL_VALUE = 'by-hand'] = (process.env.SAMOVAR_TEST_LABEL ?? '')
  .split('=')
  .filter(Boolean)

export type Options = {
  env?: Record<string, string>
  /** A volume of createVolume(), else the container has none. */
  volume?: string
  memoryMb?: number
  cpus?: number
  user?: string
  readOnlyWith?: string[]
  /** A /data of this size in memory; it does not outlive a stop. */
  dataMb?: number
  /** Host files mounted read-only: [source, target]. */
  files?: [string, string][]
}

export type LogLine = { atMs: number; text: string }
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

/** Polls until the check gives a value; throws with what was waited for. */
export async function until<T>(
  what: string,
  timeoutMs: number,
  check: () => Promise<T | undefined | false>,
): Promise<T> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    const value = await check().catch(() => undefined)
    if (value !== undefined && value !== false) return value
    if (performance.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${what}`)
    await sleep(100)
  }
}

/** Starts the image and returns at once, ready or not. */
export async function boot(options: Options = {}) {
  const container = new ImageContainer(IMAGE)
    .withLabels({ [LABEL]: LABEL_VALUE })
    .withEnvironment({ ...options.env })
    .withLimits(options.memoryMb ?? 0, options.cpus ?? 0)
    .withBindMounts([
      ...(options.volume ? [{ source: options.volume, target: '/data' }] : []),
      ...(options.files ?? []).map(([source, target]) => ({ source, target, mode: 'ro' as const })),
    ])
    .withWaitStrategy(atOnce)
  if (options.user) container.withUser(options.user)
  if (options.dataMb) container.withTmpFs({ '/data': `size=${options.dataMb}m` })
  if (options.readOnlyWith) container.withReadOnlyRoot(options.readOnlyWith)
  let startedAtMs = Date.now()
  const started = await container.start()
  const raw = (await docker()).getContainer(started.getId())
  closers.push(() => raw.remove({ force: true, v: true }))
  let origin = await originOf(raw)

  async function get(path: string, init: RequestInit = {}): Promise<Response> {
    return fetch(`${origin}${path}`, { signal: AbortSignal.timeout(5000), ...init })
  }

  async function stats() {
    const token = options.env?.ADMIN_TOKEN
    const response = await get(
      '/api/cache/stats',
      token ? { headers: { authorization: `Bearer ${token}` } } : {},
    )
    return (await response.json()) as CacheStats
  }

  /** Runs a shell command inside; as the image's own user unless told otherwise. */
  async function exec(command: string, user = 'samovar'): Promise<string> {
    const { output } = await started.exec(['sh', '-c', command], { user })
    return output.trim()
  }

  async function log(): Promise<LogLine[]> {
    const bytes = (await raw.logs({ stdout: true, stderr: true, timestamps: true })) as unknown as Buffer
    return demultiplex(bytes)
  }

  async function exitCode(timeoutMs: number): Promise<number> {
    return until('the container ends', timeoutMs, async () => {
      const { State } = await raw.inspect()
      return State.Running ? undefined : State.ExitCode
    })
  }

  return {
    raw,
    get,
    stats,
    exec,
    log,
    exitCode,
    startedAtMs: () => startedAtMs,
    origin: () => origin,
    text: async () => (await log()).map((line) => line.text).join('\n'),
    status: (wanted: string, timeoutMs: number) =>
      until(`status ${wanted}`, timeoutMs, async () => (await stats()).status === wanted),
    pid: (name: 'redis-cache' | 'redis-state') => exec(`cat /run/samovar/${name}.pid`),
    async stop(graceS = 10) {
      const began = performance.now()
      await raw.stop({ t: graceS })
      origin = NOWHERE
      return { code: await exitCode(1000), tookMs: performance.now() - began }
    },
    /** Without a warning to anybody inside. */
    async kill() {
      await raw.kill()
      origin = NOWHERE
    },
    async start() {
      startedAtMs = Date.now()
      await raw.start()
      origin = await originOf(raw)
    },
  }
}

/** Starts the image and waits until it serves from Redis. */
export async function bootReady(options: Options = {}): Promise<Samovar> {
  const samovar = await boot(options)
  await samovar.status('redis', 30_000).catch(async (error) => {
    throw new Error(`${error.message}\n${await samovar.text()}`)
  })
  return samovar
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
