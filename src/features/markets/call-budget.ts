// How often CoinGecko may be asked: one budget for all processes, kept by the limits core.
//
//   asking   a call takes one of the budget's; all but prices leave some of it to prices
//   paused   no call is made: after a 429 until its Retry-After, everywhere; after any other failure for a while that
//            doubles up to half a minute, in this process
//
// A 429 also teaches: a quarter is taken off the budget, and comes back one call every five minutes.

import { isStateUnknown } from '../../core/errors.ts'
import type { Limiter } from '../../core/limiter.ts'
import type { State } from '../../core/state/state.ts'
import { type AppError, pricesUnavailable } from '../../errors.ts'
import { FetchFailed } from '../../http/fetch-json.ts'
import { corrupt, isNumber, isShape, parseJson } from '../../lib/codec.ts'
import { HOUR, MINUTE, type Now, SECOND } from '../../lib/time.ts'
import type { Log } from '../../log.ts'
import { marketKeys } from './market-keys.ts'
import { briefReason, reasonOf, sentenceOf } from './source/failure-reason.ts'

const NAME = 'coingecko'
const KEPT_FOR_PRICES = 0.3
const LESS_AFTER_429 = 0.75
const RECOVERY_MS = 5 * MINUTE
const PAUSE_AFTER_429_MS = { unsaid: MINUTE, longest: HOUR }
const PAUSE_MS = { first: 2 * SECOND, cap: 30 * SECOND }

export interface BudgetReport {
  /** Calls made by this process since its start, failed ones too. */
  readonly calls: number
  readonly failures: number
  readonly configuredPerMinute: number
  /** Less than configured while a 429 is remembered. */
  readonly perMinute: number
  /** ISO; null while CoinGecko may be asked. */
  readonly pausedUntil: string | null
  /** Why the last call failed; null when it did not. */
  readonly lastError: string | null
}

/** `more`: everything but prices; it leaves some calls to prices. */
export type Purpose = 'prices' | 'more'

export interface CallBudget {
  /**
   * Makes the call, or rejects with `prices_unavailable`: when it may not be made, and when it fails. `instead` gives
   * another call that is made where this one failed, and costs as much. What it throws is the outcome, and pauses
   * nothing.
   */
  spend<T>(purpose: Purpose, call: Call<T>, instead?: Instead<T>): Promise<T>
  /** Whether less than half of the budget was left after the last call, and calls are made at all. */
  isShort(): boolean
  report(): Promise<BudgetReport>
}

export type Call<T> = () => Promise<T>
export type Instead<T> = (error: FetchFailed) => Call<T> | undefined

export interface CallBudgetParts {
  limiter: Pick<Limiter, 'hitAll'>
  state: Pick<State, 'read' | 'write'>
  perMinute: number
  log: Log
  now?: Now
}

/** What 429s have taught, shared by all processes. */
interface Learned {
  readonly perMinute: number
  readonly atMs: number
  readonly pausedUntilMs: number
}

const isLearned = isShape<Learned>({ perMinute: isNumber, atMs: isNumber, pausedUntilMs: isNumber })

/** Nothing where it cannot be decoded: the next 429 teaches it again. */
function learnedIn(bytes: Buffer): Learned | undefined {
  const learned = parseJson(bytes, isLearned)
  return learned === corrupt ? undefined : learned
}

