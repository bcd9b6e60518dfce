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
/** How often a process says of a client that it has another log, as long as that one is used. */
const SAID_AGAIN_MS = MINUTE
/** More than any limit. */
const TOO_MANY = Number.MAX_SAFE_INTEGER

interface Reset {
  readonly resetAt: number
  /** When this process has last said so. */
  readonly saidAtMs: number
}

export interface RateLimitStoreOptions {
  /** Names the limit: two limits have two names. */
  name: string
}

/**
 * `rateLimit({ store: createRateLimitStore(samovar, { name: 'login' }), limit, windowMs, … })`; limits up to 1,000.
 * With `skipSuccessfulRequests` or `skipFailedRequests` a window takes 1,000 requests of a client, also skipped ones.
 */
export function createRateLimitStore(
  { limiter, state }: Pick<Samovar, 'limiter' | 'state'>,
  { name }: RateLimitStoreOptions,
): Store {
  let policy: Policy = { name, limit: MOST_HITS, windowMs: MINUTE }
  let mayUndo = false
  let impossible: RangeError | undefined
  const resets = new Map<string, Reset>() // of clients whose hits were taken back
  const undone = () => ({ ...policy, name: `${name}-undone`, limit: MOST_HITS })
  const whoOf = (key: string, resetAt: number) => (resetAt === 0 ? key : `${key}#${resetAt}`)
  const resetKeyOf = (key: string) => adapterKeys['rate-reset'](name, key)

  const known = (key: string) => resets.get(key)?.resetAt ?? 0

  /** A process that began while Redis is away does not wait for the answer: it does not know the log either. */
  async function lastReset(key: string): Promise<number> {
    return (await orWhenAway(state.marked(resetKeyOf(key), { madeAtMs: Date.now() }), known(key))) ?? 0
  }

  function remember(key: string, reset: Reset): void {
    resets.delete(key)
    if (reset.resetAt > 0) resets.set(key, reset)
    const [oldest] = resets.keys()
    if (resets.size > MOST_RESETS && oldest !== undefined) resets.delete(oldest)
  }

  /** It lasts longer than the hits in the new log: else some processes would go back to the old one. */
  async function say(key: string, resetAt: number): Promise<void> {
    remember(key, { resetAt, saidAtMs: Date.now() })
    const keptMs = policy.windowMs + 2 * SAID_AGAIN_MS
    await orWhenAway(state.mark(resetKeyOf(key), resetAt, keptMs), undefined)
  }

  const counted = async ({ name, windowMs }: Policy, who: string) =>
    orWhenAway(state.hits(keys.limit(name, who), windowMs), 0)

  /** Where another process has taken its hits back, it is counted once more, in the new log. */
  async function hit(key: string) {
    const before = known(key)
    const [found, resetAt] = await Promise.all([limiter.hit(policy, whoOf(key, before)), lastReset(key)])
    const saidAtMs = resetAt === before ? (resets.get(key)?.saidAtMs ?? 0) : 0
    if (resetAt > 0 && Date.now() - saidAtMs > SAID_AGAIN_MS) await say(key, resetAt)
    else remember(key, { resetAt, saidAtMs })
    if (resetAt === before) return { result: found, who: whoOf(key, before) }
    const who = whoOf(key, resetAt)
    return { result: await limiter.hit(policy, who), who }
  }

  return {
    prefix: name,
    localKeys: false,
    init({ limit, windowMs, skipFailedRequests, skipSuccessfulRequests }: Options) {
      mayUndo = skipFailedRequests || skipSuccessfulRequests
      // What is thrown here the library logs, and would go on without a limit.
      if (typeof limit === 'number' && limit > MOST_HITS)
        impossible = new RangeError(
          `the limit "${name}" is ${limit}, and no log holds more than ${MOST_HITS} hits`,
        )
      if (impossible) throw impossible
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
      if (impossible) throw impossible
      const { result, who } = await hit(key)
      // One that is refused is in no log.
      const hits = policy.limit - result.remaining + (result.allowed ? 0 : 1)
      const taken = mayUndo ? await counted(undone(), who) : 0
      const resetTime = new Date(Date.now() + (result.retryAfterMs || result.growsAfterMs))
      // A full log counts nothing any more: what it says less what was taken back would be no limit at all.
      if (!result.allowed && policy.limit === MOST_HITS) return { totalHits: TOO_MANY, resetTime }
      return { totalHits: Math.max(1, hits - taken), resetTime }
    },
    async decrement(key) {
      if (mayUndo) await limiter.hit(undone(), whoOf(key, await lastReset(key)))
    },
    async resetKey(key) {
      await say(key, Math.max(Date.now(), (await lastReset(key)) + 1))
    },
  }
}
