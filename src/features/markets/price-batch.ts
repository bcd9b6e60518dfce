// Coins in one currency, many to a call: ids asked for within a moment travel together, one call at a time, and what
// room is left in it is filled with other coins in use, so that one call renews them all. An id that nobody waits for
// any more is dropped before it is asked for.
import type { LoadAsked } from '../../core/cache/cached.ts'
import { abandoned } from '../../core/errors.ts'
import { tooManyNames } from '../../errors.ts'
import { withRequestSignal } from '../../lib/async/request-signal.ts'
import { createSharedCalls } from '../../lib/async/shared-calls.ts'
import type { Now, StartTimer } from '../../lib/time.ts'
import type { Coin } from './coin.ts'
import { COINS_A_CALL } from './coingecko.ts'

const BATCH_MS = 20
const SPARING_BATCH_MS = 2_000 // while the budget is short
const IDS_LENGTH = 6_000 // of all ids in one address, which servers take up to 8 kB of
const KNOWN_COINS = 5_000
export const MOST_WAITING = 2_000 // ids: eight calls

export interface PriceBatch {
  /**
   * The coin, no older than half its fresh time nor than a clear of it; undefined when CoinGecko has none of that id.
   * Rejects with `too_many_names` when too many ids wait.
   */
  load(id: string, asked: Asked): Promise<Coin | undefined>
  /** Keeps coins that came by another call, which was made at this `generation`. */
  learn(coins: readonly Coin[], generation?: number): void
}

export interface PriceBatchParts {
  /** Asks for these ids in one call. */
  ask(ids: readonly string[], existing: Existing): Promise<Coin[]>
  isShort(): boolean
  freshMs: number
  now: Now
  startTimer: StartTimer
}

export type Asked = Pick<LoadAsked, 'generation' | 'clearedAt' | 'isCleared'>

export interface Existing {
  /** Whether one of the ids is known to exist: then there must be an answer. */
  readonly isAnyKnown: boolean
  /** Whether a caller waits for one that is, and has no copy; else all that are waited for may be made up. */
  readonly isKnownWanted: boolean
}

interface Waiting {
  readonly asked: Asked
  readonly resolve: (coin: Coin | undefined) => void
  readonly reject: (error: unknown) => void
}

interface Known {
  readonly coin: Coin
  readonly atMs: number
  /** Before it was asked for, the last clear that was known. */
  readonly generation: number
  /** When it was last wanted. */
  readonly wantedAtMs: number
}

export function createPriceBatch({ ask, isShort, freshMs, now, startTimer }: PriceBatchParts): PriceBatch {
  const waiting = new Map<string, Waiting>()
  const known = new Map<string, Known>() // the oldest first
  const calls = createSharedCalls<Coin | undefined>({
    most: MOST_WAITING + COINS_A_CALL, // those of the call under way are no longer in the queue
    full: tooManyNames,
    abandoned,
  })
  let generation = 0 // the highest that loads have said
  let isBusy = false

  function keep(coin: Coin, wantedAtMs: number, at: number): void {
    known.delete(coin.id)
    known.set(coin.id, { coin, atMs: now(), wantedAtMs, generation: at })
    const [oldest] = known.keys()
    if (known.size > KNOWN_COINS && oldest !== undefined) known.delete(oldest)
  }

  function learn(coins: readonly Coin[], at = generation): void {
    for (const coin of coins) {
      const one = waiting.get(coin.id)
      const before = known.get(coin.id)
      if (before && before.generation > at) continue
      keep(coin, one ? now() : (before?.wantedAtMs ?? 0), at)
      if (!one || one.asked.clearedAt > at) continue
      take(coin.id)
      one.resolve(coin)
    }
  }

  /** Out of the queue: who asks for it from now on is in the next call. */
  function take(id: string): Waiting | undefined {
    const one = waiting.get(id)
    waiting.delete(id)
    calls.forget(id)
    return one
  }

  function schedule(): void {
    if (isBusy || waiting.size === 0) return
    isBusy = true
    // Who has a copy is not made to wait: strangers' clears would slow everybody down.
    const isSparing = isShort() && [...waiting.values()].some(({ asked }) => !asked.isCleared)
    startTimer(isSparing ? SPARING_BATCH_MS : BATCH_MS, () => {
      // For all who wait, not for the request that came first.
      void withRequestSignal(undefined, send).then(() => {
        isBusy = false
        schedule()
      })
    })
  }

  async function send(): Promise<void> {
    if (waiting.size === 0) return // all have gone
    const ids = fill([...waiting.keys()])
    const batch = new Map<string, Waiting>()
    for (const id of ids) {
      const one = take(id)
      if (one) batch.set(id, one)
    }
    const at = generation
    try {
      const isKnown = (id: string) => known.has(id)
      const coins = await ask(ids, {
        isAnyKnown: ids.some(isKnown),
        isKnownWanted: [...batch].some(([id, { asked }]) => isKnown(id) && !asked.isCleared),
      })
      const found = new Map(coins.map((coin) => [coin.id, coin]))
      learn(coins, at)
      for (const [id, one] of batch) {
        const coin = found.get(id)
        if (coin) keep(coin, now(), at)
        one.resolve(coin)
      }
    } catch (error) {
      for (const one of batch.values()) one.reject(error)
    }
  }

  /** What fits into one call: coins known to exist, then those that may, then known ones that no caller waits for. */
  function fill(wanted: readonly string[]): string[] {
    const nowMs = now()
    const inUse = [...known].flatMap(([id, { wantedAtMs, atMs }]) =>
      wantedAtMs > nowMs - 2 * freshMs && atMs < nowMs - freshMs / 10 ? id : [],
    )
    const inOrder = new Set([
      ...wanted.filter((id) => known.has(id)),
      ...wanted.filter((id) => !known.has(id)),
      ...inUse,
    ])
    const ids: string[] = []
    let length = 0
    for (const id of inOrder) {
      length += id.length + 1
      if (ids.length === COINS_A_CALL || length > IDS_LENGTH) break
      ids.push(id)
    }
    return ids
  }

  return {
    learn,
    async load(id, asked) {
      generation = Math.max(generation, asked.generation)
      const before = known.get(id)
      if (before) known.set(id, { ...before, wantedAtMs: now() })
      const isYoung = before && now() - before.atMs <= freshMs / 2 && before.generation >= asked.clearedAt
      if (isYoung) return before.coin
      const queued = waiting.get(id)
      const isCleared = asked.isCleared && queued?.asked.isCleared !== false
      if (queued) waiting.set(id, { ...queued, asked: { ...asked, isCleared } })
      return calls.run(id, (signal) => enqueue(id, asked, signal))
    },
  }

  function enqueue(id: string, asked: Asked, signal: AbortSignal): Promise<Coin | undefined> {
    return new Promise((resolve, reject) => {
      const one: Waiting = { asked, resolve, reject }
      waiting.set(id, one)
      signal.addEventListener('abort', () => {
        if (waiting.get(id)?.resolve === resolve) waiting.delete(id)
        reject(abandoned())
      })
      schedule()
    })
  }
}
