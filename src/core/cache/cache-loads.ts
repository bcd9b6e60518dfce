// One load at a time for each key: in this process by a shared promise, across processes by a lease in Redis, which
// is also the fence: deleting a key breaks its lease, and a value that was loaded under it is not stored.

import { randomUUID } from 'node:crypto'
import { withoutDeadline } from '../../lib/async/request-deadline.ts'
import { createSingleFlight } from '../../lib/async/single-flight.ts'
import { type Now, pause, SECOND } from '../../lib/time.ts'
import type { Log } from '../../log.ts'
import { inBackground } from '../background.ts'
import { Refusal, sourceFailed } from '../errors.ts'
import { keys } from '../keys.ts'
import { encodeEntry } from './cache-entry.ts'
import type { LoadLease, Store } from './cache-store.ts'
import { type CacheValues, headOf } from './cache-values.ts'
import type { Cached, CachePolicy, Load } from './cached.ts'
import type { GenerationCounters } from './generation-counters.ts'

const LOAD_LEASE_MS = 6 * SECOND // renewed while the load runs: how long a crashed loader blocks the others
const LOAD_LIMIT_MS = 30 * SECOND
const FAILURE_REMEMBERED_MS = SECOND
const POLL_MS = { first: 10, cap: 200 }

export interface CacheLoads {
  /** The value, loaded here or by another process. Callers during the load share its outcome, a failure too. */
  run<T>(key: string, policy: CachePolicy<T>, load: Load<T>): Promise<Cached<T>>
  /** A load of this key that runs now is not stored, and the next caller starts a new one. */
  revoke(key: string): void
  /** The keys of the loads that run now and that the last clear has made dead. */
  cleared(): string[]
}

export interface CacheLoadsOptions {
  store: Store
  clears: GenerationCounters
  values: CacheValues
  log: Log
  now: Now
}

interface Running {
  readonly tags: readonly string[]
  revoked: boolean
}

export function createCacheLoads({ store, clears, values, log, now }: CacheLoadsOptions): CacheLoads {
  const flights = createSingleFlight<Cached<unknown>>()
  const loads = new Map<string, Running>()

  async function runOnce<T>(key: string, policy: CachePolicy<T>, load: Load<T>): Promise<Cached<T>> {
    const lease: LoadLease = { key: keys.loadLock(key), holder: randomUUID() }
    const others = await waitForTurn(key, lease, policy)
    if (others) return { ...others, outcome: 'miss' }

    const running: Running = { tags: policy.tags ?? [], revoked: false }
    const generation = clears.top()
    loads.set(key, running)
    const renew = () => withoutDeadline(() => void inBackground(prolong(lease), log))
    const renewal = setInterval(renew, LOAD_LEASE_MS / 3).unref()
    try {
      // No renewal after the load: sent after the release, it would take the lease again.
      const value = await limited(load(), key).finally(() => clearInterval(renewal))
      const loaded = values.make('miss', value, policy)
      const head = headOf(loaded, policy, generation)
      if (!running.revoked && !clears.isDead(key, head)) {
        await store.set(key, encodeEntry(head, loaded.body), head.staleUntilMs - now(), lease)
      }
      await store.release(lease, 'done', 0)
      return loaded
    } catch (cause) {
      await store.release(lease, 'failed', FAILURE_REMEMBERED_MS)
      if (cause instanceof Refusal) throw cause
      log.warn({ key, err: cause }, 'loading for the cache (кэш) failed')
      throw sourceFailed({ cause })
    } finally {
      if (loads.get(key) === running) loads.delete(key)
    }
  }

  async function prolong(lease: LoadLease): Promise<void> {
    await store.lease(lease, LOAD_LEASE_MS)
  }

  /** Resolves with the value that another process has loaded, or with undefined when the load is ours. */
  async function waitForTurn<T>(key: string, lease: LoadLease, policy: CachePolicy<T>) {
    const deadlineMs = performance.now() + LOAD_LIMIT_MS
    for (let waitMs = POLL_MS.first; ; waitMs = Math.min(POLL_MS.cap, waitMs * 2)) {
      const state = await store.lease(lease, LOAD_LEASE_MS)
      if (state === 'failed') throw sourceFailed()
      const found = values.read(key, await store.get(key), policy)
      if (found?.outcome === 'hit') {
        if (state === 'taken') await store.release(lease, 'done', 0)
        return found
      }
      if (state === 'taken' || performance.now() > deadlineMs) return undefined
      await pause(waitMs)
    }
  }

  return {
    run: <T>(key: string, policy: CachePolicy<T>, load: Load<T>) =>
      flights.run(key, () => runOnce(key, policy, load)) as Promise<Cached<T>>,
    revoke(key) {
      const running = loads.get(key)
      if (running) running.revoked = true
      flights.forget(key)
    },
    cleared() {
      const generation = clears.top() - 1
      return [...loads].flatMap(([key, { tags }]) => (clears.isDead(key, { generation, tags }) ? [key] : []))
    },
  }
}

async function limited<T>(load: Promise<T>, key: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    const giveUp = () => reject(new Error(`loading ${key} took longer than ${LOAD_LIMIT_MS / SECOND} s`))
    timer = setTimeout(giveUp, LOAD_LIMIT_MS).unref()
  })
  try {
    return await Promise.race([load, late])
  } finally {
    clearTimeout(timer)
  }
}
