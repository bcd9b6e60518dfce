// What users do with their alerts, with the rules that concern more than one field: the coin must have a price, an
// alert does not expire in the past, and some changes make the next evaluation a first one.

import { alertChanged, expiresInPast, notFound, tooManyAlerts, unknownCoin } from '../../errors.ts'
import { asAppError } from '../../http/problem.ts'
import type { Now } from '../../lib/time.ts'
import { type Alert, type AlertSpec, type Language, MOST_ALERTS, type Patch } from './alert.ts'
import { type AlertRecords, restarted } from './alert-records.ts'
import { evaluate, NEW_WATCH } from './crossing.ts'
import type { PricesOf } from './evaluate-alerts.ts'

export interface AlertChanges {
  make(userId: string, language: Language, spec: AlertSpec): Promise<Alert>
  change(userId: string, id: string, patch: Patch): Promise<Alert>
}

const TRIES = 3

export interface AlertChangesParts {
  alerts: AlertRecords
  pricesOf: PricesOf
  now: Now
}

export function createAlertChanges({ alerts, pricesOf, now }: AlertChangesParts): AlertChanges {
  /**
   * Undefined when there are no fresh prices now: then the coin is accepted, and the check makes the first
   * evaluation.
   */
  async function priceOf({ coin, vs }: AlertSpec): Promise<number | undefined> {
    try {
      const found = (await pricesOf([coin], vs)).get(coin)
      if (!found) throw unknownCoin(coin, vs)
      return found.isStale ? undefined : found.price
    } catch (error) {
      if (asAppError(error).status === 503) return undefined
      throw error
    }
  }

  function refusePast({ expiresAtMs }: AlertSpec): void {
    if (expiresAtMs !== undefined && expiresAtMs <= now()) throw expiresInPast()
  }

  return {
    async make(userId, language, spec) {
      refusePast(spec)
      const price = await priceOf(spec)
      const watch = price === undefined ? NEW_WATCH : evaluate(spec, NEW_WATCH, price, now()).watch
      const made = await alerts.create({ userId, language, spec, watch })
      if (!made) throw tooManyAlerts(MOST_ALERTS)
      return made
    },

    async change(userId, id, { spec: changes, isPaused }) {
      for (let tries = 0; tries < TRIES; tries += 1) {
        const alert = await alerts.find(userId, id)
        if (!alert) throw notFound('That alert')
        const spec: AlertSpec = { ...alert, ...changes }
        if (changes.expiresAtMs !== undefined || isPaused === false) refusePast(spec)
        if (isOther(spec, alert, 'coin') || isOther(spec, alert, 'vs')) await priceOf(spec)
        const status = isPaused === undefined ? alert.status : isPaused ? 'paused' : 'open'
        // Prices have moved during the pause, or the threshold is another one.
        const restarts =
          (status === 'open' && alert.status !== 'open') ||
          (['coin', 'vs', 'when', 'value'] as const).some((field) => isOther(spec, alert, field))
        const watch = restarts ? restarted(alert) : alert.watch
        if (await alerts.change(alert, { spec, status, watch })) {
          const after = await alerts.find(userId, id)
          if (after) return after
        }
      }
      throw alertChanged()
    },
  }
}

const isOther = (one: AlertSpec, other: AlertSpec, field: 'coin' | 'vs' | 'when' | 'value') =>
  one[field] !== other[field]
