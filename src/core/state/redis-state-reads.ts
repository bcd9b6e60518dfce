// Reading a version of the state role from Redis: its value, decoded by its kind, and when it ends.

import { corrupt } from '../../lib/codec.ts'
import type { Now } from '../../lib/time.ts'
import type { FindKind } from '../keys.ts'
import { createReads } from '../redis/batched-reads.ts'
import type { RedisClient, RedisConnection } from '../redis/connection.ts'
import { type KindName, kinds, type StateValue, type VersionedEntry } from './kinds/kinds.ts'
import type { RedisRepair } from './merge/redis-repair.ts'
import type { createRedisStateKeys } from './redis-state-keys.ts'

export interface RedisStateReadsOptions
  extends Pick<ReturnType<typeof createRedisStateKeys>, 'own' | 'reading'> {
  connection: RedisConnection
  kindOf: FindKind
  /** The version of this key that is known here: when Redis has the same one, its end need not be asked for. */
  known: (key: string) => VersionedEntry | undefined
  /** The bytes under this key are no value of its kind, or not what was written there. */
  corrupt: (key: string) => void
  repair: Pick<RedisRepair, 'rewrite' | 'rewriteSet' | 'dropEntries'>
  now: Now
}

type InRedisPairs = Exclude<(typeof kinds)[KindName]['inRedis'], { type: 'string' }>

export function createRedisStateReads(options: RedisStateReadsOptions) {
  const { connection, own, reading, kindOf, known, repair, now } = options
  const readBytes = createReads(connection)

  async function fetch(client: RedisClient, key: string): Promise<VersionedEntry | undefined> {
    const kind = kindOf(key)
    if (kind === undefined) return undefined
    const [found, ttlMs] = await Promise.all([
      reading(key, fetchValue(client, key, kind)),
      client.pTTL(own(key)),
    ])
    if (!found) return undefined
    const { value, isCurrent } = found
    if (value.kind === 'max-register-map') return { value, expiresAtMs: Number.POSITIVE_INFINITY }
    if (ttlMs <= 0) return undefined
    const entry = { value, expiresAtMs: now() + ttlMs }
    if (!isCurrent && kinds[kind].inRedis.type === 'zset') await repair.rewriteSet(client, key, entry)
    return entry
  }

  async function fetchValue(client: RedisClient, key: string, kind: KindName) {
    const { inRedis } = kinds[kind]
    if (inRedis.type !== 'string') return fetchPairs(client, key, inRedis)
    const bytes = await client.get(own(key))
    const value = decode(key, kind, bytes)
    if (!value || !bytes) return undefined
    if (!inRedis.isCurrent(bytes)) await repair.rewrite(client, key, bytes, value)
    return { value, isCurrent: true }
  }

  async function fetchPairs(client: RedisClient, key: string, { type, decode }: InRedisPairs) {
    const raw = await (type === 'zset' ? fetchScores : fetchFields)(client, key)
    if (raw.length === 0) return undefined
    const pairs = raw.map(([name, number]) => [name.toString(), number] as const)
    const { value, damaged, isCurrent } = decode(pairs, key)
    if (damaged.length > 0) {
      const isDamaged = new Set(damaged)
      await repair.dropEntries(
        client,
        key,
        raw.filter((_, i) => isDamaged.has(pairs[i] as (typeof damaged)[number])),
      )
    }
    return damaged.length < pairs.length ? { value, isCurrent } : undefined
  }

  const fetchScores = async (client: RedisClient, key: string) =>
    (await client.zRangeWithScores(own(key), 0, -1)).map(({ value, score }) => [value, score] as const)

  const fetchFields = async (client: RedisClient, key: string) =>
    Object.entries(await client.hGetAll(own(key))).map(
      ([field, number]) => [Buffer.from(field), Number(number)] as const,
    )

  function decode(key: string, kind: KindName, bytes: Buffer | null | undefined): StateValue | undefined {
    const { inRedis } = kinds[kind]
    if (!bytes || inRedis.type !== 'string') return undefined
    const value = inRedis.decode(bytes, key)
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
      const inRedis = kind && kinds[kind].inRedis
      if (!kind || inRedis?.type !== 'string') return await connection.call((client) => fetch(client, key))
      const bytes = await readBytes(own(key))
      const value = decode(key, kind, bytes)
      if (!value || !bytes) return undefined
      const here = known(key)
      if (here && inRedis.isCurrent(bytes) && isSame(here.value, value)) return { ...here, value }
      return await connection.call((client) => fetch(client, key))
    },
  }
}

function isSame(a: StateValue, b: StateValue): boolean {
  if (a.kind === 'max-register' && b.kind === 'max-register') return a.number === b.number
  return 'timestamp' in a && 'timestamp' in b && a.timestamp === b.timestamp
}
