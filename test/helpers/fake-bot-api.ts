// Telegram's Bot API as a server of the tests' own: takes messages, and has a switch for each way to fail.
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pause } from '../../src/lib/time.ts'

/** An error as Telegram words it. */
export interface BotError {
  readonly status: number
  readonly description: string
  readonly parameters?: object
}

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
  /** What is wrong with one chat. */
  readonly chats: Map<number, BotError>
  /** Chats that were told that somebody is typing. */
  readonly actions: number[]
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
    chats: new Map(),
    actions: [],
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
    const method = req.url?.startsWith(`/bot${BOT_TOKEN}/`) ? req.url.split('/').at(-1) : undefined
    if (method === 'getMe') return void res.end('{"ok":true,"result":{"id":123456,"username":"samovar_bot"}}')
    if (method !== 'sendMessage' && method !== 'sendChatAction')
      return void res.writeHead(404).end('{"ok":false}')
    const { chat_id: chatId, text } = JSON.parse(body) as { chat_id: number; text: string }
    const wrong = bot.chats.get(chatId)
    if (wrong) {
      const { status, ...words } = wrong
      res.statusCode = status
      bot.refusedAtMs = Date.now()
      return void res.end(JSON.stringify({ ok: false, error_code: status, ...words }))
    }
    if (method === 'sendChatAction') {
      bot.actions.push(chatId)
      return void res.end('{"ok":true,"result":true}')
    }
    bot.messages.push({ chatId, text, atMs: Date.now() })
    if (bot.delayMs > 0) await pause(bot.delayMs)
    res.end(JSON.stringify({ ok: true, result: { message_id: bot.messages.length } }))
  }

  return bot
}
