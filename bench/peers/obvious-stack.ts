// The obvious stack, as each library's own README sets it up: connect-redis for sessions, rate-limiter-flexible with an
// insurance limiter in memory, bentocache over memory and Redis with its bus, and for the rest raw node-redis with
// try/catch onto node-cache (test/helpers/naive-subject.ts).
import { setTimeout as pause } from 'node:timers/promises'
import { BentoCache, bentostore } from 'bentocache'
import { memoryDriver } from 'bentocache/drivers/memory'
import { redisBusDriver, redisDriver } from 'bentocache/drivers/redis'
import { RedisStore } from 'connect-redis'
import type { SessionData } from 'express-session'
import { Redis } from 'ioredis'
import { RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible'
import { createClient } from 'redis'
import { openNaive } from '../../test/helpers/naive-subject.ts'
import { KEPT_MS, LIMIT, type OpenSubject } from '../../test/helpers/subject.ts'

const KEPT_S = KEPT_MS / 1_000

export const openObviousStack: OpenSubject = async (options) => {
  const naive = await openNaive(options)
  const sessions = createClient({ url: options.stateUrl })
  const limits = createClient({ url: options.stateUrl, disableOfflineQueue: true })
  for (const client of [sessions, limits]) {
    client.on('error', () => {}) // each call tells of it
    client.connect().catch(() => {})
  }
  const store = new RedisStore({ client: sessions, ttl: KEPT_S })

  const policy = { points: LIMIT, duration: KEPT_S }
  const insuranceLimiter = new RateLimiterMemory(policy)
  const limiter = new RateLimiterRedis({
    storeClient: limits,
    useRedisPackage: true,
    insuranceLimiter,
    ...policy,
  })

  const connections = [new Redis(options.cacheUrl), new Redis(options.cacheUrl)] as const
  for (const connection of connections) connection.on('error', () => {})
  const bento = new BentoCache({
    default: 'tiered',
    stores: {
      tiered: bentostore()
        .useL1Layer(memoryDriver({ maxSize: '8mb' }))
        .useL2Layer(redisDriver({ connection: connections[0] }))
        .useBus(redisBusDriver({ connection: connections[1] })),
    },
  })

  return {
    readSession: async (key) => (await read(store, key))?.text,
    writeSession: (key, text) =>
      settled((done) => store.set(key, { cookie: {}, text } as StoredSession, done)),
    destroySession: (key) => settled((done) => store.destroy(key, done)),
    claim: naive.claim,
    async hit(key) {
      try {
        await limiter.consume(key)
        return true
      } catch (refused) {
        if (refused instanceof RateLimiterRes) return false
        throw refused
      }
    },
    mark: naive.mark,
    marked: naive.marked,
    readCached: (key, load) => bento.getOrSet({ key, factory: load, ttl: KEPT_MS }),
    invalidate: (key) => bento.delete({ key }),
    clear: () => bento.clear(),
    status: naive.status,
    isSettled: () =>
      naive.isSettled() && sessions.isReady && limits.isReady && connections[0].status === 'ready',
    async close() {
      await naive.close()
      for (const client of [sessions, limits]) client.destroy()
      await Promise.race([bento.disconnectAll().catch(() => {}), pause(1_000)]) // it waits for a bus that may be gone
      for (const connection of connections) connection.disconnect()
    },
  }
}

type StoredSession = SessionData & { text: string }

function read(store: RedisStore, key: string): Promise<StoredSession | undefined> {
  return new Promise((resolve, reject) => {
    void store.get(key, (error, session) => (error ? reject(error) : resolve(session ?? undefined)))
  })
}

function settled(call: (done: (error?: unknown) => void) => unknown): Promise<void> {
  return new Promise((resolve, reject) => {
    void call((error) => (error ? reject(error) : resolve()))
  })
}
