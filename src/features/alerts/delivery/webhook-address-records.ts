// Where a user wants crossings sent, and the secret they are signed with.

import type { Now } from '../../../lib/time.ts'
import type { Records } from '../../../sql/sql.ts'

export interface WebhookAddressRecords {
  /** Undefined when the user has named none. */
  find(userId: string): Promise<string | undefined>
  /** In the place of the one before; undefined: none from now on. */
  set(userId: string, webhook: { url: string; secret: string } | undefined): Promise<void>
}

export function createWebhookAddressRecords({
  records,
  now,
}: {
  records: Records
  now: Now
}): WebhookAddressRecords {
  return {
    async find(userId) {
      const [row] = await records.all('SELECT webhook_url FROM alert_users WHERE user_id = ?', userId)
      return row?.webhook_url ? String(row.webhook_url) : undefined
    },
    set(userId, webhook) {
      return records.transaction(async (tx) =>
        tx.run(
          `INSERT INTO alert_users (user_id, webhook_url, webhook_secret, changed_at) VALUES (?, ?, ?, ?)
             ON CONFLICT (user_id) DO UPDATE SET webhook_url = excluded.webhook_url,
               webhook_secret = excluded.webhook_secret, changed_at = excluded.changed_at`,
          userId,
          webhook?.url ?? null,
          webhook?.secret ?? null,
          now(),
        ),
      )
    },
  }
}
