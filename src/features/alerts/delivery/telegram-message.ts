// A crossing as a message of the bot to its user, and whether the bot may write to them.
// core.telegram.org/bots/api#sendmessage
import { z } from 'zod'
import type { Limiter } from '../../../core/limiter.ts'
import { MINUTE, type Now, pause, SECOND } from '../../../lib/time.ts'
import type { Log } from '../../../log.ts'
import { isTelegramUser } from '../alert.ts'
import { messageText } from '../alert-words.ts'
import type { Sender, Sent } from './deliver-alerts.ts'
import { createTelegramApi, type TelegramAnswer } from './telegram-api.ts'
import { createTelegramSilences } from './telegram-silences.ts'

// Telegram allows about 30 a second; the rest is for other uses of the bot. core.telegram.org/bots/faq
const PACE = { name: 'telegram-messages', limit: 25, windowMs: SECOND }
const UNKNOWN_BOT_MS = MINUTE

/** Until the user starts the bot, or lets it write again. */
const MAY_NOT_WRITE = /chat not found|user not found|peer_id_invalid/i
/** Telegram is reported to say so for some minutes, and to take it back. */
const MAY_NOT_WRITE_NOW = /can't send messages to the user/i

export interface TelegramParts {
  botToken: string | undefined
  apiUrl: URL
  limiter: Pick<Limiter, 'hit'>
  now: Now
  log: Log
}

export interface TelegramSender extends Sender {
  /** Whether the bot may write to the user; undefined when that cannot be known now. Sends no message. */
  mayWrite(userId: string): Promise<boolean | undefined>
  /** Where the user starts the bot; undefined while Telegram does not say its name. */
  startUrl(): Promise<string | undefined>
}

const chatOf = (userId: string) => userId.slice('telegram:'.length)
const nameSchema = z.object({ username: z.string().regex(/^\w{1,64}$/) })

export function createTelegramSender({ botToken, apiUrl, limiter, now, log }: TelegramParts): TelegramSender {
  const api = botToken === undefined ? undefined : createTelegramApi({ botToken, apiUrl })
  const silences = createTelegramSilences(now)
  let isUnknown = false // the bot, so that it is logged once
  let name: string | undefined

  /** The answer, once what it says of the bot and of the chat's pace is noted; undefined when there is none. */
  async function ask(method: string, chatId: string, body: object): Promise<TelegramAnswer | undefined> {
    const answer = await api?.call(method, { chat_id: Number(chatId), ...body })
    if (answer?.status === 429) silences.refused(chatId, answer.retryAfterMs)
    // 404: a token that is none. Of another method it may be a server that knows only some of them.
    const isUnknownNow = answer?.status === 401 || (answer?.status === 404 && method === 'sendMessage')
    if (isUnknownNow) noteUnknown()
    if (answer?.isOk) {
      isUnknown = false
      silences.accepted()
    }
    return answer
  }

  function noteUnknown(): void {
    silences.silenceAll(UNKNOWN_BOT_MS)
    if (!isUnknown)
      log.error(
        'Telegram does not know the bot: its messages wait and are tried again each minute. See TELEGRAM_BOT_TOKEN',
      )
    isUnknown = true
  }

  function verdict(answer: TelegramAnswer | undefined): Sent {
    if (!answer) return { kind: 'later', reason: 'telegram_unreachable' }
    const { status, isOk, description, retryAfterMs } = answer
    if (isOk) return { kind: 'sent' }
    const reason = `telegram_${status}`
    if (status === 429) return { kind: 'later', reason, retryAfterMs }
    if (status === 401 || status === 404) return { kind: 'later', reason, retryAfterMs: UNKNOWN_BOT_MS }
    if (refusesUser(answer)) return { kind: 'never', reason: 'telegram_blocked', blocks: true }
    if (status === 400 && !MAY_NOT_WRITE_NOW.test(description)) return { kind: 'never', reason }
    return { kind: 'later', reason }
  }

  return {
    async ready(signal) {
      while (!signal.aborted) {
        const { allowed, retryAfterMs } = await limiter.hit(PACE, 'bot')
        if (allowed) return
        await pause(retryAfterMs)
      }
    },
    async send({ userId, language, crossing }) {
      if (!api) return { kind: 'never', reason: 'not_configured' }
      const chatId = chatOf(userId)
      const silentMs = silences.leftMs(chatId)
      if (silentMs > 0)
        return { kind: 'later', reason: isUnknown ? 'telegram_401' : 'telegram_429', retryAfterMs: silentMs }
      const body = { text: messageText(crossing, language) }
      const answer = await ask('sendMessage', chatId, body)
      const movedTo = answer?.movedTo
      return verdict(movedTo === undefined ? answer : await ask('sendMessage', String(movedTo), body))
    },
    async mayWrite(userId) {
      if (!isTelegramUser(userId) || silences.leftMs(chatOf(userId)) > 0) return undefined
      if (!(await limiter.hit(PACE, 'bot')).allowed) return undefined
      // Shows that somebody is typing, where it may, and nothing where it may not.
      const answer = await ask('sendChatAction', chatOf(userId), { action: 'typing' })
      if (!answer) return undefined
      return answer.isOk || (refusesUser(answer) ? false : undefined)
    },
    async startUrl() {
      const answer =
        name === undefined && silences.leftMs('') === 0 ? await api?.call('getMe', {}) : undefined
      name ??= nameSchema.safeParse(answer?.result).data?.username
      return name === undefined ? undefined : `https://t.me/${name}?start=alerts`
    },
  }
}

function refusesUser({ status, description }: TelegramAnswer): boolean {
  return status === 403
    ? !MAY_NOT_WRITE_NOW.test(description)
    : status === 400 && MAY_NOT_WRITE.test(description)
}
