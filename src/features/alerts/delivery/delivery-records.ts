// The deliveries of crossings, one for each way: the outbox that the deciding transaction fills.
// A delivery has one lease and one done mark, both in its row.
//
//   due ──claimed──► sending, under a lease of 30 s ──► ended, with an outcome: `sent`, or why it never will be
//    ▲                  │
//    └─ put off, or the lease has ended: its process died
//
// A process that is killed after the receiver has accepted and before the end is committed delivers a crossing twice;
// the crossing's id is the same then.
import { randomUUID } from 'node:crypto'
import { corrupt, parseJson } from '../../../lib/codec.ts'
import type { Row, SqlValue } from '../../../lib/sql-row.ts'
import { DAY, HOUR, type Now, SECOND } from '../../../lib/time.ts'
import type { Records } from '../../../sql/sql.ts'
import type { Crossing, Language, Way } from '../alert.ts'
import { messageText } from '../alert-words.ts'
import { createGroupedCommits, type Statement } from './grouped-commits.ts'

export const LEASE_MS = 30 * SECOND
/** A crossing that was not delivered by then is out of date. */
export const GIVE_UP_MS = 12 * HOUR
const KEPT_MS = 30 * DAY
const SHOWN_CROSSINGS = 50
const IS_OPEN = 'ended_at IS NULL'
const IS_DUE = `${IS_OPEN} AND not_before <= ? AND lease_until <= ?`
const IS_LATE = `${IS_DUE} AND (SELECT decided_at FROM alert_crossings WHERE id = crossing_id) < ?`
// So few at a time that nobody waits long for the database.
const OLDEST = 'SELECT id FROM alert_crossings WHERE decided_at < ? ORDER BY decided_at, id LIMIT 1000'

/** A delivery that is ours until the lease ends. */
export interface ClaimedDelivery {
  readonly crossingId: string
  readonly way: Way
  /** This one included. */
  readonly tries: number
  readonly by: string
  readonly userId: string
  readonly language: Language
  /** Undefined when its row cannot be read. */
  readonly crossing: Crossing | undefined
  readonly decidedAtMs: number
  readonly webhook: { readonly url: string; readonly secret: string } | undefined
}

export interface DueDeliveries {
  /** How many deliveries of each way are due. */
  readonly counts: ReadonlyMap<Way, number>
  /** When the next one falls due after now; Infinity when there is none. */
  readonly nextAtMs: number
}

export interface DeliveryRecords {
  due(): Promise<DueDeliveries>
  isDue(way: Way): Promise<boolean>
  /** Claims the delivery of that way that has been due for longest; undefined when there is none. */
  claim(way: Way): Promise<ClaimedDelivery | undefined>
  /** Ends it for ever. `blocks`: its alert does not trigger until the user resumes it. */
  end(claimed: ClaimedDelivery, outcome: string, options: { blocks: boolean }): Promise<void>
  putOff(claimed: ClaimedDelivery, untilMs: number): Promise<void>
  /** The user's last 50 crossings, newest first, with the outcomes of their deliveries. */
  lastOf(userId: string): Promise<ShownCrossing[]>
  /** Ends deliveries that are too late, and deletes old crossings, a thousand a call. */
  prune(): Promise<void>
}

