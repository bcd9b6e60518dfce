// Those who have nothing to do with an attack: from another address they are logged in, log in, send webhooks and look
// at prices, all the while.
import { randomInt, randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { Webhook } from 'standardwebhooks'
import { BOT_TOKEN } from '../helpers/fake-bot-api.ts'
import type { Samovar } from '../helpers/image.ts'
import { signWidget, widgetFields } from '../helpers/telegram-signer.ts'
import { ask } from './ask.ts'
import type { ControlClock } from './watch.ts'

export const WEBHOOK_SECRET = Buffer.alloc(24, 'hostile').toString('base64')

/** No answer may take longer, by the control clock. */
const PATIENCE_MS = 10_000

export type Kind = 'session' | 'login' | 'webhook' | 'markets'
const EVERY_MS = { session: 200, markets: 400, webhook: 400 }

export interface Tally {
  asked: number
  served: number
  /** What those were told who were not served, and how often. */
  readonly refusals: Record<string, number>
}
export type Tallies = Record<Kind, Tally>

export interface Visitors {
  /** Of somebody else, who may attack while logged in. */
  readonly attackersCookie: string
  /** How often somebody has logged in. */
  logins(): number
  /** One of each kind, and what was wrong. */
  once(): Promise<string[]>
  /** All of them, over and over; logins no more often than that. */
  begin(loginEveryMs: number): { stop(): Promise<Tallies> }
}

export async function openVisitors(
  samovar: Samovar,
  clock: ControlClock,
  isProxied: boolean,
): Promise<Visitors> {
  const send = (path: string, how: Parameters<typeof ask>[1] = {}) => {
    const address = isProxied ? { 'x-forwarded-for': `198.51.100.${randomInt(256)}` } : {}
    return ask(`${samovar.origin()}${path}`, { ...how, headers: { ...address, ...how.headers } })
  }

  let logins = 0
  async function logIn(id: string) {
    logins += 1
    const body = JSON.stringify(await signWidget(widgetFields({ id, last_name: randomUUID() }), BOT_TOKEN))
    return send('/api/auth/telegram', { method: 'POST', body })
  }
  async function cookieOf(id: string): Promise<string> {
    const { status, headers, body } = await logIn(id)
    if (status !== 200) throw new Error(`nobody can log in: ${status} ${body}`)
    const lines = [headers['set-cookie'] ?? []].flat()
    return lines.map((line) => line.split(';')[0]).join('; ')
  }
  const cookie = await cookieOf('7')
  const attackersCookie = await cookieOf('666')

  /** What was wrong, if anything was. */
  const works: Record<Kind, () => Promise<string | undefined>> = {
    async session() {
      const { status, body } = await send('/api/me', { headers: { cookie } })
      return status === 200 && body.includes('telegram:7') ? undefined : `${status}`
    },
    async login() {
      const { status, body } = await logIn(String(randomInt(1_000, 1_000_000)))
      return status === 200 ? undefined : `${status} ${/"code":"(\w+)"/.exec(body)?.[1] ?? ''}`.trim()
    },
    async webhook() {
      const [id, at, body] = [randomUUID(), new Date(), '{"type":"paid"}']
      const headers = {
        'webhook-id': id,
        'webhook-timestamp': String(Math.floor(at.getTime() / 1_000)),
        'webhook-signature': new Webhook(WEBHOOK_SECRET).sign(id, at, body),
      }
      const { status } = await send('/api/webhooks/payments', { method: 'POST', headers, body })
      return status === 204 ? undefined : `${status}`
    },
    async markets() {
      const { status, body } = await send('/markets')
      return status === 200 && body.includes('Bitcoin') ? undefined : `${status}`
    },
  }

  async function wrongWith(kind: Kind): Promise<string | undefined> {
    const fromMs = clock.nowMs()
    const wrong = await works[kind]()
    if (wrong !== undefined) return wrong === '0' ? 'no answer' : wrong
    return clock.nowMs() - fromMs > PATIENCE_MS ? 'too late' : undefined
  }

  const kinds = Object.keys(works) as Kind[]
  return {
    attackersCookie,
    logins: () => logins,
    async once() {
      const found = await Promise.all(kinds.map(async (kind) => [kind, await wrongWith(kind)] as const))
      return found.flatMap(([kind, wrong]) => (wrong === undefined ? [] : [`${kind}: ${wrong}`]))
    },
    begin(loginEveryMs) {
      let isOn = true
      const tallies = Object.fromEntries(
        kinds.map((kind) => [kind, { asked: 0, served: 0, refusals: {} } as Tally]),
      ) as Tallies
      const all = kinds.map(async (kind) => {
        const tally = tallies[kind]
        while (isOn) {
          const wrong = await wrongWith(kind)
          tally.asked += 1
          if (wrong === undefined) tally.served += 1
          else tally.refusals[wrong] = (tally.refusals[wrong] ?? 0) + 1
          const nextMs = clock.nowMs() + (kind === 'login' ? loginEveryMs : EVERY_MS[kind])
          while (isOn && clock.nowMs() < nextMs) await sleep(20)
        }
      })
      return {
        async stop() {
          isOn = false
          await Promise.all(all)
          return tallies
        },
      }
    },
  }
}