export function createCallBudget({
  limiter,
  state,
  perMinute,
  log,
  now = Date.now,
}: CallBudgetParts): CallBudget {
  const key = marketKeys.upstream(NAME)
  let calls = 0
  let failures = 0
  let failedInARow = 0
  let pausedHereUntilMs = 0
  let lastError: string | undefined
  let advised = '' // what the log has said that can be done, in this outage
  let short = false
  let pausedUntilSeenMs = 0 // of all processes, as far as this one has seen

  /** What holds now: calls a minute, and until when there are none. */
  async function terms() {
    const found = await state.read(key).catch(nothingIfUnknown)
    const learned = found && learnedIn(found.bytes)
    const recovered = learned && learned.perMinute + Math.floor((now() - learned.atMs) / RECOVERY_MS)
    pausedUntilSeenMs = Math.max(pausedHereUntilMs, learned?.pausedUntilMs ?? 0)
    return { limit: Math.min(perMinute, recovered ?? perMinute), pausedUntilMs: pausedUntilSeenMs }
  }

  async function take(purpose: Purpose, limit: number): Promise<void> {
    const all = { policy: { name: NAME, limit, windowMs: MINUTE }, who: 'all' }
    const share = Math.max(1, Math.floor(limit * (1 - KEPT_FOR_PRICES)))
    const some = { policy: { name: `${NAME}-more`, limit: share, windowMs: MINUTE }, who: 'all' }
    const { allowed, tightest, answers } = await limiter.hitAll(purpose === 'prices' ? [all] : [some, all])
    if (!allowed) throw pricesUnavailable(tightest.retryAfterMs)
    short = (answers.at(-1)?.remaining ?? 0) < limit / 2
  }

  async function learn(limit: number, retryAfterMs = PAUSE_AFTER_429_MS.unsaid): Promise<void> {
    const lower = Math.max(1, Math.floor(limit * LESS_AFTER_429))
    const pauseMs = Math.min(PAUSE_AFTER_429_MS.longest, Math.max(SECOND, retryAfterMs))
    const learned: Learned = { perMinute: lower, atMs: now(), pausedUntilMs: now() + pauseMs }
    const ttlMs = pauseMs + (perMinute - lower + 1) * RECOVERY_MS
    await state.write(key, Buffer.from(JSON.stringify(learned)), ttlMs)
    log.warn({ perMinute: lower, pauseMs }, 'CoinGecko answers 429: fewer calls are made for a while')
  }

  async function failed(error: FetchFailed, limit: number): Promise<AppError> {
    failedInARow += 1
    lastError = briefReason(error)
    const { code, advice } = reasonOf(error)
    if (failedInARow === 1 || (advice !== '' && advice !== advised)) {
      log.warn(
        { reason: error.reason, status: error.status, code, err: error },
        `CoinGecko ${failedInARow === 1 ? '' : 'still '}unavailable: ${sentenceOf(error)}. ` +
          'Prices come from the cache (кэш), marked stale',
      )
      advised = advice
    }
    if (error.status === 429) await learn(limit, error.retryAfterMs)
    else pausedHereUntilMs = now() + Math.min(PAUSE_MS.cap, PAUSE_MS.first * 2 ** (failedInARow - 1))
    const { pausedUntilMs } = await terms()
    return pricesUnavailable(pausedUntilMs - now(), { cause: error })
  }

  function answered<T>(answer: T): T {
    if (failedInARow > 0) log.info('CoinGecko answers again')
    failedInARow = 0
    lastError = undefined
    advised = ''
    return answer
  }

  return {
    async spend(purpose, call, instead = () => undefined) {
      const { limit, pausedUntilMs } = await terms()
      if (pausedUntilMs > now()) throw pricesUnavailable(pausedUntilMs - now())
      for (let next = call; ; ) {
        await take(purpose, limit)
        calls += 1
        try {
          return answered(await next())
        } catch (error) {
          if (!(error instanceof FetchFailed)) throw error
          failures += 1
          const other = instead(error)
          if (!other) throw await failed(error, limit)
          next = other
        }
      }
    },
    isShort: () => short && pausedUntilSeenMs <= now(),
    async report() {
      const { limit, pausedUntilMs } = await terms()
      return {
        calls,
        failures,
        configuredPerMinute: perMinute,
        perMinute: limit,
        pausedUntil: pausedUntilMs > now() ? new Date(pausedUntilMs).toISOString() : null,
        lastError: lastError ?? null,
      }
    },
  }
}

/** The next 429 teaches it again. */
function nothingIfUnknown(error: unknown): undefined {
  if (!isStateUnknown(error)) throw error
}
