// express-rate-limit's store over the limiter's sliding logs: no burst where two windows meet, and one count for all
// processes, which an outage of Redis neither resets nor blocks.
import type { ClientRateLimitInfo, Options, Store } from 'express-rate-limit'
import { keys } from '../core/keys.ts'
import type { Policy } from '../core/limiter.ts'
import { MINUTE } from '../lib/time.ts'
import { adapterKeys } from '../package/adapter-keys.ts'
import type { Samovar } from '../package/samovar.ts'
import { orWhenAway } from './away.ts'

/** No log holds more. */
const MOST_HITS = 1_000
/** So many resets are remembered by this process: beyond them one costs one more command. */
const MOST_RESETS = 10_000

export interface RateLimitStoreOptions {
  /** Names the limit: two limits have two names. */
  name: string
}

/** `rateLimit({ store: createRateLimitStore(samovar, { name: 'login' }), limit, windowMs, … })`; limits up to 1,000. */
export function createRateLimitStore(
  { limiter, state }: Pick<Samovar, 'limiter' | 'state'>,
  { name }: RateLimitStoreOptions,
): Store {
  let policy: Policy = { name, limit: MOST_HITS, windowMs: MINUTE }
  let mayUndo = false
  const resets = new Map<string, number>() // of clients whose hits were taken back
  const undone = () => ({ ...policy, name: `${name}-undone`, limit: MOST_HITS })
  const whoOf = (key: string, resetAt: number) => (resetAt === 0 ? key : `${key}#${resetAt}`)
  const resetKeyOf = (key: string) => adapterKeys['rate-reset'](name, key)

  const known = (key: string) => resets.get(key) ?? 0

  async function lastReset(key: string): Promise<number> {
    const before = known(key)
    return Math.max(before, (await orWhenAway(state.marked(resetKeyOf(key)), before)) ?? 0)
  }

  function remember(key: string, resetAt: number): void {
    resets.delete(key)
    resets.set(key, resetAt)
    const [oldest] = resets.keys()
    if (resets.size > MOST_RESETS && oldest !== undefined) resets.delete(oldest)
  }

  const counted = async ({ name, windowMs }: Policy, who: string) =>
    orWhenAway(state.hits(keys.limit(name, who), windowMs), 0)

  /** Where another process has taken its hits back, it is counted once more, in the new log. */
  async function hit(key: string) {
    const before = known(key)
    const [found, resetAt] = await Promise.all([limiter.hit(policy, whoOf(key, before)), lastReset(key)])
    if (resetAt === before) return { result: found, who: whoOf(key, before) }
    remember(key, resetAt)
    const who = whoOf(key, resetAt)
    return { result: await limiter.hit(policy, who), who }
  }

  return {
    prefix: name,
    localKeys: false,
    init({ limit, windowMs, skipFailedRequests, skipSuccessfulRequests }: Options) {
      mayUndo = skipFailedRequests || skipSuccessfulRequests
      if (typeof limit === 'number' && limit > MOST_HITS)
        throw new RangeError(`the limit "${name}" is ${limit}, and no log holds more than ${MOST_HITS} hits`)
      // Hits that are undone stay in their log: it must hold more than the limit.
      const isFixed = typeof limit === 'number' && !mayUndo
      policy = { name, limit: isFixed ? Math.max(1, limit) : MOST_HITS, windowMs }
    },
    async get(key): Promise<ClientRateLimitInfo | undefined> {
      const who = whoOf(key, await lastReset(key))
      const [hits, taken] = await Promise.all([counted(policy, who), mayUndo ? counted(undone(), who) : 0])
      if (hits - taken <= 0) return undefined
      return { totalHits: hits - taken, resetTime: new Date(Date.now() + policy.windowMs) }
    },
    async increment(key): Promise<ClientRateLimitInfo> {
      const { result, who } = await hit(key)
      // One that is refused is in no log.
      const hits = policy.limit - result.remaining + (result.allowed ? 0 : 1)
      const taken = mayUndo ? await counted(undone(), who) : 0
      const resetMs = result.retryAfterMs || result.growsAfterMs
      return { totalHits: Math.max(1, hits - taken), resetTime: new Date(Date.now() + resetMs) }
    },
    async decrement(key) {
      if (mayUndo) await limiter.hit(undone(), whoOf(key, await lastReset(key)))
    },
    async resetKey(key) {
      const resetAt = Math.max(Date.now(), (await lastReset(key)) + 1)
      remember(key, resetAt)
      await orWhenAway(state.mark(resetKeyOf(key), resetAt, policy.windowMs + MINUTE), undefined)
    },
  }
}
