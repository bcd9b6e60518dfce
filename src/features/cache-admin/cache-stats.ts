// What GET /api/cache/stats says, put together from what the parts already know: Redis is not asked.
import type { CacheCounts } from '../../core/cache/cache.ts'

export interface CacheStats {
  backend: 'redis' | 'memory'
  enabled: boolean
  mode: 'embedded' | 'external' | 'memory'
  status: 'redis' | 'memory' | 'merging'
  since: string
  hits: number
  misses: number
  hitRate: number
  keys: number | null
  memoryBytes: number | null
  uptimeSeconds: number
  redis: {
    connected: boolean
    version: string | null
    usedMemoryBytes: number | null
    maxMemoryBytes: number | null
    evictedKeys: number | null
    lastError: string | null
  }
  fallback: {
    active: boolean
    since: string | null
    activations: number
    blips: number
    reconnects: number
    servedCalls: number
    pendingWrites: number
    standby: 'full' | 'partial'
    /** How often a damaged value of the state role was met, in Redis or on disk. */
    corrupt: number
  }
  /** What was wrong with files of the data directory, in the last day. */
  fileAlerts: { file: string; problem: string; since: string }[]
}

export interface CacheStatsParts {
  enabled: boolean
  mode: CacheStats['mode']
  startedAtMs: number
  status: { status: CacheStats['status']; sinceMs: number } & Pick<
    CacheStats['fallback'],
    'activations' | 'blips' | 'reconnects' | 'servedCalls'
  >
  counts: CacheCounts
  /** The cache role's server; `sample` is undefined before the first one, its sizes null where it is shared. */
  server: {
    isConnected: boolean
    lastError: string | null
    sample:
      | {
          version: string | null
          usedMemoryBytes: number | null
          datasetBytes: number | null
          maxMemoryBytes: number | null
          evictedKeys: number | null
          keys: number | null
        }
      | undefined
  }
  memory: { keys: number; bytes: number }
  pendingWrites: number
  standby: 'full' | 'partial'
  fileAlerts: readonly { file: string; problem: string; atMs: number }[]
  corrupt: number
}

export function cacheStats(parts: CacheStatsParts, nowMs: number): CacheStats {
  const { status, sinceMs, activations, blips, reconnects, servedCalls } = parts.status
  const { hits, misses } = parts.counts
  const { isConnected, lastError, sample } = parts.server
  const since = new Date(sinceMs).toISOString()
  const backend = status === 'redis' ? 'redis' : 'memory'
  const isAway = backend === 'memory' && parts.mode !== 'memory'
  return {
    backend,
    enabled: parts.enabled,
    mode: parts.mode,
    status,
    since,
    hits,
    misses,
    hitRate: hits + misses === 0 ? 0 : Math.round((hits / (hits + misses)) * 100) / 100,
    ...sizes(parts, backend),
    uptimeSeconds: Math.floor((nowMs - parts.startedAtMs) / 1_000),
    redis: {
      connected: isConnected,
      version: sample?.version ?? null,
      usedMemoryBytes: sample?.usedMemoryBytes ?? null,
      maxMemoryBytes: sample?.maxMemoryBytes ?? null,
      evictedKeys: sample?.evictedKeys ?? null,
      lastError,
    },
    fallback: {
      active: isAway,
      since: isAway ? since : null,
      activations,
      blips,
      reconnects,
      servedCalls,
      pendingWrites: parts.pendingWrites,
      standby: parts.standby,
      corrupt: parts.corrupt,
    },
    fileAlerts: parts.fileAlerts.map(({ file, problem, atMs }) => ({
      file,
      problem,
      since: new Date(atMs).toISOString(),
    })),
  }
}

function sizes({ server, memory }: CacheStatsParts, backend: CacheStats['backend']) {
  if (backend === 'memory') return { keys: memory.keys, memoryBytes: memory.bytes }
  return { keys: server.sample?.keys ?? null, memoryBytes: server.sample?.datasetBytes ?? null }
}
