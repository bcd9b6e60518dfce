// The figures of the cache role's server, sampled in the background: reading them costs no command.

import type { Log } from '../../log.ts'
import { inBackground } from '../background.ts'
import { RedisUnavailable } from '../errors.ts'
import type { RedisConnection } from './connection.ts'

export interface ServerSample {
  readonly version: string | null
  readonly usedMemoryBytes: number | null
  readonly datasetBytes: number | null
  readonly maxMemoryBytes: number | null
  readonly evictedKeys: number | null
  readonly keys: number | null
}

export interface Sampler {
  /** The last sample, at most `everyMs` old while the server answers; undefined before the first. */
  last(): ServerSample | undefined
  /** Samples now, for a caller who has just changed something. */
  refresh(): Promise<void>
  close(): void
}

export interface SamplerOptions {
  connection: RedisConnection
  /** External servers may bill every command, so they are sampled less often. */
  everyMs: number
  log: Log
}

export function createSampler({ connection, everyMs, log }: SamplerOptions): Sampler {
  let last: ServerSample | undefined
  let isRefused = false // and the log has said so
  const timer = setInterval(() => void inBackground(refresh(), log), everyMs).unref()

  async function refresh(): Promise<void> {
    try {
      const [info, keys] = await Promise.all([
        orRefused(connection.call((client) => client.info())),
        orRefused(connection.call((client) => client.dbSize())),
      ])
      last = { ...parseInfo(info?.toString() ?? ''), keys: keys ?? null }
    } catch (error) {
      // The failover notices an outage by itself; a sample is never a reason to leave Redis.
      if (!(error instanceof RedisUnavailable))
        log.error({ err: error }, 'unexpected error while sampling Redis (please report it)')
    }
  }

  /** Undefined where the server, or its user, has no such command: stats do without it. */
  async function orRefused<T>(figure: Promise<T>): Promise<T | undefined> {
    try {
      return await figure
    } catch (error) {
      if (!(error instanceof RedisUnavailable) || error.reason !== 'refused') throw error
      if (!isRefused)
        log.warn(
          { err: error },
          'Redis refused INFO or DBSIZE: stats show null for what only the server knows',
        )
      isRefused = true
      return undefined
    }
  }

  return { last: () => last, refresh, close: () => clearInterval(timer) }
}

/** The figures in a reply to INFO; null where a server does not give one. redis.io/commands/info */
export function parseInfo(info: string): Omit<ServerSample, 'keys'> {
  const fields = new Map(info.split('\r\n').map((line) => line.split(/:(.*)/s, 2) as [string, string]))
  const number = (name: string) => (fields.has(name) ? Number(fields.get(name)) : null)
  return {
    version: fields.get('redis_version') ?? null,
    usedMemoryBytes: number('used_memory'),
    datasetBytes: number('used_memory_dataset'),
    maxMemoryBytes: number('maxmemory'),
    evictedKeys: number('evicted_keys'),
  }
}
