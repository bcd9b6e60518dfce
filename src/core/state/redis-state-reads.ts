// Reading a version of the state role from Redis: its value, decoded by its kind, and when it ends.

import { corrupt } from '../../lib/codec.ts'
import type { Now } from '../../lib/time.ts'
import type { FindKind } from '../keys.ts'
import { createReads } from '../redis/batched-reads.ts'
import type { RedisClient, RedisConnection } from '../redis/connection.ts'
import type { Pairs } from './kinds/kind.ts'
import { type KindName, kinds, type StateValue, type VersionedEntry } from './kinds/kinds.ts'
import type { createRedisStateKeys } from './redis-state-keys.ts'

export interface RedisStateReadsOptions
  extends Pick<ReturnType<typeof createRedisStateKeys>, 'own' | 'reading'> {
  connection: RedisConnection
  kindOf: FindKind
  /** The version of this key that is known here: when Redis has the same one, its end need not be asked for. */
  known: (key: string) => VersionedEntry | undefined
  /** The bytes under this key are no value of its kind. */
  corrupt: (key: string) => void
  now: Now
}

export function createRedisStateReads(options: RedisStateReadsOptions) {
  const { connection, own, reading, kindOf, known, now } = options
  const readBytes = createReads(connection)

  async function fetch(client: RedisClient, key: string): Promise<VersionedEntry | undefined> {
    const kind = kindOf(key)
    if (kind === undefined) return undefined
    const [value, ttlMs] = await Promise.all([
      reading(key, fetchValue(client, key, kind)),
      client.pTTL(own(key)),
    ])
    if (!value) return undefined
    if (value.kind === 'max-register-map') return { value, expiresAtMs: Number.POSITIVE_INFINITY }
    return ttlMs > 0 ? { value, expiresAtMs: now() + ttlMs } : undefined
  }

  async function fetchValue(
    client: RedisClient,
    key: string,
    kind: KindName,
  ): Promise<StateValue | undefined> {
    const { inRedis } = kinds[kind]
    if (inRedis.type === 'string') return decode(key, kind, await client.get(own(key)))
    const pairs = await (inRedis.type === 'zset' ? fetchScores : fetchFields)(client, key)
    return pairs.length > 0 ? inRedis.decode(pairs) : undefined
  }

  const fetchScores = async (client: RedisClient, key: string): Promise<Pairs> =>
    (await client.zRangeWithScores(own(key), 0, -1)).map(({ value, score }) => [value.toString(), score])

  const fetchFields = async (client: RedisClient, key: string): Promise<Pairs> =>
    Object.entries(await client.hGetAll(own(key))).map(([field, number]) => [field, Number(number)])

  function decode(key: string, kind: KindName, bytes: Buffer | null | undefined): StateValue | undefined {
    if (!bytes) return undefined
    const value = kinds[kind].decode(bytes)
    if (value !== corrupt) return value
    options.corrupt(key)
    return undefined
  }

  return {
    /** Undefined for what is absent, corrupt, or of another type. */
    fetch,
    /** The same in a call of its own; reads of one tick travel together. */
    async find(key: string): Promise<VersionedEntry | undefined> {
      const kind = kindOf(key)
      if (kind === undefined || kinds[kind].inRedis.type !== 'string')
        return await connection.call((client) => fetch(client, key))
      const value = decode(key, kind, await readBytes(own(key)))
      if (!value) return undefined
      const here = known(key)
      if (here && isSame(here.value, value)) return { ...here, value }
      return await connection.call((client) => fetch(client, key))
    },
  }
}

function isSame(a: StateValue, b: StateValue): boolean {
  if (a.kind === 'max-register' && b.kind === 'max-register') return a.number === b.number
  return 'timestamp' in a && 'timestamp' in b && a.timestamp === b.timestamp
}
