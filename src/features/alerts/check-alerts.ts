// The check, once a minute in one of the processes: reads the prices of all coins that somebody waits for, decides, and
// commits what it has decided. Who is told, and how, is the business of deliver-alerts.ts.
import { Refusal } from '../../core/errors.ts'
import type { Now } from '../../lib/time.ts'
import type { Log } from '../../log.ts'
import type { Records } from '../../sql/sql.ts'
import type { Alert } from './alert.ts'
import type { AlertRecords } from './alert-records.ts'
import { commitLooks, type Decision } from './commit-looks.ts'
import { look } from './crossing.ts'

/** A price as the source had it at that moment. */
export interface Price {
  readonly price: number
  readonly asOf: string
  /** There is no newer one to be had: nothing is decided by it. */
  readonly isStale: boolean
}

/**
 * The prices of these coins as they are now, in as few calls as it takes; those without a price are left out. Rejects with
 * a Refusal when there are none to be had.
 */
export type PricesOf = (coins: readonly string[], vs: string) => Promise<ReadonlyMap<string, Price>>

export interface CheckParts {
  records: Records
  alerts: Pick<AlertRecords, 'open'>
  pricesOf: PricesOf
  hasTelegram: boolean
  now: Now
  log: Log
}

export function createCheck({ records, alerts, pricesOf, hasTelegram, now, log }: CheckParts) {
  /** Nothing when they cannot be had: the next check is a minute away, and the other currencies are not to wait. */
  async function pricesFor(some: readonly Alert[], vs: string): Promise<ReadonlyMap<string, Price>> {
    try {
      return await pricesOf([...new Set(some.map(({ coin }) => coin))], vs)
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      log.warn({ vs, alerts: some.length, reason: error.code }, 'alerts are not checked: no prices')
      return new Map()
    }
  }

  function tellStale(some: readonly Alert[], prices: ReadonlyMap<string, Price>, vs: string): void {
    const alerts = some.filter(({ coin }) => prices.get(coin)?.isStale).length
    if (alerts > 0) log.warn({ vs, alerts, reason: 'stale' }, 'alerts are not checked: no prices')
  }

  return async function check(): Promise<void> {
    for (const [vs, some] of byCurrency(await alerts.open())) {
      const prices = await pricesFor(some, vs)
      tellStale(some, prices, vs)
      const nowMs = now()
      const decisions = some.flatMap((alert) => decide(alert, prices.get(alert.coin), nowMs))
      await commitLooks({ records, decisions, hasTelegram, nowMs })
    }
  }
}

/** Nothing when the look changes nothing. */
function decide(alert: Alert, found: Price | undefined, nowMs: number): Decision[] {
  if (!found || found.isStale) return []
  const { watch, rings } = look(alert, alert.watch, found.price, nowMs)
  return watch === alert.watch ? [] : [{ alert, watch, ringsAt: rings ? found : undefined }]
}

function byCurrency(alerts: readonly Alert[]): ReadonlyMap<string, readonly Alert[]> {
  const found = new Map<string, Alert[]>()
  for (const alert of alerts) {
    const some = found.get(alert.vs) ?? []
    some.push(alert)
    found.set(alert.vs, some)
  }
  return found
}
