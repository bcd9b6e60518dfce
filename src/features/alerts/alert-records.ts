// The users' alerts in the database of records: made, listed, changed and deleted by users, and read by the check.
import { randomBytes } from 'node:crypto'
import type { Row, SqlValue } from '../../lib/sql-row.ts'
import { DAY, type Now } from '../../lib/time.ts'
import type { Migrations, Records } from '../../sql/sql.ts'
import {
  type Alert,
  type AlertSpec,
  type Language,
  MOST_ALERTS,
  MOST_TRIGGERS_A_DAY,
  type Status,
} from './alert.ts'
import { NEW_WATCH, type Watch } from './crossing.ts'
import { alerts } from './migrations/001-alerts.ts'

export const alertMigrations: Migrations = { of: 'alerts', steps: [alerts] }

export interface NewAlert {
  readonly userId: string
  readonly language: Language
  readonly spec: AlertSpec
  readonly watch: Watch
}

export interface Change {
  readonly spec: AlertSpec
  readonly status: Status
  readonly watch: Watch
}

/** Each user's own only: an alert of somebody else is as one that does not exist. */
export interface AlertRecords {
  /** Undefined when the user has as many as one may have. */
  create(alert: NewAlert): Promise<Alert | undefined>
  list(userId: string): Promise<Alert[]>
  find(userId: string, id: string): Promise<Alert | undefined>
  /** False when it has been changed since it was read, or deleted. */
  change(alert: Alert, change: Change): Promise<boolean>
  /** With its crossings and their deliveries. False when there is no such alert. */
  remove(userId: string, id: string): Promise<boolean>
  /** Those that may trigger: without those of users with too many triggers today, unless they trigger once. */
  open(): Promise<Alert[]>
}

const COLUMNS = `id, user_id, language, coin, vs, direction, value, repeats, cooldown_ms, expires_at, notify, status,
  armed, reference_price, rang_at, rings, version, created_at`
const ID_BYTES = 12

export function createAlertRecords({
  records,
  now = Date.now,
}: {
  records: Records
  now?: Now
}): AlertRecords {
  async function find(userId: string, id: string): Promise<Alert | undefined> {
    const [row] = await records.all(`SELECT ${COLUMNS} FROM alerts WHERE id = ? AND user_id = ?`, id, userId)
    return row && asAlert(row)
  }

  return {
    find,

    async create({ userId, language, spec, watch }) {
      const id = randomBytes(ID_BYTES).toString('base64url')
      const nowMs = now()
      await records.transaction(async (tx) => {
        // Serialises concurrent calls of one user, so that each counts the alerts of the others.
        tx.run(
          `INSERT INTO alert_users (user_id, changed_at) VALUES (?, ?)
             ON CONFLICT (user_id) DO UPDATE SET changed_at = excluded.changed_at`,
          userId,
          nowMs,
        )
        tx.run(
          `INSERT INTO alerts (${COLUMNS}) SELECT ?, user_id, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'open', ?, ?, NULL, 0, 1, ?
           FROM alert_users WHERE user_id = ? AND (SELECT COUNT(*) FROM alerts WHERE user_id = ?) < ${MOST_ALERTS}`,
          id,
          language,
          ...valuesOf(spec),
          ...watchValuesOf(watch),
          nowMs,
          userId,
          userId,
        )
      })
      return find(userId, id)
    },

    async list(userId) {
      const query = `SELECT ${COLUMNS} FROM alerts WHERE user_id = ? ORDER BY created_at, id`
      return (await records.all(query, userId)).map(asAlert)
    },

    async change({ id, userId, version }, { spec, status, watch }) {
      const by = randomBytes(ID_BYTES).toString('base64url')
      await records.transaction(async (tx) => {
        tx.run(
          `UPDATE alerts SET coin = ?, vs = ?, direction = ?, value = ?, repeats = ?, cooldown_ms = ?, expires_at = ?,
             notify = ?, armed = ?, reference_price = ?, status = ?, version = version + 1, decided_by = ?
           WHERE id = ? AND user_id = ? AND version = ?`,
          ...valuesOf(spec),
          ...watchValuesOf(watch),
          status,
          by,
          id,
          userId,
          version,
        )
      })
      const query = 'SELECT 1 AS changed FROM alerts WHERE id = ? AND decided_by = ?'
      return (await records.all(query, id, by)).length > 0
    },

    async remove(userId, id) {
      if (!(await find(userId, id))) return false
      await records.transaction(async (tx) => {
        tx.run(
          `DELETE FROM alert_deliveries
           WHERE crossing_id IN (SELECT id FROM alert_crossings WHERE user_id = ? AND alert_id = ?)`,
          userId,
          id,
        )
        tx.run('DELETE FROM alert_crossings WHERE user_id = ? AND alert_id = ?', userId, id)
        tx.run('DELETE FROM alerts WHERE id = ? AND user_id = ?', id, userId)
      })
      return true
    },

    async open() {
      // In the order of their ids, so that two processes that change many never deadlock.
      const nowMs = now()
      const query = `SELECT ${COLUMNS} FROM alerts WHERE status = 'open' AND (expires_at IS NULL OR expires_at > ?)
        AND (repeats = 'once' OR user_id NOT IN (
          SELECT user_id FROM alert_crossings WHERE decided_at > ?
          GROUP BY user_id HAVING COUNT(*) >= ${MOST_TRIGGERS_A_DAY}))
        ORDER BY id`
      return (await records.all(query, nowMs, nowMs - DAY)).map(asAlert)
    },
  }
}

/** The next evaluation is a first one; a cooldown continues. */
export const restarted = ({ watch }: Alert): Watch => ({ ...NEW_WATCH, triggeredAtMs: watch.triggeredAtMs })

function valuesOf({ coin, vs, when, value, repeat, cooldownMs, expiresAtMs, notify }: AlertSpec): SqlValue[] {
  return [coin, vs, when, value, repeat, cooldownMs, expiresAtMs ?? null, notify.join(' ')]
}

/** The columns of a watch, without the time of its last trigger, which only an evaluation changes. */
export function watchValuesOf({ armed, referencePrice }: Watch): SqlValue[] {
  return [armed === undefined ? null : Number(armed), referencePrice ?? null]
}

const numberOf = (value: SqlValue | undefined) => (value === null ? undefined : Number(value))

function asAlert(row: Row): Alert {
  return {
    id: String(row.id),
    userId: String(row.user_id),
    language: row.language as Language,
    coin: String(row.coin),
    vs: String(row.vs),
    when: row.direction as Alert['when'],
    value: Number(row.value),
    repeat: row.repeats as Alert['repeat'],
    cooldownMs: Number(row.cooldown_ms),
    expiresAtMs: numberOf(row.expires_at),
    notify: String(row.notify).split(' ').filter(Boolean) as unknown as Alert['notify'],
    status: row.status as Status,
    watch: {
      armed: row.armed === null ? undefined : row.armed === 1,
      referencePrice: numberOf(row.reference_price),
      triggeredAtMs: numberOf(row.rang_at),
    },
    triggerCount: Number(row.rings),
    version: Number(row.version),
    createdAtMs: Number(row.created_at),
  }
}
