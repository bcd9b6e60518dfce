// When an alert rings: a pure function of its rule, of what was seen before, of a price and of a clock.
//
//   unseen ──first look──► armed, or past when the price is on the far side of the line already: that is no crossing
//   armed ──the price reaches the line──► past, and it rings, unless it is cooling down
//   past ──the price leaves the band behind the line──► armed
//
// The band is half a percent wide, so that a price that sits on the line rings once. A crossing while the alert cools down
// is not made up for later. `changes` has no line but a reference price, that of the first look or of the last ring; it
// rings when the price is `value` percent away from it, and while it cools down it waits for that.

export const whens = ['above', 'below', 'changes'] as const

export interface Rule {
  readonly when: (typeof whens)[number]
  /** The price of the line; for `changes` a percentage. */
  readonly value: number
  readonly cooldownMs: number
  readonly expiresAtMs: number | undefined
}

/** What was seen of the price so far. */
export interface Watch {
  /** Undefined before the first look, and for `changes`. */
  readonly armed: boolean | undefined
  readonly referencePrice: number | undefined
  readonly rangAtMs: number | undefined
}

export interface Look {
  /** The same object when nothing has changed. */
  readonly watch: Watch
  readonly rings: boolean
}

export const UNSEEN: Watch = { armed: undefined, referencePrice: undefined, rangAtMs: undefined }
/** Of the line's price. */
export const BAND = 0.005

export function look(rule: Rule, watch: Watch, price: number, nowMs: number): Look {
  const { cooldownMs, expiresAtMs } = rule
  if (expiresAtMs !== undefined && nowMs >= expiresAtMs) return { watch, rings: false }
  const isCooling = watch.rangAtMs !== undefined && nowMs < watch.rangAtMs + cooldownMs
  return rule.when === 'changes'
    ? lookForChange(rule.value, watch, price, nowMs, isCooling)
    : lookForLine(rule.when, rule.value, watch, price, nowMs, isCooling)
}

function lookForLine(
  when: 'above' | 'below',
  line: number,
  watch: Watch,
  price: number,
  nowMs: number,
  isCooling: boolean,
): Look {
  const isPast = when === 'above' ? price >= line : price <= line
  const isBehindBand = when === 'above' ? price < line * (1 - BAND) : price > line * (1 + BAND)
  if (watch.armed === undefined) return { watch: { ...watch, armed: !isPast }, rings: false }
  if (!watch.armed) return { watch: isBehindBand ? { ...watch, armed: true } : watch, rings: false }
  if (!isPast) return { watch, rings: false }
  if (isCooling) return { watch: { ...watch, armed: false }, rings: false }
  return { watch: { ...watch, armed: false, rangAtMs: nowMs }, rings: true }
}

function lookForChange(
  percent: number,
  watch: Watch,
  price: number,
  nowMs: number,
  isCooling: boolean,
): Look {
  const { referencePrice } = watch
  if (referencePrice === undefined) return { watch: { ...watch, referencePrice: price }, rings: false }
  const isFar = Math.abs(price - referencePrice) * 100 >= percent * referencePrice
  if (!isFar || isCooling) return { watch, rings: false }
  return { watch: { ...watch, referencePrice: price, rangAtMs: nowMs }, rings: true }
}
