// The outbox: which crossings are still to be told, and by which way. It is what makes a delivery happen once; the queue
// only says when, and may run a job twice or forget it.
//
//   waiting ──claimed, from `not_before` on──► sending ──► ended, with an outcome: `sent`, or why it never will be
//      ▲                                         │
//      └────── put off, or the lease ended ──────┘       sending: a lease of 30 s, in case its process dies
//
// A process killed between the third party's yes and our note of it tells a crossing again when the lease has ended; the
// crossing's id is the same then.
import { randomUUID } from 'node:crypto'
import type { Row, SqlValue } from '../../lib/sql-row.ts'
import { DAY, HOUR, type Now, SECOND } from '../../lib/time.ts'
import type { Records } from '../../sql/sql.ts'
import type { Crossing, Language, Way } from './alert.ts'
import { messageText } from './alert-words.ts'
import { createGroupedCommits, type Statement } from './grouped-commits.ts'

export const LEASE_MS = 30 * SECOND
/** What could not be told by then is no news any more. */
export const GIVE_UP_MS = 12 * HOUR
const KEPT_MS = 30 * DAY
const EARLY_MS = 250 // timers and other machines' clocks are not exact; a little early does no harm
const SHOWN_CROSSINGS = 50
// So many at a time that nobody waits long for the database.
const OLDEST = 'SELECT id FROM alert_crossings WHERE decided_at < ? ORDER BY decided_at, id LIMIT 1000'

/** A delivery that is to be made, and may be tried from that moment on. */
export interface OpenDelivery {
  readonly crossingId: string
  readonly way: Way
  /** How often it has been tried. */
  readonly tries: number
  readonly notBeforeMs: number
}

/** A delivery that is ours until the lease ends. */
export interface ClaimedDelivery {
  readonly crossingId: string
  readonly way: Way
  /** This one included. */
  readonly tries: number
  readonly by: string
  readonly userId: string
  readonly language: Language
  readonly crossing: Crossing
  readonly decidedAtMs: number
  readonly webhook: { readonly url: string; readonly secret: string } | undefined
}

export interface DeliveryRecords {
  open(): Promise<OpenDelivery[]>
  /** `not yet`: it must wait, or somebody else is at it. */
  claim(crossingId: string, way: Way): Promise<ClaimedDelivery | 'ended' | 'not yet'>
  /** The end of it. `blocks`: its alert rings no more until the user says so. */
  end(claimed: ClaimedDelivery, outcome: string, options: { blocks: boolean }): Promise<void>
  putOff(claimed: ClaimedDelivery, untilMs: number): Promise<void>
  /** The user's last 50 crossings, newest first, with what has become of their deliveries. */
  lastOf(userId: string): Promise<Shown[]>
  /** Ends what is too old to be told, and forgets what is too old to be shown, a thousand crossings a call. */
  tidy(): Promise<void>
}

