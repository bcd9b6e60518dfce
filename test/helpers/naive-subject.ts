// What one writes first: try Redis, catch, go on with node-cache. The checker must find fault with it.
import NodeCache from 'node-cache'
import { createClient } from 'redis'
import { KEPT_MS, LIMIT, type OpenSubject } from './subject.ts'

const TTL = { PX: KEPT_MS } as const

export const openNaive: OpenSubject = async ({ cacheUrl, stateUrl }) => {
  const memory = new NodeCache({ useClones: false })
  const state = connect(stateUrl)
  const cached = connect(cacheUrl)

  async function orElse<T>(onRedis: () => Promise<T>, onMemory: () => T): Promise<T> {
    try {
      return await onRedis()
    } catch {
      return onMemory()
    }
  }

  return {
    readSession: (key) =>
      orElse(
        async () => (await state.get(`session:${key}`)) ?? undefined,
        () => memory.get<string>(key),
      ),
    writeSession: (key, text) =>
      orElse<unknown>(
        () => state.set(`session:${key}`, text, TTL),
        () => memory.set(key, text),
      ),
    destroySession: (key) =>
      orElse<unknown>(
        () => state.del(`session:${key}`),
        () => memory.del(key),
      ),
    claim: (key, who) =>
      orElse(
        async () => (await state.set(`claim:${key}`, who, { ...TTL, condition: 'NX' })) === 'OK',
        () => !memory.has(key) && memory.set(key, who),
      ),
    hit: (key) =>
      orElse(
        async () => (await state.incr(`limit:${key}`)) <= LIMIT,
        () => {
          const hits = (memory.get<number>(`limit:${key}`) ?? 0) + 1
          memory.set(`limit:${key}`, hits)
          return hits <= LIMIT
        },
      ),
    mark: (key, number) =>
      orElse<unknown>(
        () => state.set(`mark:${key}`, number),
        () => memory.set(`mark:${key}`, number),
      ),
    marked: (key) =>
      orElse(
        async () => Number((await state.get(`mark:${key}`)) ?? 0),
        () => memory.get<number>(`mark:${key}`),
      ),
    async readCached(key, load) {
      const found = await orElse(
        () => cached.get(`cache:${key}`),
        () => memory.get<string>(`cache:${key}`),
      )
      if (found) return found
      const loaded = await load()
      await orElse<unknown>(
        () => cached.set(`cache:${key}`, loaded, TTL),
        () => memory.set(`cache:${key}`, loaded),
      )
      return loaded
    },
    invalidate: (key) =>
      orElse<unknown>(
        () => cached.del(`cache:${key}`),
        () => memory.del(`cache:${key}`),
      ),
    clear: () =>
      orElse<unknown>(
        async () => {
          const keys = await cached.keys('cache:*')
          if (keys.length > 0) await cached.del(keys)
        },
        () => memory.del(memory.keys().filter((key) => key.startsWith('cache:'))),
      ),
    status: () => (state.isReady && cached.isReady ? 'redis' : 'memory'),
    isSettled: () => state.isReady && cached.isReady,
    async close() {
      memory.close()
      state.destroy()
      cached.destroy()
    },
  }
}

function connect(url: string) {
  const client = createClient({
    url,
    disableOfflineQueue: true,
    socket: { reconnectStrategy: () => 100 },
  })
  client.on('error', () => {}) // each call tells of it
  client.connect().catch(() => {}) // it goes on trying
  return client
}
