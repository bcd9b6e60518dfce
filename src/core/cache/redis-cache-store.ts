// The Store contract over one Redis. A lost, slow or refusing server is RedisUnavailable.
import { keys } from '../keys.ts'
import { createReads } from '../redis/batched-reads.ts'
import type { RedisConnection } from '../redis/connection.ts'
import { runScript } from '../redis/script-runner.ts'
import { LEASE, RELEASE, SET_FENCED } from './cache-scripts.ts'
import { HEAD_BYTES, type LeaseState, type Store } from './cache-store.ts'

const SWEEP_BATCH = 200

/** A value for a key that may have lost it, how long it may still be used, and whether it is surely the newest. */
export interface CacheCopy {
  readonly key: string
  readonly value: Buffer
  readonly ttlMs: number
  readonly isNewer: boolean
}

export interface RedisStore extends Store {
  /** Writes those that are not there, and those that are newer than what is. One round trip. */
  fill(entries: readonly CacheCopy[]): Promise<void>
  /** Whether Redis is in a state from before a deletion that this process knows of. */
  isOlder(): Promise<boolean>
}

export interface RedisStoreOptions {
  connection: RedisConnection
  /** Put before every key; the names on this side of the contract are without it. */
  prefix: string
  /** Whether an older state of the server may come back: then deletions are counted in it. */
  mayComeBackOlder: boolean
}

export function createRedisStore(options: RedisStoreOptions): RedisStore {
  const { connection, prefix, mayComeBackOlder } = options
  let deletions = 0 // the highest count that was seen
  const call = connection.call
  const read = createReads(connection)
  const own = (key: string) => prefix + key

  return {
    get: (key) => read(own(key)),

    set(key, value, ttlMs, fence) {
      const ttl = Math.max(1, Math.round(ttlMs))
      if (!fence) return call(async (client) => (await client.set(own(key), value, { PX: ttl })) !== null)
      const parts = { keys: [own(key), own(fence.key)], arguments: [value, String(ttl), fence.holder] }
      return call(async (client) => (await runScript(client, SET_FENCED, parts)) === 1)
    },

    fill: (entries) =>
      call(async (client) => {
        const set = ({ key, value, ttlMs, isNewer }: CacheCopy) =>
          client.set(own(key), value, {
            PX: Math.max(1, Math.round(ttlMs)),
            ...(!isNewer && { condition: 'NX' as const }),
          })
        await Promise.all(entries.map(set))
      }),

    delete: (names) =>
      call(async (client) => {
        const [count] = await Promise.all([
          mayComeBackOlder ? client.incr(own(keys.deletions)) : 0,
          client.unlink(names.flatMap((key) => [own(key), own(keys.loadLock(key))])),
        ])
        deletions = Math.max(deletions, count)
      }),

    async isOlder() {
      if (!mayComeBackOlder) return false
      const count = Number((await read(own(keys.deletions))) ?? 0)
      if (count < deletions) return true
      deletions = count
      return false
    },

    lease: ({ key, holder }, ttlMs) =>
      call(async (client) => {
        const parts = { keys: [own(key)], arguments: [holder, String(ttlMs)] }
        return String(await runScript(client, LEASE, parts)) as LeaseState
      }),

    release: ({ key, holder }, end, rememberMs) =>
      call(async (client) => {
        await runScript(client, RELEASE, { keys: [own(key)], arguments: [holder, end, String(rememberMs)] })
      }),

    async sweep(namePrefix, isDead) {
      let cursor = '0'
      let deleted = 0
      do {
        const page = await call((client) =>
          client.scan(cursor, {
            MATCH: `${globEscaped(own(namePrefix))}*`,
            COUNT: SWEEP_BATCH,
            TYPE: 'string',
          }),
        )
        cursor = page.cursor.toString()
        const names = page.keys.map((name) => name.toString())
        if (names.length === 0) continue
        const heads = await call((client) =>
          Promise.all(names.map((name) => client.getRange(name, 0, HEAD_BYTES - 1))),
        )
        const dead = names.filter((name, i) => isDead(name.slice(prefix.length), heads[i] ?? Buffer.alloc(0)))
        if (dead.length > 0) deleted += await call((client) => client.unlink(dead))
      } while (cursor !== '0')
      return deleted
    },
  }
}

const globEscaped = (text: string) => text.replace(/[\\*?[\]]/g, '\\$&')
