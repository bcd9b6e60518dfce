// What a page of a user says of the bot: where to start it, and whether it may write to them.
import type { Limiter } from '../../core/limiter.ts'
import { MINUTE } from '../../lib/time.ts'
import type { BotOfUser } from './alerts-routes.ts'
import type { BlockedUsers } from './delivery/blocked-users.ts'
import type { TelegramSender } from './delivery/telegram-message.ts'

/** Each is a call to Telegram, which the page makes when it is opened and when its user comes back to it. */
const CHECKS = { name: 'telegram-checks', limit: 12, windowMs: MINUTE }

export interface BotCheckParts {
  limiter: Pick<Limiter, 'hit'>
  blockedUsers: Pick<BlockedUsers, 'checkOne'>
  sender: Pick<TelegramSender, 'startUrl'>
}

export function createBotCheck({ limiter, blockedUsers, sender }: BotCheckParts) {
  return async function checkBot(userId: string): Promise<BotOfUser> {
    const { allowed } = await limiter.hit(CHECKS, userId)
    const mayWrite = allowed ? await blockedUsers.checkOne(userId) : undefined
    if (mayWrite === undefined) return { startUrl: null, mayWrite: null } // Telegram is away, or not to be asked now
    return { startUrl: (await sender.startUrl()) ?? null, mayWrite }
  }
}
