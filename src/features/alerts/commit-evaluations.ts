// Commits evaluations: an alert's new watch and, where it triggers, its crossing with one delivery for each way, in one
// transaction. So a crossing is never forgotten, and never decided twice.
import { randomUUID } from 'node:crypto'
import type { Records, Transaction } from '../../sql/sql.ts'
import { type Alert, type Crossing, isTelegramUser } from './alert.ts'
import { watchValuesOf } from './alert-records.ts'
import type { Watch } from './crossing.ts'

export interface Evaluated {
  readonly alert: Alert
  readonly watch: Watch
  /** What triggers it; undefined when nothing does. */
  readonly trigger: Pick<Crossing, 'price' | 'asOf'> | undefined
}

interface Circumstances {
  readonly hasTelegram: boolean
  readonly nowMs: number
}

export interface CommitOptions extends Circumstances {
  records: Records
  evaluated: readonly Evaluated[]
}

const ALERTS_A_COMMIT = 200 // so that nobody waits long for the database

/** Alerts that have changed since they were read stay as they are: the next check evaluates them. */
export async function commitEvaluations({ records, evaluated, ...rest }: CommitOptions): Promise<void> {
  for (let from = 0; from < evaluated.length; from += ALERTS_A_COMMIT) {
    const some = evaluated.slice(from, from + ALERTS_A_COMMIT)
    await records.transaction(async (tx) => {
      for (const one of some) queueChanges(tx, one, rest)
    })
  }
}

function queueChanges(tx: Transaction, { alert, watch, trigger }: Evaluated, rest: Circumstances): void {
  const { hasTelegram, nowMs } = rest
  // Of two checks with the same version of the alert, one changes the row and leaves its name: what follows depends
  // on it.
  const by = randomUUID()
  tx.run(
    `UPDATE alerts SET armed = ?, reference_price = ?, rang_at = ?, rings = ?, status = ?, version = version + 1,
       decided_by = ?
     WHERE id = ? AND version = ?`,
    ...watchValuesOf(watch),
    watch.triggeredAtMs ?? null,
    alert.triggerCount + (trigger ? 1 : 0),
    trigger && alert.repeat === 'once' ? 'done' : alert.status,
    by,
    alert.id,
    alert.version,
  )
  if (!trigger) return
  const crossing = crossingOf(alert, trigger, nowMs)
  tx.run(
    `INSERT INTO alert_crossings (id, alert_id, user_id, language, payload, decided_at)
     SELECT ?, id, user_id, language, ?, ? FROM alerts WHERE id = ? AND decided_by = ?`,
    crossing.id,
    JSON.stringify(crossing),
    nowMs,
    alert.id,
    by,
  )
  for (const way of ['page', ...alert.notify]) {
    if (way === 'telegram' && !(hasTelegram && isTelegramUser(alert.userId))) continue
    tx.run(
      `INSERT INTO alert_deliveries (crossing_id, way, tries, not_before, lease_by, lease_until)
       SELECT ?, ?, 0, ?, '', 0 FROM alerts JOIN alert_users ON alert_users.user_id = alerts.user_id
       WHERE id = ? AND decided_by = ?${way === 'webhook' ? ' AND webhook_url IS NOT NULL' : ''}`,
      crossing.id,
      way,
      nowMs,
      alert.id,
      by,
    )
  }
}

function crossingOf(
  alert: Alert,
  { price, asOf }: Pick<Crossing, 'price' | 'asOf'>,
  nowMs: number,
): Crossing {
  const { id, coin, vs, when, value, watch } = alert
  return {
    id: `alert:${id}:${alert.triggerCount + 1}`,
    alertId: id,
    coin,
    vs,
    when,
    value,
    price,
    asOf,
    referencePrice: watch.referencePrice ?? null,
    crossedAt: new Date(nowMs).toISOString(),
  }
}
