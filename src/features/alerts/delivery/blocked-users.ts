// Users to whom the bot may not write: some are asked for at each check, and once it may, their alerts go on and they
// get what they have missed.
import { MINUTE, type Now } from '../../../lib/time.ts'
import type { Log } from '../../../log.ts'
import type { Records } from '../../../sql/sql.ts'
import { GIVE_UP_MS } from './delivery-records.ts'
import type { TelegramSender } from './telegram-message.ts'

const USERS_A_CHECK = 10
const MISSED = `way = 'telegram' AND outcome = 'telegram_blocked'`
const BLOCKED_AFTER = `SELECT user_id FROM (
    SELECT user_id FROM alerts WHERE status = 'blocked'
    UNION SELECT c.user_id FROM alert_crossings c JOIN alert_deliveries d ON d.crossing_id = c.id
      WHERE c.decided_at > ? AND d.${MISSED}) AS blocked
  WHERE user_id > ? ORDER BY user_id LIMIT ${USERS_A_CHECK}`

export interface BlockedUsers {
  /** Asks Telegram for some of them, and resumes those it may write to. */
  check(): Promise<void>
  /** Whether the bot may write to this user, who is resumed if so; undefined when that cannot be known now. */
  checkOne(userId: string): Promise<boolean | undefined>
}

export interface BlockedUsersParts {
  records: Records
  telegram: Pick<TelegramSender, 'mayWrite'>
  /** What was missed waits to be sent. */
  resumed: () => void
  now: Now
  log: Log
}

export function createBlockedUsers(parts: BlockedUsersParts): BlockedUsers {
  const { records, telegram, resumed, now, log } = parts
  let lastUser = '' // of the last check: the next one continues behind it

  const isBlocked = async (userId: string) =>
    (
      await records.all(
        `SELECT 1 FROM alerts WHERE user_id = ? AND status = 'blocked'
         UNION SELECT 1 FROM alert_crossings c JOIN alert_deliveries d ON d.crossing_id = c.id
           WHERE c.user_id = ? AND c.decided_at > ? AND d.${MISSED}`,
        userId,
        userId,
        now() - GIVE_UP_MS,
      )
    ).length > 0

  /** The next evaluation of each alert is a first one, as after a pause. */
  async function resume(userId: string): Promise<void> {
    await records.transaction(async (tx) => {
      tx.run(
        `UPDATE alerts SET status = 'open', armed = NULL, reference_price = NULL, version = version + 1
         WHERE user_id = ? AND status = 'blocked'`,
        userId,
      )
      tx.run(
        `UPDATE alert_deliveries SET ended_at = NULL, outcome = NULL, not_before = ?, lease_until = 0
         WHERE ${MISSED}
           AND crossing_id IN (SELECT id FROM alert_crossings WHERE user_id = ? AND decided_at > ?)`,
        now(),
        userId,
        now() - GIVE_UP_MS + MINUTE,
      )
    })
    log.info('the bot may write to a user again: their alerts are resumed, and what they missed is sent')
    resumed()
  }

  async function checkOne(userId: string): Promise<boolean | undefined> {
    const may = await telegram.mayWrite(userId)
    if (may && (await isBlocked(userId))) await resume(userId)
    return may
  }

  return {
    checkOne,
    async check() {
      const after = async (userId: string) =>
        (await records.all(BLOCKED_AFTER, now() - GIVE_UP_MS, userId)).map((row) => String(row.user_id))
      let users = await after(lastUser)
      if (users.length === 0 && lastUser !== '') users = await after('')
      for (const userId of users) {
        lastUser = userId
        if ((await checkOne(userId)) === undefined) return // Telegram is away, or wants a pause
      }
      if (users.length < USERS_A_CHECK) lastUser = ''
    },
  }
}
