// The coins in one currency that this process has seen, with what is known of each beside its newest price: charts
// change slowly, so they are asked for once an hour, and kept when prices come without them.
import { HOUR, MINUTE, type Now } from '../../../lib/time.ts'
import type { Coin } from '../coin.ts'
import type { AnswerSize } from './answer-size.ts'
import { withPriceOf } from './market-rows.ts'

const KNOWN_COINS = 5_000
const CHART_FRESH_MS = HOUR
const CHART_RETRY_MS = 10 * MINUTE // where it was asked for and less came

export interface KnownCoin {
  readonly coin: Coin
  readonly atMs: number
  /** Before it was asked for, the last clear that was known. */
  readonly generation: number
  /** When it was last wanted. */
  readonly wantedAtMs: number
  /** Until when its chart is not asked for. */
  readonly chartUntilMs: number
}

export interface Brought {
  /** What came, and whether more was asked for. */
  readonly size: AnswerSize
  readonly wanted: AnswerSize
  /** The last clear that was known when it was asked for. */
  readonly generation: number
}

export interface KnownCoins {
  get(id: string): KnownCoin | undefined
  has(id: string): boolean
  /** The coin with what was known of it and did not come. */
  keep(coin: Coin, brought: Brought, wantedAtMs: number): Coin
  forget(id: string): void
  /** It is wanted now. */
  touch(id: string): KnownCoin | undefined
  hasChart(id: string, generation: number): boolean
  /** Wanted within the last two fresh times, and not renewed just now. */
  inUse(): string[]
}

export function createKnownCoins({ freshMs, now }: { freshMs: number; now: Now }): KnownCoins {
  const known = new Map<string, KnownCoin>() // the oldest first

  const chartUntilMs = ({ size, wanted }: Brought, before: KnownCoin | undefined) => {
    if (size === 'charts') return now() + CHART_FRESH_MS
    return wanted === 'charts' ? now() + CHART_RETRY_MS : (before?.chartUntilMs ?? 0)
  }

  return {
    get: (id) => known.get(id),
    has: (id) => known.has(id),
    keep(newer, brought, wantedAtMs) {
      const { size, generation } = brought
      const last = known.get(newer.id)
      // Nothing outlives a clear.
      const before = last && last.generation >= generation ? last : undefined
      const coin = before ? completed(before.coin, newer, size) : newer
      known.delete(coin.id)
      const chart = chartUntilMs(brought, before)
      known.set(coin.id, { coin, atMs: now(), wantedAtMs, generation, chartUntilMs: chart })
      const [oldest] = known.keys()
      if (known.size > KNOWN_COINS && oldest !== undefined) known.delete(oldest)
      return coin
    },
    forget: (id) => void known.delete(id),
    touch(id) {
      const before = known.get(id)
      if (before) known.set(id, { ...before, wantedAtMs: now() })
      return before
    },
    hasChart(id, generation) {
      const before = known.get(id)
      return before !== undefined && before.generation >= generation && now() < before.chartUntilMs
    },
    inUse() {
      const nowMs = now()
      return [...known].flatMap(([id, { wantedAtMs, atMs }]) =>
        wantedAtMs > nowMs - 2 * freshMs && atMs < nowMs - freshMs / 10 ? id : [],
      )
    },
  }
}

function completed(before: Coin, newer: Coin, size: AnswerSize): Coin {
  if (size === 'charts') return newer
  return size === 'rows' ? { ...newer, week: before.week } : withPriceOf(before, newer)
}
