// One load at a time for each key: in this process by a shared promise, across processes by a lease in Redis, which
// is also the fence: deleting a key breaks its lease, and a value that was loaded under it is not stored.
// A load lives while a caller waits for it. When all have gone it gives its lease back and ends.

import { randomUUID } from 'node:crypto'
import { startDeadline } from '../../lib/async/deadlines.ts'
import { withoutDeadline } from '../../lib/async/request-deadline.ts'
import { createSharedCalls } from '../../lib/async/shared-calls.ts'
import { type Now, pause, SECOND } from '../../lib/time.ts'
import type { Log } from '../../log.ts'
import { inBackground } from '../background.ts'
import { abandoned, Refusal, SourceTooSlow, sourceFailed, tooManyLoads } from '../errors.ts'
import { keys } from '../keys.ts'
import { encodeEntry } from './cache-entry.ts'
import type { LoadLease, Store } from './cache-store.ts'
import { type CacheValues, type Found, headOf } from './cache-values.ts'
import type { Cached, CachePolicy, Load } from './cached.ts'
import type { GenerationCounters } from './generation-counters.ts'

const LOAD_LEASE_MS = 6 * SECOND // renewed while the load runs: how long a crashed loader blocks the others
const LOAD_LIMIT_MS = 30 * SECOND
const FAILURE_REMEMBERED_MS = SECOND
const POLL_MS = { first: 10, cap: 200 }
const MOST_LOADS = 2_000 // each holds a lease, two timers and what it loads

export interface CacheLoads {
  /** The value, loaded here or by another process. Callers during the load share its outcome, a failure too. */
  run<T>(key: string, policy: CachePolicy<T>, load: Load<T>): Promise<Cached<T>>
  /** Whether a load of this key runs here, which the next caller joins. */
  isRunning(key: string): boolean
  /** A load of this key that runs now is not stored, and the next caller starts a new one. */
  revoke(key: string): void
  /** The same, and gives its lease back, for where the value itself stays. */
  supersede(key: string): Promise<void>
  /** The keys of the loads that run now and began before a clear that concerns them. */
  cleared(): string[]
}

export interface CacheLoadsOptions {
  store: Store
  clears: GenerationCounters
  values: CacheValues
  /** A value has been stored where a softly cleared one was. */
  onReplaced?: () => void
  log: Log
  now: Now
}

interface Running {
  readonly tags: readonly string[]
  /** The last clear that was known when it began. */
  readonly generation: number
  readonly lease: LoadLease
  readonly renewal: NodeJS.Timeout
  revoked: boolean
}

export function createCacheLoads(options: CacheLoadsOptions): CacheLoads {
  const { store, clears, values, onReplaced = () => {}, log, now } = options
  const flights = createSharedCalls<Cached<unknown>>({ most: MOST_LOADS, full: tooManyLoads, abandoned })
  const loads = new Map<string, Running>()

  async function runOnce<T>(
    key: string,
    policy: CachePolicy<T>,
    load: Load<T>,
    signal: AbortSignal,
  ): Promise<Cached<T>> {
    const lease: LoadLease = { key: keys.loadLock(key), holder: randomUUID() }
    const { others, before } = await waitForTurn(key, lease, policy, signal)
    if (others) return { ...others, outcome: 'miss' }

    const tags = policy.tags ?? []
    const generation = clears.top()
    const renew = () => withoutDeadline(() => void inBackground(prolong(lease), log))
    const renewal = setInterval(renew, LOAD_LEASE_MS / 3).unref()
    const running: Running = { tags, generation, lease, renewal, revoked: false }
    loads.set(key, running)
    try {
      const asked = {
        generation,
        clearedAt: clears.clearedAt(key, tags),
        isCleared: before?.isEarly ?? false,
      }
      // No renewal after the load: sent after the release, it would take the lease again.
      const work = async () => {
        if (signal.aborted) throw abandoned()
        return limited(load(asked), key, signal)
      }
      const value = await work().finally(() => clearInterval(renewal))
      const loaded = values.make('miss', value, policy)
      const head = headOf(loaded, policy, generation)
      if (!running.revoked && !clears.isDead(key, head)) {
        const bytes = encodeEntry(head, loaded.body)
        const isStored = await store.set(key, bytes, head.staleUntilMs - now(), lease)
        if (isStored && before?.isCleared) onReplaced()
      }
      await store.release(lease, 'done', 0)
      return loaded
    } catch (cause) {
      // Nobody waits: who asks next must not hear of a failure.
      const isLeft = signal.aborted
      await store.release(lease, isLeft ? 'done' : 'failed', isLeft ? 0 : FAILURE_REMEMBERED_MS)
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

  /** Resolves with the value that another process has loaded; without one the load is ours. */
  async function waitForTurn<T>(
    key: string,
    lease: LoadLease,
    policy: CachePolicy<T>,
    signal: AbortSignal,
  ): Promise<{ others?: Found<T>; before?: Found<T> | undefined }> {
    const deadlineMs = performance.now() + LOAD_LIMIT_MS
    for (let waitMs = POLL_MS.first; ; waitMs = Math.min(POLL_MS.cap, waitMs * 2)) {
      if (signal.aborted) throw abandoned()
      const state = await store.lease(lease, LOAD_LEASE_MS)
      if (state === 'failed') throw sourceFailed()
      const found = values.read(key, await store.get(key), policy)
      if (found?.outcome === 'hit') {
        if (state === 'taken') await store.release(lease, 'done', 0)
        return { others: found }
      }
      if (state === 'taken' || performance.now() > deadlineMs) return { before: found }
      await pause(waitMs)
    }
  }

  function revoke(key: string): void {
    const running = loads.get(key)
    if (running) running.revoked = true
    flights.forget(key)
  }

  async function supersede(key: string): Promise<void> {
    const running = loads.get(key)
    revoke(key)
    if (running) await giveBack(running)
  }

  async function giveBack({ renewal, lease }: Running): Promise<void> {
    clearInterval(renewal)
    await store.release(lease, 'done', 0)
  }

  const isCleared = (key: string, { tags, generation, revoked }: Running) =>
    !revoked && clears.clearedAt(key, tags) > generation

  /** The load that is not to be joined: it began before a clear, which may be another process', or not done yet. */
  function clearedLoad(key: string): Running | undefined {
    const running = loads.get(key)
    return running && isCleared(key, running) ? running : undefined
  }

  return {
    run<T>(key: string, policy: CachePolicy<T>, load: Load<T>) {
      const cleared = clearedLoad(key)
      if (cleared) revoke(key)
      return flights.run(key, async (signal) => {
        if (cleared) await giveBack(cleared)
        return runOnce(key, policy, load, signal)
      }) as Promise<Cached<T>>
    },
    isRunning: (key) => flights.has(key) && !clearedLoad(key),
    revoke,
    supersede,
    cleared: () => [...loads].flatMap(([key, running]) => (isCleared(key, running) ? [key] : [])),
  }
}

/** What the load brings, unless it takes too long or nobody waits for it any more. */
function limited<T>(load: Promise<T>, key: string, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = () =>
      reject(new SourceTooSlow(`loading ${key} took longer than ${LOAD_LIMIT_MS / SECOND} s`))
    const leave = () => reject(abandoned())
    const stopWaiting = startDeadline(LOAD_LIMIT_MS, late)
    signal.addEventListener('abort', leave)
    if (signal.aborted) leave()
    const end = () => {
      stopWaiting()
      signal.removeEventListener('abort', leave)
    }
    signal.addEventListener('abort', end)
    load.finally(end).then(resolve, reject)
  })
}
