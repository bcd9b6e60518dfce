// When an alert triggers: a pure function of its rule, of earlier evaluations, of a price and of a clock.
//
//   new ──first evaluation──► armed, or past when the price is beyond the threshold already: that is no crossing
//   armed ──the price reaches the threshold──► past, and it triggers, unless it is cooling down
//   past ──the price leaves the hysteresis band──► armed
//
// The band is half a percent wide, so a price that stays near the threshold triggers once. A crossing during the
// cooldown does not trigger later. `changes` has a reference price instead of a threshold: that of the first
// evaluation or of the last trigger. It triggers when the price is `value` percent away from it; after a cooldown,
// too, if it is still that far away.

export const whens = ['above', 'below', 'changes'] as const

export interface Rule {
  readonly when: (typeof whens)[number]
  /** The threshold price; for `changes` a percentage. */
  readonly value: number
  readonly cooldownMs: number
  readonly expiresAtMs: number | undefined
}

/** What the evaluations so far have left. */
export interface Watch {
  /** Undefined before the first evaluation, and for `changes`. */
  readonly armed: boolean | undefined
  readonly referencePrice: number | undefined
  readonly triggeredAtMs: number | undefined
}

export interface Evaluation {
  /** The same object when nothing has changed. */
  readonly watch: Watch
  readonly triggers: boolean
}

export const NEW_WATCH: Watch = { armed: undefined, referencePrice: undefined, triggeredAtMs: undefined }
/** Of the threshold price. */
export const BAND = 0.005

export function evaluate(rule: Rule, watch: Watch, price: number, nowMs: number): Evaluation {
  const { cooldownMs, expiresAtMs } = rule
  if (expiresAtMs !== undefined && nowMs >= expiresAtMs) return { watch, triggers: false }
  const isCooling = watch.triggeredAtMs !== undefined && nowMs < watch.triggeredAtMs + cooldownMs
  return rule.when === 'changes'
    ? evaluateChange(rule.value, watch, price, nowMs, isCooling)
    : evaluateThreshold(rule.when, rule.value, watch, price, nowMs, isCooling)
}

function evaluateThreshold(
  when: 'above' | 'below',
  threshold: number,
  watch: Watch,
  price: number,
  nowMs: number,
  isCooling: boolean,
): Evaluation {
  const isPast = when === 'above' ? price >= threshold : price <= threshold
  const isBehindBand = when === 'above' ? price < threshold * (1 - BAND) : price > threshold * (1 + BAND)
  if (watch.armed === undefined) return { watch: { ...watch, armed: !isPast }, triggers: false }
  if (!watch.armed) return { watch: isBehindBand ? { ...watch, armed: true } : watch, triggers: false }
  if (!isPast) return { watch, triggers: false }
  if (isCooling) return { watch: { ...watch, armed: false }, triggers: false }
  return { watch: { ...watch, armed: false, triggeredAtMs: nowMs }, triggers: true }
}

function evaluateChange(
  percent: number,
  watch: Watch,
  price: number,
  nowMs: number,
  isCooling: boolean,
): Evaluation {
  const { referencePrice } = watch
  if (referencePrice === undefined) return { watch: { ...watch, referencePrice: price }, triggers: false }
  // From 0 any other price is more than any percentage away.
  const isFar = price !== referencePrice && Math.abs(price - referencePrice) * 100 >= percent * referencePrice
  if (!isFar || isCooling) return { watch, triggers: false }
  return { watch: { ...watch, referencePrice: price, triggeredAtMs: nowMs }, triggers: true }
}
