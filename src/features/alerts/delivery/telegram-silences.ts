// Which chats a bot may not write to for now. Telegram's 429 says for how long, and not whether the limit is that of
// the chat (a message a second) or of the bot. It counts as the chat's. When so many chats in a row are refused, and
// none is written to in between, it is the bot's: then nothing is sent. core.telegram.org/bots/faq
import { MINUTE, type Now } from '../../../lib/time.ts'

const MOST_CHATS = 10_000
/** So many different chats. */
const ALL_REFUSED = 5
const ROW_MS = MINUTE

export interface TelegramSilences {
  /** How long nothing may be sent to that chat, ms; 0 when it may. */
  leftMs(chatId: string): number
  /** Telegram has answered 429 for it. */
  refused(chatId: string, retryAfterMs: number): void
  /** A message was accepted, in whichever chat. */
  accepted(): void
  /** Nothing is sent to anybody. */
  silenceAll(ms: number): void
}

export function createTelegramSilences(now: Now): TelegramSilences {
  const chats = new Map<string, number>() // until when; who was refused last is last
  let row = new Map<string, number>() // when each of those was refused, without a success since
  let allUntilMs = 0

  function silence(chatId: string, untilMs: number): void {
    chats.delete(chatId)
    for (const [id, endsAtMs] of chats) {
      if (endsAtMs > now() && chats.size < MOST_CHATS) break
      chats.delete(id) // one too many is asked again too early, and refused once more
    }
    chats.set(chatId, untilMs)
  }

  return {
    leftMs: (chatId) => Math.max(0, (chats.get(chatId) ?? 0) - now(), allUntilMs - now()),
    refused(chatId, retryAfterMs) {
      silence(chatId, now() + retryAfterMs)
      row = new Map(
        [...row].filter(([id, atMs]) => id !== chatId && atMs > now() - ROW_MS).slice(-ALL_REFUSED),
      )
      row.set(chatId, now())
      if (row.size >= ALL_REFUSED) allUntilMs = Math.max(allUntilMs, now() + retryAfterMs)
    },
    accepted() {
      row = new Map()
    },
    silenceAll(ms) {
      allUntilMs = Math.max(allUntilMs, now() + ms)
    },
  }
}
