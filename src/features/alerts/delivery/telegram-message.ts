// A crossing as a message of the bot to its user. core.telegram.org/bots/api#sendmessage
import { z } from 'zod'
import type { Limiter } from '../../../core/limiter.ts'
import { type Now, pause, SECOND } from '../../../lib/time.ts'
import type { Log } from '../../../log.ts'
import { messageText } from '../alert-words.ts'
import type { Sender, Sent } from './deliver-alerts.ts'

const LIMIT_MS = 5 * SECOND
// Telegram allows about 30 a second; the rest is for other uses of the bot. core.telegram.org/bots/faq
const PACE = { name: 'telegram-messages', limit: 25, windowMs: SECOND }

const answerSchema = z.object({
  ok: z.boolean(),
  description: z.string().optional(),
  parameters: z.object({ retry_after: z.number().optional() }).optional(),
})

export interface TelegramParts {
  botToken: string | undefined
  apiUrl: URL
  limiter: Pick<Limiter, 'hit'>
  now: Now
  log: Log
}

export function createTelegramSender({ botToken, apiUrl, limiter, now, log }: TelegramParts): Sender {
  let silentUntilMs = 0 // as the last 429 said, for everything that this bot sends

  async function ask(chatId: string, text: string): Promise<Response | undefined> {
    try {
      return await fetch(new URL(`/bot${botToken}/sendMessage`, apiUrl), {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ chat_id: Number(chatId), text }),
        redirect: 'error',
        signal: AbortSignal.timeout(LIMIT_MS),
      })
    } catch {
      return undefined // nothing of the error goes anywhere: it may hold the address, which holds the token
    }
  }

  async function verdict(response: Response): Promise<Sent> {
    const { status } = response
    const answer = answerSchema.safeParse(await response.json().catch(() => undefined)).data
    if (status === 200 && answer?.ok) return { kind: 'sent' }
    if (status === 429) {
      const retryAfterMs = (answer?.parameters?.retry_after ?? 5) * SECOND
      silentUntilMs = now() + retryAfterMs
      return { kind: 'later', reason: 'telegram_429', retryAfterMs }
    }
    const isBlocked = status === 403 || (status === 400 && /chat not found/.test(answer?.description ?? ''))
    if (isBlocked) return { kind: 'never', reason: 'telegram_blocked', blocks: true }
    if (status === 400) return { kind: 'never', reason: 'telegram_400' }
    if (status === 401 || status === 404) log.error('Telegram does not know the bot: see TELEGRAM_BOT_TOKEN')
    return { kind: 'later', reason: `telegram_${status}` }
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
      if (botToken === undefined) return { kind: 'never', reason: 'not_configured' }
      const silentMs = silentUntilMs - now()
      if (silentMs > 0) return { kind: 'later', reason: 'telegram_429', retryAfterMs: silentMs }
      const response = await ask(userId.slice('telegram:'.length), messageText(crossing, language))
      return response ? verdict(response) : { kind: 'later', reason: 'telegram_unreachable' }
    },
  }
}
