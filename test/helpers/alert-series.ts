// A thousand alerts of ten users on a price series with known crossings, and what must be told of them.
import type { Alert } from '../../src/features/alerts/alert.ts'
import { NEW_WATCH } from '../../src/features/alerts/crossing.ts'
import type { AlertsApp } from './alerts-app.ts'
import type { FakeBotApi } from './fake-bot-api.ts'
import type { WebhookReceiver } from './webhook-receiver.ts'

const USERS = 10
const COINS = 100

/** Of every coin, one step after the other; the first is the first look. */
export const SERIES = [90, 101, 99, 102]

type Kind = Pick<Alert, 'when' | 'value' | 'repeat' | 'cooldownMs'> & { readonly rings: readonly number[] }
const HOUR_MS = 3_600_000 // longer than any test goes on
const KINDS: readonly Kind[] = [
  { when: 'above', value: 100, repeat: 'always', cooldownMs: 0, rings: [1, 3] },
  { when: 'above', value: 100, repeat: 'always', cooldownMs: HOUR_MS, rings: [1] },
  { when: 'above', value: 100, repeat: 'once', cooldownMs: 0, rings: [1] },
  { when: 'below', value: 100, repeat: 'always', cooldownMs: 0, rings: [2] },
  { when: 'changes', value: 10, repeat: 'always', cooldownMs: 0, rings: [1] },
  { when: 'changes', value: 2, repeat: 'always', cooldownMs: HOUR_MS, rings: [1] },
  { when: 'above', value: 1_000, repeat: 'always', cooldownMs: 0, rings: [] },
  { when: 'below', value: 10, repeat: 'always', cooldownMs: 0, rings: [] },
]

const kindOf = (coin: number) => KINDS[coin % KINDS.length] as Kind
const coinName = (coin: number) => `coin-${String(coin).padStart(3, '0')}`

/**
 * A hundred of each of ten users, each with a webhook: a coin of its own for each, so that a message tells whose it
 * is.
 */
export async function makeThousand(app: AlertsApp, hooks: WebhookReceiver): Promise<void> {
  for (let user = 1; user <= USERS; user += 1) {
    await app.addresses.set(`telegram:${user}`, {
      url: hooks.url,
      secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
    })
    for (let coin = 0; coin < COINS; coin += 1) {
      const { when, value, repeat, cooldownMs } = kindOf(coin)
      await app.alerts.create({
        userId: `telegram:${user}`,
        language: 'en',
        spec: {
          coin: coinName(coin),
          vs: 'usd',
          when,
          value,
          repeat,
          cooldownMs,
          expiresAtMs: undefined,
          notify: ['telegram', 'webhook'],
        },
        watch: NEW_WATCH,
      })
    }
  }
}

/** Who must be told of which coin at which price, up to that step. */
export function expectedUpTo(step: number): string[] {
  const expected: string[] = []
  for (let user = 1; user <= USERS; user += 1) {
    for (let coin = 0; coin < COINS; coin += 1) {
      for (const ring of kindOf(coin).rings) {
        if (ring <= step) expected.push(`${user} ${coinName(coin)} ${SERIES[ring]}`)
      }
    }
  }
  return expected.sort()
}

/** The same of what the bot has been told to say. */
export const saidBy = (bot: FakeBotApi) =>
  bot.messages
    .map(({ chatId, text }) => `${chatId} ${/^coin-\d+/.exec(text)?.[0]} ${/(\d+) USD$/.exec(text)?.[1]}`)
    .sort()

/** Each delivery by its `webhook-id`, which receivers go by. */
export const idsAt = (hooks: WebhookReceiver) =>
  hooks.received.map(({ headers }) => String(headers['webhook-id']))
