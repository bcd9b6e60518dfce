// What is kept of webhooks in the database of records: which deliveries are done, and the last ones as they came.
import type { Done } from '../../core/once.ts'
import type { Row } from '../../lib/sql-row.ts'
import { DAY } from '../../lib/time.ts'
import type { Migrations, Sql, Transaction } from '../../sql/sql.ts'
import { deliveries } from './migrations/001-deliveries.ts'

/** Longer than the state role knows of a delivery, so that there is no time in which neither does. */
const DONE_MS = 5 * DAY
const KEPT_DELIVERIES = 1_000 // of each source
const KEPT_BODY_BYTES = 16 * 1024
const SHOWN_DELIVERIES = 50

export const webhookMigrations: Migrations = { of: 'webhooks', steps: [deliveries] }

export interface Delivery {
  readonly source: string
  /** The same each time the sender sends it. */
  readonly id: string
  readonly contentType: string | undefined
  /** Those that its scheme names, in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
  /** What the sender's API says of it, where its scheme asks there. */
  readonly confirmed?: unknown
  readonly receivedAtMs: number
}

/** What was done with that delivery, if it was. */
export async function findDone(sql: Sql, { source, id }: Delivery): Promise<Done | undefined> {
  const query = 'SELECT done_by, fingerprint, answer FROM webhook_done WHERE source = ? AND id = ?'
  const [row] = await sql.all(query, source, id)
  if (!row) return undefined
  return {
    by: String(row.done_by),
    fingerprint: String(row.fingerprint),
    answer: Buffer.from(String(row.answer)),
  }
}

/** Marks it as done. The primary key makes the whole transaction fail where another process was first. */
export function markDone(tx: Transaction, { source, id }: Delivery, done: Done, nowMs: number): void {
  const values = [source, id, done.by, done.fingerprint, done.answer.toString(), nowMs]
  tx.run('INSERT INTO webhook_done VALUES (?, ?, ?, ?, ?, ?)', ...values)
  tx.run('DELETE FROM webhook_done WHERE done_at < ?', nowMs - DONE_MS)
}

/** Keeps the delivery for the admin to see: of each source the last thousand. */
export function keepDelivery(tx: Transaction, delivery: Delivery): void {
  const { source, id, contentType, body, receivedAtMs } = delivery
  tx.run(
    `INSERT INTO webhook_deliveries (source, id, content_type, size_bytes, body, received_at)
       VALUES (?, ?, ?, ?, ?, ?)`,
    source,
    id,
    contentType ?? null,
    body.length,
    body.subarray(0, KEPT_BODY_BYTES).toString(),
    receivedAtMs,
  )
  tx.run(
    `DELETE FROM webhook_deliveries WHERE source = ? AND number <=
       (SELECT number FROM webhook_deliveries WHERE source = ? ORDER BY number DESC LIMIT 1 OFFSET ${KEPT_DELIVERIES})`,
    source,
    source,
  )
}

/** The last 50, newest first. */
export async function lastDeliveries(sql: Sql, source: string) {
  const query = `SELECT id, content_type, size_bytes, body, received_at FROM webhook_deliveries WHERE source = ?
    ORDER BY number DESC LIMIT ${SHOWN_DELIVERIES}`
  return (await sql.all(query, source)).map((row: Row) => ({
    id: row.id,
    receivedAt: new Date(Number(row.received_at)).toISOString(),
    contentType: row.content_type,
    sizeBytes: row.size_bytes,
    body: row.body,
  }))
}
