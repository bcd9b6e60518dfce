// The users' alerts in the database of records: made, listed, changed and deleted by them, and read by the check.
import { randomBytes } from 'node:crypto'
import type { Row, SqlValue } from '../../lib/sql-row.ts'
import { DAY, type Now } from '../../lib/time.ts'
import type { Migrations, Records } from '../../sql/sql.ts'
import { type Alert, type Language, MOST_ALERTS, MOST_RINGS_A_DAY, type Status, type Wish } from './alert.ts'
import { UNSEEN, type Watch } from './crossing.ts'
import { alerts } from './migrations/001-alerts.ts'

export const alertMigrations: Migrations = { of: 'alerts', steps: [alerts] }

export interface NewAlert {
  readonly userId: string
  readonly language: Language
  readonly wish: Wish
  readonly watch: Watch
}

export interface Change {
  readonly wish: Wish
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
  /** With its crossings, told or not. False when there was none. */
  remove(userId: string, id: string): Promise<boolean>
  /** Those that may ring: not of a user with too many rings today, except those that ring once. */
  open(): Promise<Alert[]>
}

const COLUMNS = `id, user_id, language, coin, vs, direction, value, repeats, cooldown_ms, expires_at, notify, status, armed,
  reference_price, rang_at, rings, version, created_at`
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

    async create({ userId, language, wish, watch }) {
      const id = randomBytes(ID_BYTES).toString('base64url')
      const nowMs = now()
      await records.transaction(async (tx) => {
        // Two of one user's wait for each other here, so that both count what the other has made.
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
          ...valuesOf(wish),
          ...seenOf(watch),
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

    async change({ id, userId, version }, { wish, status, watch }) {
      const by = randomBytes(ID_BYTES).toString('base64url')
      await records.transaction(async (tx) => {
        tx.run(
          `UPDATE alerts SET coin = ?, vs = ?, direction = ?, value = ?, repeats = ?, cooldown_ms = ?, expires_at = ?, notify = ?,
             armed = ?, reference_price = ?, status = ?, version = version + 1, decided_by = ?
           WHERE id = ? AND user_id = ? AND version = ?`,
          ...valuesOf(wish),
          ...seenOf(watch),
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
          'DELETE FROM alert_deliveries WHERE crossing_id IN (SELECT id FROM alert_crossings WHERE user_id = ? AND alert_id = ?)',
          userId,
          id,
        )
        tx.run('DELETE FROM alert_crossings WHERE user_id = ? AND alert_id = ?', userId, id)
        tx.run('DELETE FROM alerts WHERE id = ? AND user_id = ?', id, userId)
      })
      return true
    },

    async open() {
      // In the order of their ids, so that two who change many at once never wait for each other.
      const nowMs = now()
      const query = `SELECT ${COLUMNS} FROM alerts WHERE status = 'open' AND (expires_at IS NULL OR expires_at > ?)
        AND (repeats = 'once' OR user_id NOT IN (
          SELECT user_id FROM alert_crossings WHERE decided_at > ? GROUP BY user_id HAVING COUNT(*) >= ${MOST_RINGS_A_DAY}))
        ORDER BY id`
      return (await records.all(query, nowMs, nowMs - DAY)).map(asAlert)
    },
  }
}

/** A watch that begins anew: the next look is a first one, but how long it cools down goes on. */
export const unseen = ({ watch }: Alert): Watch => ({ ...UNSEEN, rangAtMs: watch.rangAtMs })

function valuesOf({ coin, vs, when, value, repeat, cooldownMs, expiresAtMs, notify }: Wish): SqlValue[] {
  return [coin, vs, when, value, repeat, cooldownMs, expiresAtMs ?? null, notify.join(' ')]
}

/** What of a watch stands in the row besides when it rang, which only a look changes. */
export function seenOf({ armed, referencePrice }: Watch): SqlValue[] {
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
      rangAtMs: numberOf(row.rang_at),
    },
    rings: Number(row.rings),
    version: Number(row.version),
    createdAtMs: Number(row.created_at),
  }
}
