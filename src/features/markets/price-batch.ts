// Coins in one currency, many to a call: ids asked for within a moment travel together, one call at a time, and what
// room is left in it is filled with other coins in use, so that one call renews them all.
import type { Now, StartTimer } from '../../lib/time.ts'
import type { Coin } from './coin.ts'
import { COINS_A_CALL } from './coingecko.ts'

const BATCH_MS = 20
const SPARING_BATCH_MS = 2_000 // while the budget is short
const IDS_LENGTH = 6_000 // of all ids in one address, which servers take up to 8 kB of
const KNOWN_COINS = 5_000

export interface PriceBatch {
  /** The coin, no older than half its fresh time; undefined when CoinGecko has none of that id. */
  load(id: string): Promise<Coin | undefined>
  /** Keeps coins that came by another call. */
  learn(coins: readonly Coin[]): void
}

export interface PriceBatchParts {
  /** Asks for these ids in one call. */
  ask(ids: readonly string[], existing: Existing): Promise<Coin[]>
  isShort(): boolean
  freshMs: number
  now: Now
  startTimer: StartTimer
}

export interface Existing {
  /** Whether one of the ids is known to exist: then there must be an answer. */
  readonly isAnyKnown: boolean
  /** Whether a caller waits for one that is; else all that are waited for may be made up. */
  readonly isKnownWanted: boolean
}

interface Waiting {
  readonly coin: Promise<Coin | undefined>
  readonly resolve: (coin: Coin | undefined) => void
  readonly reject: (error: unknown) => void
}

interface Known {
  readonly coin: Coin
  readonly atMs: number
  /** When it was last wanted. */
  readonly wantedAtMs: number
}

export function createPriceBatch({ ask, isShort, freshMs, now, startTimer }: PriceBatchParts): PriceBatch {
  const waiting = new Map<string, Waiting>()
  const known = new Map<string, Known>() // the oldest first
  let isBusy = false

  function keep(coin: Coin, wantedAtMs: number): void {
    known.delete(coin.id)
    known.set(coin.id, { coin, atMs: now(), wantedAtMs })
    const [oldest] = known.keys()
    if (known.size > KNOWN_COINS && oldest !== undefined) known.delete(oldest)
  }

  function learn(coins: readonly Coin[]): void {
    for (const coin of coins) {
      const one = waiting.get(coin.id)
      waiting.delete(coin.id)
      keep(coin, one ? now() : (known.get(coin.id)?.wantedAtMs ?? 0))
      one?.resolve(coin)
    }
  }

  function schedule(): void {
    if (isBusy || waiting.size === 0) return
    isBusy = true
    startTimer(isShort() ? SPARING_BATCH_MS : BATCH_MS, () => {
      void send().then(() => {
        isBusy = false
        schedule()
      })
    })
  }

  async function send(): Promise<void> {
    const ids = fill([...waiting.keys()])
    const batch = new Map<string, Waiting>()
    for (const id of ids) {
      const one = waiting.get(id)
      if (one) batch.set(id, one)
      waiting.delete(id)
    }
    try {
      const isKnown = (id: string) => known.has(id)
      const coins = await ask(ids, {
        isAnyKnown: ids.some(isKnown),
        isKnownWanted: [...batch.keys()].some(isKnown),
      })
      const found = new Map(coins.map((coin) => [coin.id, coin]))
      learn(coins)
      for (const [id, one] of batch) {
        const coin = found.get(id)
        if (coin) keep(coin, now())
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
    load(id) {
      const before = known.get(id)
      if (before) known.set(id, { ...before, wantedAtMs: now() })
      if (before && now() - before.atMs <= freshMs / 2) return Promise.resolve(before.coin)
      const pending = waiting.get(id)
      if (pending) return pending.coin
      const one = createWaiting()
      waiting.set(id, one)
      schedule()
      return one.coin
    },
  }
}

function createWaiting(): Waiting {
  let resolve: Waiting['resolve'] = () => {}
  let reject: Waiting['reject'] = () => {}
  const coin = new Promise<Coin | undefined>((fulfil, refuse) => {
    resolve = fulfil
    reject = refuse
  })
  return { coin, resolve, reject }
}