export function createDeliveryRecords({
  records,
  now = Date.now,
}: {
  records: Records
  now?: Now
}): DeliveryRecords {
  const commit = createGroupedCommits(records)
  const hasAny = async (query: string, ...parameters: SqlValue[]) =>
    (await records.all(`${query} LIMIT 1`, ...parameters)).length > 0

  return {
    async due() {
      const nowMs = now()
      const query = `SELECT way, COUNT(*) AS count,
          CASE WHEN lease_until > not_before THEN lease_until ELSE not_before END AS due_at
        FROM alert_deliveries WHERE ${IS_OPEN} GROUP BY 1, 3`
      const counts = new Map<Way, number>()
      let nextAtMs = Number.POSITIVE_INFINITY
      for (const { way, due_at, count } of await records.all(query)) {
        if (Number(due_at) > nowMs) nextAtMs = Math.min(nextAtMs, Number(due_at))
        else counts.set(way as Way, (counts.get(way as Way) ?? 0) + Number(count))
      }
      return { counts, nextAtMs }
    },

    isDue: (way) => hasAny(`SELECT 1 FROM alert_deliveries WHERE way = ? AND ${IS_DUE}`, way, now(), now()),

    async claim(way) {
      const by = randomUUID()
      const nowMs = now()
      // Another process may claim the row that the inner query finds: the condition is checked again on the row itself.
      await commit([
        `UPDATE alert_deliveries SET tries = tries + 1, lease_by = ?, lease_until = ? WHERE way = ? AND ${IS_DUE}
           AND crossing_id IN (SELECT crossing_id FROM alert_deliveries WHERE way = ? AND ${IS_DUE}
             ORDER BY not_before, crossing_id LIMIT 1)`,
        ...[by, nowMs + LEASE_MS],
        ...[way, nowMs, nowMs],
        ...[way, nowMs, nowMs],
      ])
      const [row] = await records.all(
        `SELECT d.crossing_id, d.tries, c.user_id, c.language, c.payload, c.decided_at, u.webhook_url, u.webhook_secret
         FROM alert_deliveries d JOIN alert_crossings c ON c.id = d.crossing_id
           LEFT JOIN alert_users u ON u.user_id = c.user_id
         WHERE d.way = ? AND d.lease_by = ? AND d.${IS_OPEN}`,
        way,
        by,
      )
      return row && asClaimed(row, { way, by })
    },

    end({ crossingId, way, by, crossing }, outcome, { blocks }) {
      const ended: Statement = [
        `UPDATE alert_deliveries SET ended_at = ?, outcome = ?
         WHERE crossing_id = ? AND way = ? AND lease_by = ? AND ${IS_OPEN}`,
        now(),
        outcome,
        crossingId,
        way,
        by,
      ]
      if (!blocks || !crossing) return commit(ended)
      const text =
        "UPDATE alerts SET status = 'blocked', version = version + 1 WHERE id = ? AND status = 'open'"
      return commit(ended, [text, crossing.alertId])
    },

    putOff: ({ crossingId, way, by }, untilMs) =>
      commit([
        `UPDATE alert_deliveries SET not_before = ?, lease_until = 0
         WHERE crossing_id = ? AND way = ? AND lease_by = ?`,
        untilMs,
        crossingId,
        way,
        by,
      ]),

    async lastOf(userId) {
      const query = `SELECT c.language, c.payload, d.way, d.outcome
        FROM alert_crossings c LEFT JOIN alert_deliveries d ON d.crossing_id = c.id
        WHERE c.id IN (
          SELECT id FROM alert_crossings WHERE user_id = ? ORDER BY decided_at DESC, id LIMIT ${SHOWN_CROSSINGS})
        ORDER BY c.decided_at DESC, c.id, d.way`
      return asShown(await records.all(query, userId))
    },

    async prune() {
      const nowMs = now()
      const lateBy = [nowMs, nowMs, nowMs - GIVE_UP_MS]
      const oldBy = nowMs - KEPT_MS
      const hasLate = await hasAny(`SELECT 1 FROM alert_deliveries WHERE ${IS_LATE}`, ...lateBy)
      const hasOld = await hasAny('SELECT 1 FROM alert_crossings WHERE decided_at < ?', oldBy)
      if (!hasLate && !hasOld) return // a commit costs a wait for the disk
      await commit(
        [`UPDATE alert_deliveries SET ended_at = ?, outcome = 'too_late' WHERE ${IS_LATE}`, nowMs, ...lateBy],
        [`DELETE FROM alert_deliveries WHERE crossing_id IN (${OLDEST})`, oldBy],
        [`DELETE FROM alert_crossings WHERE id IN (${OLDEST})`, oldBy],
      )
    },
  }
}

function readCrossing(payload: SqlValue | undefined): Crossing | undefined {
  const crossing = parseJson(String(payload))
  return crossing === corrupt || typeof crossing !== 'object' ? undefined : (crossing as Crossing)
}

function asClaimed(row: Row, names: Pick<ClaimedDelivery, 'way' | 'by'>): ClaimedDelivery {
  const { webhook_url: url, webhook_secret: secret } = row
  return {
    ...names,
    crossingId: String(row.crossing_id),
    tries: Number(row.tries),
    userId: String(row.user_id),
    language: row.language as Language,
    crossing: readCrossing(row.payload),
    decidedAtMs: Number(row.decided_at),
    webhook: url === null ? undefined : { url: String(url), secret: String(secret) },
  }
}

interface ShownCrossing extends Crossing {
  readonly text: string
  /** Of each way its outcome, or `waiting`. */
  readonly deliveries: Record<string, SqlValue>
}

/** One of each crossing, from rows of one for each of its deliveries; without those that cannot be read. */
function asShown(rows: readonly Row[]): ShownCrossing[] {
  const shown = new Map<string, ShownCrossing>()
  for (const { language, payload, way, outcome } of rows) {
    const crossing = readCrossing(payload)
    if (!crossing) continue
    const text = messageText(crossing, language as Language)
    const one = shown.get(crossing.id) ?? { ...crossing, text, deliveries: {} }
    shown.set(crossing.id, one)
    if (way) one.deliveries[String(way)] = outcome ?? 'waiting'
  }
  return [...shown.values()]
}
