// What users do with their alerts, with the rules that are not of one field: the coin must have a price, an alert is not
// made for the past, and what is watched anew when it changes.

import { alertChanged, expiresInPast, notFound, tooManyAlerts, unknownCoin } from '../../errors.ts'
import { asAppError } from '../../http/problem.ts'
import type { Now } from '../../lib/time.ts'
import { type Alert, type Language, MOST_ALERTS, type Patch, type Wish } from './alert.ts'
import { type AlertRecords, unseen } from './alert-records.ts'
import type { PricesOf } from './check-alerts.ts'
import { look, UNSEEN } from './crossing.ts'

export interface AlertChanges {
  make(userId: string, language: Language, wish: Wish): Promise<Alert>
  change(userId: string, id: string, patch: Patch): Promise<Alert>
}

const TRIES = 3

export interface AlertChangesParts {
  alerts: AlertRecords
  pricesOf: PricesOf
  now: Now
}

export function createAlertChanges({ alerts, pricesOf, now }: AlertChangesParts): AlertChanges {
  /** Undefined when new prices cannot be had right now: then the coin is believed, and the first look is the check's. */
  async function priceOf({ coin, vs }: Wish): Promise<number | undefined> {
    try {
      const found = (await pricesOf([coin], vs)).get(coin)
      if (!found) throw unknownCoin(coin, vs)
      return found.isStale ? undefined : found.price
    } catch (error) {
      if (asAppError(error).status === 503) return undefined
      throw error
    }
  }

  function refusePast({ expiresAtMs }: Wish): void {
    if (expiresAtMs !== undefined && expiresAtMs <= now()) throw expiresInPast()
  }

  return {
    async make(userId, language, wish) {
      refusePast(wish)
      const price = await priceOf(wish)
      const watch = price === undefined ? UNSEEN : look(wish, UNSEEN, price, now()).watch
      const made = await alerts.create({ userId, language, wish, watch })
      if (!made) throw tooManyAlerts(MOST_ALERTS)
      return made
    },

    async change(userId, id, { wish: changes, isPaused }) {
      for (let tries = 0; tries < TRIES; tries += 1) {
        const alert = await alerts.find(userId, id)
        if (!alert) throw notFound('That alert')
        const wish: Wish = { ...alert, ...changes }
        if (changes.expiresAtMs !== undefined || isPaused === false) refusePast(wish)
        if (isOther(wish, alert, 'coin') || isOther(wish, alert, 'vs')) await priceOf(wish)
        const status = isPaused === undefined ? alert.status : isPaused ? 'paused' : 'open'
        // Prices moved while nobody looked, and a line elsewhere is another line.
        const isAnew =
          (status === 'open' && alert.status !== 'open') ||
          (['coin', 'vs', 'when', 'value'] as const).some((field) => isOther(wish, alert, field))
        const watch = isAnew ? unseen(alert) : alert.watch
        if (await alerts.change(alert, { wish, status, watch })) {
          const after = await alerts.find(userId, id)
          if (after) return after
        }
      }
      throw alertChanged()
    },
  }
}

const isOther = (one: Wish, other: Wish, field: 'coin' | 'vs' | 'when' | 'value') =>
  one[field] !== other[field]
