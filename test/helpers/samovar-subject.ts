// Samovar as the fault suite drives it: both roles and the cache, as the app opens them.

import { openProcess } from './stores.ts'
import { KEPT_MS, LIMIT, type OpenSubject } from './subject.ts'

const policy = { freshMs: KEPT_MS, staleMs: 0, parse: String }

export const openSamovar: OpenSubject = async ({ memoryBudgetBytes, workers = 1, ...options }) => {
  const app = await openProcess({ ...options, workers, ...(memoryBudgetBytes && { memoryBudgetBytes }) })
  const { state, cache } = app
  return {
    readSession: async (key) => (await state.read(`session:${key}`))?.bytes.toString(),
    writeSession: (key, text) => state.write(`session:${key}`, Buffer.from(text), KEPT_MS),
    destroySession: (key) => state.destroy(`session:${key}`, KEPT_MS),
    claim: async (key, who) => (await state.claim(`webhook:${key}`, Buffer.from(who), KEPT_MS)).taken,
    hit: async (key, id) => {
      const hit = { id, nowMs: Date.now(), limit: LIMIT, windowMs: KEPT_MS }
      return (await state.hit(`limit:${key}`, hit)).allowed
    },
    mark: (key, number) => state.mark(`revoked:${key}`, number, KEPT_MS),
    marked: (key) => state.marked(`revoked:${key}`),
    readCached: async (key, load) => String((await cache.getOrLoad(key, policy, load)).value),
    invalidate: (key) => cache.invalidate([key]),
    clear: () => cache.clear('all'),
    status: () => app.status().status,
    isSettled: () => app.status().status === 'redis' && app.pendingWrites() === 0,
    close: app.close,
  }
}
