// The package's Samovar over a Redis of the test's own, which can be broken.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type OpenOptions, openSamovar } from '../../src/package/samovar.ts'
import { timed } from './control-clock.ts'
import { eventually } from './eventually.ts'
import { recordLog } from './log.ts'
import { startRedis, type TestRedis } from './redis-server.ts'

/** Far from how long a frozen Redis keeps its callers waiting, and generous to a slow machine. */
export const PATIENCE_MS = 2_000

export const faults = ['killed', 'frozen', 'emptied'] as const
export type Fault = (typeof faults)[number]

export async function breakRedis(redis: TestRedis, fault: Fault): Promise<void> {
  if (fault === 'killed') await redis.kill()
  else if (fault === 'frozen') redis.freeze()
  else await redis.command('FLUSHALL')
}

export async function mendRedis(redis: TestRedis, fault: Fault): Promise<void> {
  if (fault === 'killed') await redis.start()
  else if (fault === 'frozen') redis.thaw()
}

/** Whatever one call says, it says it soon. */
export async function soon<T>(work: () => Promise<T>): Promise<T> {
  const { tookMs, answer } = await timed(work)
  expect(tookMs).toBeLessThan(PATIENCE_MS)
  return answer
}

async function openPackageWorld() {
  const redis = await startRedis()
  const closers: (() => Promise<unknown>)[] = []

  /** One process of an app. */
  async function open(options: OpenOptions = {}) {
    const { log, lines } = recordLog()
    const samovar = openSamovar({ redis: redis.url, budgetMs: 100, log, ...options })
    closers.push(samovar.close)
    await samovar.ready()
    return { ...samovar, lines }
  }

  return {
    redis,
    open,
    /** A data directory. */
    directory() {
      const path = mkdtempSync(join(tmpdir(), 'samovar-package-'))
      closers.unshift(async () => rmSync(path, { recursive: true, force: true }))
      return path
    },
    untilBack: ({ status }: Awaited<ReturnType<typeof open>>) =>
      eventually(() => expect(status().status).toBe('redis')),
    closeLater: (close: () => Promise<unknown>) => void closers.push(close),
    async close() {
      redis.thaw()
      for (const close of closers.reverse()) await close()
      await redis.stop()
    },
  }
}

/** One for each test, or for all tests of the file. */
export function usePackageWorld({ perFile = false } = {}): PackageWorld {
  const world = {} as PackageWorld
  const [before, after] = perFile ? [beforeAll, afterAll] : [beforeEach, afterEach]
  before(async () => {
    Object.assign(world, await openPackageWorld())
  })
  after(() => world.close())
  return world
}

export type PackageWorld = Awaited<ReturnType<typeof openPackageWorld>>
