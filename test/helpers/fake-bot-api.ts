// Telegram's Bot API as a server of the tests' own: takes messages, and has a switch for each way to fail.
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pause } from '../../src/lib/time.ts'

/** 429 says to come back after `retryAfterS`; `hangs` never answers. */
export type BotFault = 400 | 401 | 403 | 429 | 500 | 'hangs' | 'garbage'

export interface FakeBotApi {
  readonly url: string
  readonly messages: { readonly chatId: number; readonly text: string; readonly atMs: number }[]
  /** Requests that came, refused ones too. */
  asked: number
  /** When it last answered with a status that is an error. */
  refusedAtMs: number
  fault: BotFault | undefined
  retryAfterS: number
  /** How long it has a message before it says so. */
  delayMs: number
  close(): Promise<void>
}

export const BOT_TOKEN = '123456:a-token_of-the-tests'

const WORDS: Readonly<Record<number, string>> = {
  400: 'Bad Request: chat not found',
  401: 'Unauthorized',
  403: 'Forbidden: bot was blocked by the user',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
}

export async function startFakeBotApi(): Promise<FakeBotApi> {
  const server = createServer((req, res) => void answer(req, res)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const bot: FakeBotApi = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    messages: [],
    asked: 0,
    refusedAtMs: 0,
    fault: undefined,
    retryAfterS: 2,
    delayMs: 0,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }

  async function answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    let body = ''
    for await (const part of req) body += part
    bot.asked += 1
    const { fault } = bot
    if (fault === 'hangs') return
    res.setHeader('Content-Type', 'application/json')
    if (fault === 'garbage') return void res.end('<html>')
    if (fault !== undefined) {
      const parameters = fault === 429 ? { parameters: { retry_after: bot.retryAfterS } } : {}
      res.statusCode = fault
      bot.refusedAtMs = Date.now()
      return void res.end(
        JSON.stringify({ ok: false, error_code: fault, description: WORDS[fault], ...parameters }),
      )
    }
    if (req.url !== `/bot${BOT_TOKEN}/sendMessage`) return void res.writeHead(404).end('{"ok":false}')
    const { chat_id: chatId, text } = JSON.parse(body) as { chat_id: number; text: string }
    bot.messages.push({ chatId, text, atMs: Date.now() })
    if (bot.delayMs > 0) await pause(bot.delayMs)
    res.end(JSON.stringify({ ok: true, result: { message_id: bot.messages.length } }))
  }

  return bot
}
