// A webhook to a name that stands for one of our own addresses, now or only at the second look, reaches nobody.
import type { Crossing } from '../../src/features/alerts/alert.ts'
import type { Resolve } from '../../src/features/alerts/safe-url.ts'
import { createUserWebhookSender } from '../../src/features/alerts/user-webhook.ts'
import { startWebhookReceiver, type WebhookReceiver } from '../helpers/webhook-receiver.ts'

let hooks: WebhookReceiver
beforeAll(async () => {
  hooks = await startWebhookReceiver()
})
afterAll(() => hooks.close())
beforeEach(() => Object.assign(hooks, { status: 204, received: [] }))

const crossing = { id: 'alert:a:1', crossedAt: '2026-11-20T08:00:00.000Z' } as Crossing
const here: Resolve = async () => [{ address: '127.0.0.1', family: 4 }]

function send(resolve: Resolve, given: { url?: string; isAllowed?: (address: string) => boolean } = {}) {
  const { url = hooks.url, ...rest } = given
  const sender = createUserWebhookSender({ resolve, ca: hooks.ca, now: Date.now, ...rest })
  const webhook = { url, secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw' }
  return sender.send({ userId: 'telegram:1', language: 'en', crossing, webhook })
}

const unsafe = { kind: 'never', reason: 'unsafe_address' }

test('a name that stands for this machine', async () => {
  expect(await send(here)).toEqual(unsafe)
  expect(hooks.received).toEqual([])
})

test('a name with one good address and one of ours', async () => {
  const both: Resolve = async () => [{ address: '8.8.8.8', family: 4 }, ...(await here(''))]
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

test('a server that never answers is given up after five seconds', async () => {
  hooks.status = 'hangs'
  const beganAt = performance.now()
  expect(await send(here, { isAllowed: () => true })).toEqual({
    kind: 'later',
    reason: 'webhook_unreachable',
  })
  expect(performance.now() - beganAt).toBeLessThan(8_000)
})
