// What a check has decided, committed: an alert's new watch and, where it rings, its crossing and what is to be told of it,
// all in one transaction. So a crossing that is decided is never forgotten, and never decided twice.
import { randomUUID } from 'node:crypto'
import type { Records, Transaction } from '../../sql/sql.ts'
import type { Alert, Crossing } from './alert.ts'
import { seenOf } from './alert-records.ts'
import type { Watch } from './crossing.ts'

export interface Decision {
  readonly alert: Alert
  readonly watch: Watch
  /** What it rings at; undefined when it does not ring. */
  readonly ringsAt: Pick<Crossing, 'price' | 'asOf'> | undefined
}

export interface CommitOptions {
  records: Records
  decisions: readonly Decision[]
  hasTelegram: boolean
  nowMs: number
}

const ALERTS_A_COMMIT = 200 // so that nobody else waits long for the database

/** Alerts that have been changed since they were read are left as they are: the next check looks at them again. */
export async function commitLooks({ records, decisions, ...rest }: CommitOptions): Promise<void> {
  for (let from = 0; from < decisions.length; from += ALERTS_A_COMMIT) {
    const some = decisions.slice(from, from + ALERTS_A_COMMIT)
    await records.transaction(async (tx) => {
      for (const decision of some) keep(tx, decision, rest)
    })
  }
}

function keep(
  tx: Transaction,
  decision: Decision,
  { hasTelegram, nowMs }: { hasTelegram: boolean; nowMs: number },
): void {
  const { alert, watch, ringsAt } = decision
  // Whoever changes the row first, of two checks with the same alert in hand, writes its own name; what follows goes by it.
  const by = randomUUID()
  tx.run(
    `UPDATE alerts SET armed = ?, reference_price = ?, rang_at = ?, rings = ?, status = ?, version = version + 1, decided_by = ?
     WHERE id = ? AND version = ?`,
    ...seenOf(watch),
    watch.rangAtMs ?? null,
    alert.rings + (ringsAt ? 1 : 0),
    ringsAt && alert.repeat === 'once' ? 'done' : alert.status,
    by,
    alert.id,
    alert.version,
  )
  if (!ringsAt) return
  const crossing = crossingOf(alert, ringsAt, nowMs)
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

const isTelegramUser = (userId: string) => userId.startsWith('telegram:')

function crossingOf(
  alert: Alert,
  { price, asOf }: NonNullable<Decision['ringsAt']>,
  nowMs: number,
): Crossing {
  const { id, coin, vs, when, value, watch } = alert
  return {
    id: `alert:${id}:${alert.rings + 1}`,
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
