// The cache role: process memory in front of Redis, and the whole cache while Redis is away.
// A value in memory is served without asking Redis while it is trusted. Trust ends with another client's write (client
// tracking), after a second where the server has no tracking, and for everything when Redis returns.
import { withoutDeadline } from '../../lib/async/request-deadline.ts'
import { type Now, SECOND } from '../../lib/time.ts'
import type { Log } from '../../log.ts'
import { inBackground } from '../background.ts'
import type { RedisConnection } from '../redis/connection.ts'
import type { Failover } from '../redis/failover.ts'
import type { CacheMerge, Inspect } from './cache-merge.ts'
import type { IsDead, LoadLease, LoadLeaseState, Store } from './cache-store.ts'
import type { MemoryStore } from './memory-cache-store.ts'
import type { PendingInvalidations } from './pending-invalidations.ts'
import type { RedisStore } from './redis-cache-store.ts'

const UNTRACKED_TRUST_MS = SECOND
/** Beyond them the oldest is forgotten, which costs one more read of its key. */
const MOST_ECHOES = 10_000

export interface TieredStoreOptions {
  redis: RedisStore
  memory: MemoryStore
  failover: Failover
  merge: Pick<CacheMerge, 'sweepLater'>
  pendingInvalidations: PendingInvalidations
  connection: Pick<RedisConnection, 'onInvalidate' | 'isTracked'>
  inspect: Inspect
  log: Log
  now?: Now
}

export interface TieredStore extends Store {
  /** The value if memory may answer: for Redis, or because that is away. Without a promise. */
  peek(key: string): Buffer | undefined
  /** Sweeps memory alone. */
  sweepNow: MemoryStore['sweepNow']
  /** Sweeps Redis alone; nothing while it is away. */
  sweepBehind(isDead: IsDead): Promise<number>
  /** Redis may have other values by now: from here on each is read before it is served. */
  revalidate(): void
}

export function createTieredStore(options: TieredStoreOptions): TieredStore {
  const { redis, memory, failover, merge, pendingInvalidations, connection, inspect, log } = options
  const { now = Date.now } = options
  // By the bytes in memory, so that an entry ends with its value and no budget has to know of it.
  let trustedUntilMs = new WeakMap<Buffer, number>()
  // The last read or write of a key that is under way; none when the key has been deleted or written by another client
  // since. Only the last one fills memory. Ends with the call.
  const lastCall = new Map<string, symbol>()
  const echoes = new Set<string>() // keys our script has written, until Redis announces that
  const leasedInRedis = new Set<string>() // holders of leases that Redis may have, until the load has ended

  connection.onInvalidate((key) => {
    if (key === undefined) return revalidate()
    forget([key])
    // Redis counts a script's write as another client's, so this may announce our own: it is read back.
    if (echoes.delete(key)) withoutDeadline(() => void inBackground(reread(key), log))
  })

  function revalidate(): void {
    lastCall.clear()
    echoes.clear()
    trustedUntilMs = new WeakMap()
  }

  function forget(names: readonly string[]): void {
    memory.deleteNow(names)
    for (const key of names) lastCall.delete(key)
  }

  function begin(key: string): symbol {
    const call = Symbol()
    lastCall.set(key, call)
    return call
  }

  const isLast = (key: string, call: symbol) => lastCall.get(key) === call

  function end(key: string, call: symbol): void {
    if (isLast(key, call)) lastCall.delete(key)
  }

  function keep(key: string, value: Buffer, ttlMs: number): void {
    const untilMs = connection.isTracked() ? Number.POSITIVE_INFINITY : now() + UNTRACKED_TRUST_MS
    trustedUntilMs.set(value, untilMs)
    memory.setNow(key, value, ttlMs)
  }

  function peek(key: string): Buffer | undefined {
    const value = memory.peek(key)
    if (!value || failover.isRedis())
      return value && (trustedUntilMs.get(value) ?? 0) > now() ? value : undefined
    failover.served()
    return value
  }

  async function readThrough(key: string): Promise<Buffer | undefined> {
    if (pendingInvalidations.has(key)) return undefined // Redis may only have been too slow to delete it
    const call = begin(key)
    try {
      const value = await redis.get(key)
      if (!isLast(key, call)) return value
      const ttlMs = value && inspect(key, value)?.remainingMs
      if (!value || ttlMs === undefined) {
        memory.deleteNow([key])
        return value
      }
      // A reply is a slice of all that the socket read with it: kept as it is, it would keep all of that.
      const own = Buffer.from(value)
      keep(key, own, ttlMs)
      return own
    } finally {
      end(key, call)
    }
  }

  async function reread(key: string): Promise<void> {
    await failover.attempt(
      () => readThrough(key),
      () => undefined,
    )
  }

  function write(key: string, value: Buffer, ttlMs: number, fence?: LoadLease): Promise<boolean> {
    return fence ? writeFenced(key, value, ttlMs, fence) : redis.set(key, value, ttlMs)
  }

  async function writeFenced(key: string, value: Buffer, ttlMs: number, fence: LoadLease): Promise<boolean> {
    if (connection.isTracked()) expectEcho(key)
    let written = false
    try {
      written = await redis.set(key, value, ttlMs, fence)
      return written
    } finally {
      if (!written) echoes.delete(key)
    }
  }

  function expectEcho(key: string): void {
    echoes.add(key)
    const [oldest] = echoes
    if (echoes.size > MOST_ECHOES && oldest !== undefined) echoes.delete(oldest)
  }

  return {
    peek,
    revalidate,
    get: async (key) =>
      peek(key) ??
      failover.attempt(
        () => readThrough(key),
        () => memory.peek(key),
      ),

    async set(key, value, ttlMs, fence) {
      const call = begin(key)
      try {
        return await failover.attempt(
          async () => {
            const written = await write(key, value, ttlMs, fence)
            if (written && isLast(key, call)) keep(key, value, ttlMs)
            return written
          },
          // A key that was deleted while Redis was asked must not come back.
          async () => isLast(key, call) && memory.set(key, value, ttlMs),
        )
      } finally {
        end(key, call)
      }
    },

    delete(names) {
      forget(names)
      return failover.attempt(
        () => redis.delete(names),
        () => pendingInvalidations.add(names),
      )
    },

    lease({ key, holder }, ttlMs) {
      const noted = (state: LoadLeaseState) => {
        if (state !== 'taken') leasedInRedis.delete(holder)
        return state
      }
      return failover.attempt(
        async () => {
          leasedInRedis.add(holder) // before it is asked: without an answer it may have been taken
          return noted(await redis.lease({ key, holder }, ttlMs))
        },
        async () => noted(await memory.lease({ key, holder }, ttlMs)),
      )
    },
    release: (lease, end, rememberMs) =>
      failover.attempt(
        async () => {
          await redis.release(lease, end, rememberMs)
          leasedInRedis.delete(lease.holder)
        },
        () => {
          // Left in Redis it would make the next load wait for one that has ended.
          if (leasedInRedis.delete(lease.holder)) pendingInvalidations.add([lease.key])
          return memory.release(lease, end, rememberMs)
        },
      ),

    sweepNow: memory.sweepNow,
    sweepBehind: (isDead) =>
      failover.attempt(
        () => redis.sweep('', isDead),
        () => 0,
      ),
    async sweep(prefix, isDead, below) {
      const deleted = memory.sweepNow(prefix, isDead)
      return failover.attempt(
        () => redis.sweep(prefix, isDead, below),
        () => {
          merge.sweepLater(isDead)
          return deleted
        },
      )
    },
  }
}
