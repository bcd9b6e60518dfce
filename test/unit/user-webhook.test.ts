// A webhook to a name that stands for one of our own addresses, now or only at the second look, reaches nobody.
import type { Crossing } from '../../src/features/alerts/alert.ts'
import type { Sender, Sent } from '../../src/features/alerts/delivery/deliver-alerts.ts'
import { createResolve, type Resolve } from '../../src/features/alerts/delivery/safe-url.ts'
import { createUserWebhookSender } from '../../src/features/alerts/delivery/user-webhook.ts'
import { timed } from '../helpers/control-clock.ts'
import { eventually } from '../helpers/eventually.ts'
import { startNameServer } from '../helpers/name-server.ts'
import { startWebhookReceiver, type WebhookReceiver } from '../helpers/webhook-receiver.ts'

let hooks: WebhookReceiver
beforeAll(async () => {
  hooks = await startWebhookReceiver()
})
afterAll(() => hooks.close())
beforeEach(() => Object.assign(hooks, { status: 204, received: [] }))

const crossing = { id: 'alert:a:1', crossedAt: '2026-11-20T08:00:00.000Z' } as Crossing
const here = async () => [{ address: '127.0.0.1', family: 4 }]

const openSender = (resolve: Resolve, given: { isAllowed?: (address: string) => boolean } = {}) =>
  createUserWebhookSender({ resolve, ca: hooks.ca, now: Date.now, ...given })

function send(resolve: Resolve, given: { url?: string; isAllowed?: (address: string) => boolean } = {}) {
  const { url = hooks.url, ...rest } = given
  return sendBy(openSender(resolve, rest), { url })
}

function sendBy(sender: Sender, { url = hooks.url, userId = 'telegram:1' } = {}) {
  const webhook = { url, secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw' }
  return sender.send({ userId, language: 'en', crossing, webhook })
}

const unsafe = { kind: 'never', reason: 'unsafe_address' }

test('a name that stands for this machine', async () => {
  expect(await send(here)).toEqual(unsafe)
  expect(hooks.received).toEqual([])
})

test('a name with one good address and one of ours', async () => {
  const both: Resolve = async () => [{ address: '8.8.8.8', family: 4 }, ...(await here())]
  expect(await send(both)).toEqual(unsafe)
  expect(hooks.received).toEqual([])
})

test('a name that changes between two deliveries is judged at each, and looked up once for each', async () => {
  let looks = 0
  const changing: Resolve = async () => {
    looks += 1
    return [{ address: looks === 1 ? '127.0.0.1' : '127.0.0.2', family: 4 }]
  }
  const isAllowed = (address: string) => address === '127.0.0.1'
  expect(await send(changing, { isAllowed })).toEqual({ kind: 'sent' })
  expect(await send(changing, { isAllowed })).toEqual(unsafe)
  expect([looks, hooks.received.length]).toEqual([2, 1])
})

test.each(['https://127.0.0.1/', 'https://[::1]/', 'https://localhost/', 'http://hooks.example.com/'])(
  'an address that older rules let in: %s',
  async (url) => expect(await send(here, { url })).toEqual(unsafe),
)

test('a redirect is not followed', async () => {
  hooks.status = 307
  expect(await send(here, { isAllowed: () => true })).toEqual({ kind: 'never', reason: 'webhook_307' })
  expect(hooks.received).toHaveLength(1)
})

test('a server that never answers is given up after 5 s, has one delivery at a time, blocks no other', async () => {
  const sender = openSender(here, { isAllowed: () => true })
  const three = () => Promise.all([1, 2, 3].map(() => sendBy(sender)))
  const reasons = (sent: Sent[]) => sent.map((one) => ('reason' in one ? one.reason : one.kind)).sort()
  hooks.status = 'hangs'
  const silent = await timed(three)
  expect(reasons(silent.answer)).toEqual(Array(3).fill('webhook_unreachable'))
  expect(silent.tookMs).toBeLessThan(8_000)
  const waiting = three()
  hooks.received.length = 0
  await eventually(() => expect(hooks.received).toHaveLength(1))
  hooks.status = 204
  expect(await sendBy(sender, { userId: 'telegram:2' })).toEqual({ kind: 'sent' })
  expect(reasons(await waiting)).toEqual(['webhook_slow', 'webhook_slow', 'webhook_unreachable'])
  expect(await sendBy(sender)).toEqual({ kind: 'sent' })
  // On a machine that stands still even a good answer may come too late to be one in time; then the next one counts.
  await eventually(async () => expect(reasons(await three())).toEqual(Array(3).fill('sent')))
})

test('a name server that is silent is given up with the delivery', async () => {
  const silent = await startNameServer(undefined)
  const resolve = createResolve([silent.address])
  const { tookMs, answer } = await timed(() => send(resolve))
  expect(answer).toEqual({ kind: 'later', reason: 'webhook_unreachable' })
  expect(tookMs).toBeLessThan(8_000)
  silent.close()
})
