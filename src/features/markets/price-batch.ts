// Coins in one currency, many to a call: ids asked for within a moment travel together, one call at a time, and what
// room is left in it is filled with other coins in use, so that one call renews them all. An id that nobody waits for
// any more is dropped before it is asked for. Charts are asked for where a reader shows them and has none.
import type { LoadAsked } from '../../core/cache/cached.ts'
import { abandoned } from '../../core/errors.ts'
import { pricesUnavailable, tooManyNames } from '../../errors.ts'
import { withRequestSignal } from '../../lib/async/request-signal.ts'
import { createSharedCalls } from '../../lib/async/shared-calls.ts'
import type { Now, StartTimer } from '../../lib/time.ts'
import type { Coin } from './coin.ts'
import { COINS_A_CALL } from './coingecko.ts'
import type { AnswerSize } from './source/answer-size.ts'
import { createKnownCoins } from './source/known-coins.ts'
import type { CoinRows } from './source/market-rows.ts'

const BATCH_MS = 20
const SPARING_BATCH_MS = 2_000 // while the budget is short
const IDS_LENGTH = 6_000 // of all ids in one address, which servers take up to 8 kB of
const MOST_BAD = 1_000
export const MOST_WAITING = 2_000 // ids: eight calls

export interface PriceBatch {
  /**
   * The coin, no older than half its fresh time nor than a clear of it; undefined when CoinGecko has none of that id.
   * Rejects with `too_many_names` when too many ids wait, and with `prices_unavailable` when its row is bad.
   */
  load(id: string, asked: Asked, need?: Need): Promise<Coin | undefined>
  /** Keeps coins that came by another call, which was made at this `generation`. */
  learn(coins: readonly Coin[], generation?: number, size?: AnswerSize, wanted?: AnswerSize): void
}

/** `chart`: it is shown with its chart. `price`: only its price matters. */
export type Need = 'chart' | 'price'

/** What a call brought, and how much was asked for in the end. */
export type Brought = Pick<CoinRows, 'coins' | 'bad'> & { readonly size: AnswerSize }

export interface PriceBatchParts {
  /** Asks for these ids in one call. */
  ask(ids: readonly string[], existing: Existing, wanted: AnswerSize): Promise<Brought>
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
  readonly need: Need
  readonly resolve: (coin: Coin | undefined) => void
  readonly reject: (error: unknown) => void
}

export function createPriceBatch({ ask, isShort, freshMs, now, startTimer }: PriceBatchParts): PriceBatch {
  const waiting = new Map<string, Waiting>()
  const known = createKnownCoins({ freshMs, now })
  const badUntilMs = new Map<string, number>() // ids whose rows could not be used
  const calls = createSharedCalls<Coin | undefined>({
    most: MOST_WAITING + COINS_A_CALL, // those of the call under way are no longer in the queue
    full: tooManyNames,
    abandoned,
  })
  let generation = 0 // the highest that loads have said
  let isBusy = false

  function learn(
    coins: readonly Coin[],
    at = generation,
    size: AnswerSize = 'charts',
    wanted: AnswerSize = size,
  ): void {
    for (const newer of coins) {
      const one = waiting.get(newer.id)
      const before = known.get(newer.id)
      if (before && before.generation > at) continue
      const wantedAtMs = one ? now() : (before?.wantedAtMs ?? 0)
      const coin = known.keep(newer, { size, wanted, generation: at }, wantedAtMs)
      badUntilMs.delete(coin.id)
      if (!one || one.asked.clearedAt > at) continue
      take(coin.id)
      one.resolve(coin)
    }
  }

  function noteBad(ids: readonly string[]): void {
    if (badUntilMs.size > MOST_BAD) badUntilMs.clear()
    for (const id of ids) badUntilMs.set(id, now() + freshMs)
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
      const existing = {
        isAnyKnown: ids.some(isKnown),
        isKnownWanted: [...batch].some(([id, { asked }]) => isKnown(id) && !asked.isCleared),
      }
      const lacksChart = [...batch].some(([id, { need }]) => need === 'chart' && !known.hasChart(id, at))
      const wanted = lacksChart ? 'charts' : 'rows'
      const { coins, bad, size } = await ask(ids, existing, wanted)
      learn(coins, at, size, wanted)
      noteBad(bad)
      const found = new Map(coins.map((coin) => [coin.id, coin]))
      for (const [id, one] of batch) {
        const coin = found.get(id)
        if (bad.includes(id)) one.reject(pricesUnavailable(freshMs))
        else if (coin) one.resolve(known.keep(coin, { size, wanted, generation: at }, now()))
        else {
          known.forget(id) // it was removed
          one.resolve(undefined)
        }
      }
    } catch (error) {
      for (const one of batch.values()) one.reject(error)
    }
  }

  /** What fits into one call: coins known to exist, then those that may, then known ones that no caller waits for. */
  function fill(wanted: readonly string[]): string[] {
    const inOrder = new Set([
      ...wanted.filter((id) => known.has(id)),
      ...wanted.filter((id) => !known.has(id)),
      ...known.inUse(),
    ])
    const ids: string[] = []
    let length = 0
    for (const id of inOrder) {
      length += encodeURIComponent(id).length + 1
      if (ids.length === COINS_A_CALL || length > IDS_LENGTH) break
      ids.push(id)
    }
    return ids
  }

  return {
    learn,
    async load(id, asked, need = 'chart') {
      generation = Math.max(generation, asked.generation)
      const badMs = (badUntilMs.get(id) ?? 0) - now()
      if (badMs > 0) throw pricesUnavailable(badMs)
      const before = known.touch(id)
      const isYoung = before && now() - before.atMs <= freshMs / 2 && before.generation >= asked.clearedAt
      if (isYoung && (need === 'price' || now() < before.chartUntilMs)) return before.coin
      const queued = waiting.get(id)
      if (queued) {
        const isCleared = asked.isCleared && queued.asked.isCleared
        const most = need === 'chart' ? need : queued.need
        waiting.set(id, { ...queued, need: most, asked: { ...asked, isCleared } })
      }
      return calls.run(id, (signal) => enqueue(id, { asked, need }, signal))
    },
  }

  function enqueue(
    id: string,
    one: Pick<Waiting, 'asked' | 'need'>,
    signal: AbortSignal,
  ): Promise<Coin | undefined> {
    return new Promise((resolve, reject) => {
      waiting.set(id, { ...one, resolve, reject })
      signal.addEventListener('abort', () => {
        if (waiting.get(id)?.resolve === resolve) waiting.delete(id)
        reject(abandoned())
      })
      schedule()
    })
  }
}
