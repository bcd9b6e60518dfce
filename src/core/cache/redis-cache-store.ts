// The Store contract over one Redis. A lost, slow or refusing server is RedisUnavailable. A value of another type under
// one of our keys is that key's trouble: MGET answers nil for it, SET and UNLINK take its place, and so do our scripts.
import { ErrorReply } from 'redis'
import { keys } from '../keys.ts'
import { createReads } from '../redis/batched-reads.ts'
import type { RedisClient, RedisConnection } from '../redis/connection.ts'
import { runScript } from '../redis/script-runner.ts'
import { RELEASE_LOAD_LEASE, SET_FENCED, SWEEP_PAGE, TAKE_LOAD_LEASE } from './cache-scripts.ts'
import { HEAD_BYTES, type LoadLeaseState, type Store } from './cache-store.ts'

const SWEEP_BATCH = 500
/** Of an entry, what tells the clear it was loaded after. */
const GENERATION_BYTES = 64
const NOTHING = Buffer.alloc(0)
/** Replies to INCR that concern the key alone. */
const OF_THIS_KEY = /WRONGTYPE|not an integer|would overflow/

/** A value for a key that may have lost it, how long it may still be used, and whether it is surely the newest. */
export interface CacheCopy {
  readonly key: string
  readonly value: Buffer
  readonly ttlMs: number
  readonly isNewer: boolean
}

export interface RedisStore extends Store {
  /** Writes those that Redis does not have, and those that are newer than its own. One round trip. */
  fill(entries: readonly CacheCopy[]): Promise<void>
  /** Whether Redis is in a state from before a deletion that this process knows of. */
  isOlder(): Promise<boolean>
}

export interface RedisStoreOptions {
  connection: RedisConnection
  /** Put before every key in Redis; callers name keys without it. */
  prefix: string
  /** Whether the server may come back in an older state: then deletions are counted in it. */
  mayComeBackOlder: boolean
}

export function createRedisStore(options: RedisStoreOptions): RedisStore {
  const { connection, prefix, mayComeBackOlder } = options
  let deletions = 0 // the highest count seen here
  const call = connection.call
  const read = createReads(connection)
  const own = (key: string) => prefix + key

  async function countDeletion(client: RedisClient): Promise<number> {
    try {
      return await client.incr(own(keys.deletions))
    } catch (error) {
      if (!isOfThisKey(error)) throw error
      await client.set(own(keys.deletions), String(deletions + 1))
      return deletions + 1
    }
  }

  return {
    get: (key) => read(own(key)),

    set(key, value, ttlMs, fence) {
      const ttl = Math.max(1, Math.round(ttlMs))
      if (!fence) return call((client) => client.set(own(key), value, { PX: ttl }).then(isWritten))
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
          mayComeBackOlder ? countDeletion(client) : 0,
          client.unlink(names.flatMap((key) => [own(key), own(keys.loadLock(key))])),
        ])
        deletions = Math.max(deletions, count)
      }),

    async isOlder() {
      if (!mayComeBackOlder) return false
      const count = countIn(await read(own(keys.deletions)))
      if (count < deletions) return true
      deletions = count
      return false
    },

    lease: ({ key, holder }, ttlMs) =>
      call(async (client) => {
        const parts = { keys: [own(key)], arguments: [holder, String(ttlMs)] }
        return String(await runScript(client, TAKE_LOAD_LEASE, parts)) as LoadLeaseState
      }),

    release: ({ key, holder }, end, rememberMs) =>
      call(async (client) => {
        const parts = { keys: [own(key)], arguments: [holder, end, String(rememberMs)] }
        await runScript(client, RELEASE_LOAD_LEASE, parts)
      }),

    async sweep(namePrefix, isDead, below) {
      const pattern = `${globEscaped(own(namePrefix))}*`
      const headBytes = below === undefined ? HEAD_BYTES : GENERATION_BYTES
      let cursor = '0'
      let deleted = 0
      do {
        const asked = [cursor, pattern, SWEEP_BATCH, headBytes - 1, below ?? ''].map(String)
        const page = await call((client) => runScript(client, SWEEP_PAGE, { keys: [], arguments: asked }))
        const [next, names, heads] = page as [Buffer, Buffer[], Buffer[]]
        cursor = next.toString()
        const isGone = (name: Buffer, i: number) =>
          below !== undefined || isDead(name.toString().slice(prefix.length), heads[i] ?? NOTHING)
        const dead = names.filter(isGone)
        // Not in the script: Redis would tell us of each key as of another client's deletion.
        if (dead.length > 0) deleted += await call((client) => client.unlink(dead))
      } while (cursor !== '0')
      return deleted
    },
  }
}

const isWritten = (reply: unknown) => reply !== null

const isOfThisKey = (error: unknown) => error instanceof ErrorReply && OF_THIS_KEY.test(error.message)

/** 0 for bytes that are no count: a process that has seen a higher one takes the server for older, which is safe. */
function countIn(bytes: Buffer | undefined): number {
  const count = Number(bytes ?? 0)
  return Number.isSafeInteger(count) ? count : 0
}

const globEscaped = (text: string) => text.replace(/[\\*?[\]]/g, '\\$&')