export function createDeliveryRecords({
  records,
  now = Date.now,
}: {
  records: Records
  now?: Now
}): DeliveryRecords {
  const commit = createGroupedCommits(records)

  return {
    async open() {
      const query = `SELECT crossing_id, way, tries, not_before, lease_until FROM alert_deliveries WHERE ended_at IS NULL
        ORDER BY not_before, crossing_id, way`
      return (await records.all(query)).map((row) => ({
        crossingId: String(row.crossing_id),
        way: row.way as Way,
        tries: Number(row.tries),
        notBeforeMs: Math.max(Number(row.not_before), Number(row.lease_until)),
      }))
    },

    async claim(crossingId, way) {
      const by = randomUUID()
      const nowMs = now()
      await commit([
        `UPDATE alert_deliveries SET tries = tries + 1, lease_by = ?, lease_until = ?
         WHERE crossing_id = ? AND way = ? AND ended_at IS NULL AND not_before <= ? AND lease_until <= ?`,
        by,
        nowMs + LEASE_MS,
        crossingId,
        way,
        nowMs + EARLY_MS,
        nowMs,
      ])
      const [row] = await records.all(
        `SELECT d.tries, d.lease_by, d.ended_at, c.user_id, c.language, c.payload, c.decided_at, u.webhook_url, u.webhook_secret FROM alert_deliveries d
           JOIN alert_crossings c ON c.id = d.crossing_id LEFT JOIN alert_users u ON u.user_id = c.user_id
         WHERE d.crossing_id = ? AND d.way = ?`,
        crossingId,
        way,
      )
      // Without a row its alert has been deleted.
      if (!row || row.ended_at !== null) return 'ended'
      return row.lease_by === by ? asClaimed(row, { crossingId, way, by }) : 'not yet'
    },

    end({ crossingId, way, by, crossing }, outcome, { blocks }) {
      const ended: Statement = [
        'UPDATE alert_deliveries SET ended_at = ?, outcome = ? WHERE crossing_id = ? AND way = ? AND lease_by = ? AND ended_at IS NULL',
        now(),
        outcome,
        crossingId,
        way,
        by,
      ]
      const blocked: Statement = [
        "UPDATE alerts SET status = 'blocked', version = version + 1 WHERE id = ? AND status = 'open'",
        crossing.alertId,
      ]
      return blocks ? commit(ended, blocked) : commit(ended)
    },

    putOff: ({ crossingId, way, by }, untilMs) =>
      commit([
        'UPDATE alert_deliveries SET not_before = ?, lease_until = 0 WHERE crossing_id = ? AND way = ? AND lease_by = ?',
        untilMs,
        crossingId,
        way,
        by,
      ]),

    async lastOf(userId) {
      const query = `SELECT c.language, c.payload, d.way, d.outcome FROM alert_crossings c LEFT JOIN alert_deliveries d ON d.crossing_id = c.id
        WHERE c.id IN (SELECT id FROM alert_crossings WHERE user_id = ? ORDER BY decided_at DESC, id LIMIT ${SHOWN_CROSSINGS})
        ORDER BY c.decided_at DESC, c.id, d.way`
      return asShown(await records.all(query, userId))
    },

    tidy() {
      const nowMs = now()
      return records.transaction(async (tx) => {
        tx.run(
          `UPDATE alert_deliveries SET ended_at = ?, outcome = 'too_late' WHERE ended_at IS NULL AND not_before <= ? AND lease_until <= ?
             AND (SELECT decided_at FROM alert_crossings WHERE id = crossing_id) < ?`,
          nowMs,
          nowMs,
          nowMs,
          nowMs - GIVE_UP_MS,
        )
        tx.run(`DELETE FROM alert_deliveries WHERE crossing_id IN (${OLDEST})`, nowMs - KEPT_MS)
        tx.run(`DELETE FROM alert_crossings WHERE id IN (${OLDEST})`, nowMs - KEPT_MS)
      })
    },
  }
}

function asClaimed(row: Row, names: Pick<ClaimedDelivery, 'crossingId' | 'way' | 'by'>): ClaimedDelivery {
  return {
    ...names,
    tries: Number(row.tries),
    userId: String(row.user_id),
    language: row.language as Language,
    crossing: JSON.parse(String(row.payload)) as Crossing,
    decidedAtMs: Number(row.decided_at),
    webhook:
      row.webhook_url === null
        ? undefined
        : { url: String(row.webhook_url), secret: String(row.webhook_secret) },
  }
}

interface Shown extends Crossing {
  readonly text: string
  /** Of each way what has become of it: an outcome, or `waiting`. */
  readonly deliveries: Record<string, SqlValue>
}

/** One of each crossing, from rows of one for each of its deliveries. */
function asShown(rows: readonly Row[]): Shown[] {
  const shown = new Map<string, Shown>()
  for (const { language, payload, way, outcome } of rows) {
    const told = JSON.parse(String(payload)) as Crossing
    const one = shown.get(told.id) ?? {
      ...told,
      text: messageText(told, language as Language),
      deliveries: {},
    }
    shown.set(told.id, one)
    if (way) one.deliveries[String(way)] = outcome ?? 'waiting'
  }
  return [...shown.values()]
}
