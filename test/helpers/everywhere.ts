// The three places where the state role may be, for suites that hold in each: a Redis that others write to, one that is
// this process' alone, and memory, with a Redis that is not there.
import { startRedis, type TestRedis } from './redis-server.ts'
import { openProcess, type TestProcess, type TestProcessOptions } from './stores.ts'

export const places = ['shared', 'alone', 'away'] as const
export type Place = (typeof places)[number]

export interface Everywhere<T> {
  readonly redis: TestRedis
  /** The first two are on that Redis. */
  readonly processes: Readonly<Record<Place, T>>
  close(): Promise<void>
}

/** `open` resolves when Redis answers, where there is one. */
export async function openEverywhere<T extends { close(): Promise<void> }>(
  open: (options: TestProcessOptions) => Promise<T>,
  { budgetMs = 2_000 } = {},
): Promise<Everywhere<T>> {
  const redis = await startRedis()
  const processes = {
    shared: await open({ cacheUrl: redis.url, budgetMs }),
    alone: await open({ cacheUrl: redis.url, budgetMs, workers: 1 }),
    away: await open({ cacheUrl: 'redis://127.0.0.1:1/0' }),
  }
  return {
    redis,
    processes,
    async close() {
      for (const process of Object.values(processes)) await process.close()
      await redis.stop()
    },
  }
}

/** Both roles, with Redis where there is one. */
export async function openReady(options: TestProcessOptions): Promise<TestProcess> {
  const process = await openProcess(options)
  await process.untilStatus(options.cacheUrl.includes('127.0.0.1:1/') ? 'memory' : 'redis')
  return process
}
