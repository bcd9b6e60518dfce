// Telegram's Bot API: one call, within a time limit, and what of its answer matters here.
// core.telegram.org/bots/api#making-requests
import { z } from 'zod'
import { withTimeout } from '../../../lib/async/deadlines.ts'
import { SECOND } from '../../../lib/time.ts'

const LIMIT_MS = 5 * SECOND
const UNSAID_RETRY_S = 5

export interface TelegramAnswer {
  readonly status: number
  readonly isOk: boolean
  /** What is wrong, in Telegram's words. */
  readonly description: string
  readonly retryAfterMs: number
  /** The group has become a supergroup with this id. */
  readonly movedTo: number | undefined
  readonly result: unknown
}

export interface TelegramApi {
  /** Undefined when there is no answer. Never rejects. */
  call(method: string, body: object): Promise<TelegramAnswer | undefined>
}

const answerSchema = z.object({
  ok: z.boolean(),
  result: z.unknown().optional(),
  description: z.string().catch(''),
  parameters: z
    .object({
      retry_after: z.number().nonnegative().optional().catch(undefined),
      migrate_to_chat_id: z.number().optional().catch(undefined),
    })
    .catch({}),
})

export function createTelegramApi({ botToken, apiUrl }: { botToken: string; apiUrl: URL }): TelegramApi {
  return {
    async call(method, body) {
      try {
        return await withTimeout(LIMIT_MS, async (signal) => {
          const response = await fetch(new URL(`/bot${botToken}/${method}`, apiUrl), {
            method: 'POST',
            headers: { 'Content-Type': 'application/json' },
            body: JSON.stringify(body),
            redirect: 'error',
            signal,
          })
          return read(response.status, await response.json().catch(() => undefined))
        })
      } catch {
        return undefined // nothing of the error goes anywhere: it may hold the address, which holds the token
      }
    },
  }
}

function read(status: number, json: unknown): TelegramAnswer {
  const answer = answerSchema.safeParse(json).data
  const { description = '', parameters } = answer ?? {}
  const [, seconds] = /retry after (\d{1,6})/i.exec(description) ?? []
  return {
    status,
    isOk: status === 200 && answer?.ok === true,
    description,
    retryAfterMs: (parameters?.retry_after ?? Number(seconds ?? UNSAID_RETRY_S)) * SECOND,
    movedTo: parameters?.migrate_to_chat_id,
    result: answer?.result,
  }
}
