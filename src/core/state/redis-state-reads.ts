// Reading a version of the state role from Redis: its value, decoded by its kind, and when it ends.

import { corrupt } from '../../lib/codec.ts'
import type { Now } from '../../lib/time.ts'
import type { FindKind } from '../keys.ts'
import { createReads } from '../redis/batched-reads.ts'
import type { RedisClient, RedisConnection } from '../redis/connection.ts'
import { runScript } from '../redis/script-runner.ts'
import { type KindName, kinds, type StateValue, type VersionedEntry } from './kinds/kinds.ts'
import type { RedisRepair } from './merge/redis-repair.ts'
import type { createRedisStateKeys } from './redis-state-keys.ts'
import { READ } from './state-scripts.ts'

export interface RedisStateReadsOptions
  extends Pick<ReturnType<typeof createRedisStateKeys>, 'own' | 'foreign'> {
  connection: RedisConnection
  kindOf: FindKind
  /** The version of this key that is known here: when Redis has the same one, its end need not be asked for. */
  known: (key: string) => VersionedEntry | undefined
  /** The bytes under this key are no value of its kind, or not what was written there. */
  corrupt: (key: string) => void
  repair: Pick<RedisRepair, 'rewrite' | 'rewriteSet' | 'dropEntries'>
  now: Now
}

/** Of a string its bytes, of the others names and numbers in turn. */
type Found = Buffer | readonly Buffer[] | null

const FOREIGN = -3

type InRedisPairs = Exclude<(typeof kinds)[KindName]['inRedis'], { type: 'string' }>

export function createRedisStateReads(options: RedisStateReadsOptions) {
  const { connection, own, foreign, kindOf, known, repair, now } = options
  const readBytes = createReads(connection)

  /** Undefined for what is absent, corrupt, or of another type. One round trip. */
  async function fetch(
    client: RedisClient,
    names: readonly string[],
  ): Promise<(VersionedEntry | undefined)[]> {
    const wanted: string[] = []
    const kindOfEach: KindName[] = []
    for (const key of names) {
      const kind = kindOf(key)
      if (kind === undefined) continue
      wanted.push(key)
      kindOfEach.push(kind)
    }
    if (wanted.length === 0) return names.map(() => undefined)
    const types = kindOfEach.map((kind) => kinds[kind].inRedis.type)
    const reply = await runScript(client, READ, { keys: wanted.map(own), arguments: types })
    const found = reply as (number | Found)[]
    const entries = new Map<string, VersionedEntry>()
    for (const [i, key] of wanted.entries()) {
      const [ttlMs, value] = [found[2 * i] as number, found[2 * i + 1] as Found]
      if (ttlMs === FOREIGN) foreign(key, 'read')
      if (!value) continue
      const judged = judge(client, key, kindOfEach[i] as KindName, value, ttlMs)
      const entry = judged instanceof Promise ? await judged : judged
      if (entry) entries.set(key, entry)
    }
    return names.map((key) => entries.get(key))
  }

  type Judged = VersionedEntry | undefined

  /** Of a sound value without a promise: a resync judges a hundred thousand. */
  function judge(
    client: RedisClient,
    key: string,
    kind: KindName,
    found: NonNullable<Found>,
    ttlMs: number,
  ): Judged | Promise<Judged> {
    const { inRedis } = kinds[kind]
    if (inRedis.type !== 'string') return judgePairs(client, key, inRedis, found as readonly Buffer[], ttlMs)
    const bytes = found as Buffer
    const value = decode(key, kind, bytes)
    const entry = value && ttlMs > 0 ? { value, expiresAtMs: now() + ttlMs } : undefined
    if (!value || inRedis.isCurrent(bytes)) return entry
    return repair.rewrite(client, key, bytes, value).then(() => entry)
  }

  function judgePairs(
    client: RedisClient,
    key: string,
    { decode }: InRedisPairs,
    found: readonly Buffer[],
    ttlMs: number,
  ): Judged | Promise<Judged> {
    const pairs: [string, number][] = []
    for (let i = 0; i < found.length; i += 2) pairs.push([String(found[i]), Number(found[i + 1])])
    if (pairs.length === 0) return undefined
    const { value, damaged, isCurrent } = decode(pairs, key)
    const isMap = value.kind === 'max-register-map'
    const endsAtMs = isMap ? Number.POSITIVE_INFINITY : now() + ttlMs
    const entry = isMap || ttlMs > 0 ? { value, expiresAtMs: endsAtMs } : undefined
    if (damaged.length === 0 && (isMap || isCurrent || !entry)) return entry
    return mend()

    async function mend(): Promise<Judged> {
      if (damaged.length > 0) {
        const isDamaged = new Set<unknown>(damaged)
        // By its bytes: they need not be UTF-8.
        const raw = pairs.map(([, number], i) => [found[2 * i] as Buffer, number] as const)
        await repair.dropEntries(
          client,
          key,
          raw.filter((_, i) => isDamaged.has(pairs[i])),
        )
      }
      if (damaged.length === pairs.length) return undefined
      if (entry && !isMap && !isCurrent) await repair.rewriteSet(client, key, entry)
      return entry
    }
  }

  function decode(key: string, kind: KindName, bytes: Buffer | null | undefined): StateValue | undefined {
    const { inRedis } = kinds[kind]
    if (!bytes || inRedis.type !== 'string') return undefined
    const value = inRedis.decode(bytes, key)
    if (value !== corrupt) return value
    options.corrupt(key)
    return undefined
  }

  return {
    fetch,
    /** The same in a call of its own; reads of one tick travel together. */
    async find(key: string): Promise<VersionedEntry | undefined> {
      const kind = kindOf(key)
      const inRedis = kind && kinds[kind].inRedis
      if (!kind || inRedis?.type !== 'string')
        return await connection.call(async (client) => (await fetch(client, [key]))[0])
      const bytes = await readBytes(own(key))
      const value = decode(key, kind, bytes)
      if (!value || !bytes) return undefined
      const here = known(key)
      // The same object each time: who has decoded its bytes need not do so again. The checksum is in the timestamp.
      if (here && inRedis.isCurrent(bytes) && isSame(here.value, value)) return here
      return await connection.call(async (client) => (await fetch(client, [key]))[0])
    },
  }
}

function isSame(a: StateValue, b: StateValue): boolean {
  if (a.kind === 'max-register' && b.kind === 'max-register') return a.number === b.number
  return 'timestamp' in a && 'timestamp' in b && a.timestamp === b.timestamp
}
