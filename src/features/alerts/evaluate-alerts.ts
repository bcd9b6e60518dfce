// The check, once a minute in one of the processes: reads the prices of all coins that open alerts name, evaluates the
// alerts, and commits the result. deliver-alerts.ts notifies the users.
import { Refusal } from '../../core/errors.ts'
import type { Now } from '../../lib/time.ts'
import type { Log } from '../../log.ts'
import type { Records } from '../../sql/sql.ts'
import type { Alert } from './alert.ts'
import type { AlertRecords } from './alert-records.ts'
import { commitEvaluations, type Evaluated } from './commit-evaluations.ts'
import { evaluate } from './crossing.ts'

/** A price as the source had it at that moment. */
export interface Price {
  readonly price: number
  readonly asOf: string
  /** The source has no newer one: it decides nothing. */
  readonly isStale: boolean
}

/**
 * The prices of these coins as they are now, in as few calls as it takes; coins without a price are left out. Rejects
 * with a Refusal when there are none to be had.
 */
export type PricesOf = (coins: readonly string[], vs: string) => Promise<ReadonlyMap<string, Price>>

/** Those of these coins that the source does not have, or has no price of; none where it cannot be asked. */
export type UnpricedOf = (coins: readonly string[], vs: string) => Promise<ReadonlySet<string>>

const MOST_TOLD = 1_000 // coins that the log has named

export interface EvaluateParts {
  records: Records
  alerts: Pick<AlertRecords, 'open'>
  pricesOf: PricesOf
  unpricedOf: UnpricedOf
  hasTelegram: boolean
  now: Now
  log: Log
}

export function createEvaluateAlerts(parts: EvaluateParts) {
  const { records, alerts, pricesOf, unpricedOf, hasTelegram, now, log } = parts
  const told = new Set<string>()

  /** Nothing when they cannot be had: the next check is a minute away, and the other currencies do not wait for it. */
  async function pricesFor(some: readonly Alert[], vs: string): Promise<ReadonlyMap<string, Price>> {
    try {
      return await pricesOf([...new Set(some.map(({ coin }) => coin))], vs)
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      log.warn({ vs, alerts: some.length, reason: error.code }, 'alerts are not checked: no prices')
      return new Map()
    }
  }

  function warnStale(some: readonly Alert[], prices: ReadonlyMap<string, Price>, vs: string): void {
    const alerts = some.filter(({ coin }) => prices.get(coin)?.isStale).length
    if (alerts > 0) log.warn({ vs, alerts, reason: 'stale' }, 'alerts are not checked: no prices')
  }

  /** Once for each coin: its alerts wait, those of other coins do not. */
  async function warnUnpriced(some: readonly Alert[], prices: ReadonlyMap<string, Price>, vs: string) {
    const missing = new Set(some.map(({ coin }) => coin).filter((coin) => !prices.has(coin)))
    if (missing.size === 0) return
    const coins = [...(await unpricedOf([...missing], vs))].filter((coin) => !told.has(`${vs}:${coin}`))
    if (coins.length === 0) return
    if (told.size > MOST_TOLD) told.clear()
    for (const coin of coins) told.add(`${vs}:${coin}`)
    log.warn(
      { vs, coins: coins.slice(0, 5), count: coins.length },
      'alerts wait: the source has no price of their coin',
    )
  }

  return async function evaluateAlerts(): Promise<void> {
    for (const [vs, some] of byCurrency(await alerts.open())) {
      const prices = await pricesFor(some, vs)
      warnStale(some, prices, vs)
      await warnUnpriced(some, prices, vs)
      const nowMs = now()
      const evaluated = some.flatMap((alert) => evaluateOne(alert, prices.get(alert.coin), nowMs))
      await commitEvaluations({ records, evaluated, hasTelegram, nowMs })
    }
  }
}

/** Nothing when the evaluation changes nothing. */
function evaluateOne(alert: Alert, found: Price | undefined, nowMs: number): Evaluated[] {
  if (!found || found.isStale) return []
  const { watch, triggers } = evaluate(alert, alert.watch, found.price, nowMs)
  return watch === alert.watch ? [] : [{ alert, watch, trigger: triggers ? found : undefined }]
}

export function byCurrency(alerts: readonly Alert[]): ReadonlyMap<string, readonly Alert[]> {
  const found = new Map<string, Alert[]>()
  for (const alert of alerts) {
    const some = found.get(alert.vs) ?? []
    some.push(alert)
    found.set(alert.vs, some)
  }
  return found
}
