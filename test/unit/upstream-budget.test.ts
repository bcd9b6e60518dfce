// What reads cost that make work upstream: of a client, of its network, and of all; nobody pays for a refusal.
import type { Request } from 'express'
import { createUpstreamBudget, upstreamPolicies } from '../../src/features/limits/upstream-budget.ts'
import { createClock } from '../helpers/clock.ts'

function open() {
  const clock = createClock(Date.now())
  const admitReads = createUpstreamBudget({
    clientOf: async (req) => (req as unknown as { client: string | undefined }).client,
    isAdmin: () => false,
    now: clock.now,
  })
  /** Reads of one request: 'allowed', or the refusal's code. */
  async function read(client: string | undefined, count: number): Promise<string> {
    const admit = admitReads({ client } as unknown as Request)
    const answers = await Promise.allSettled(Array.from({ length: count }, admit))
    const [first] = answers
    return first?.status === 'rejected' ? first.reason.code : 'allowed'
  }
  return { clock, read }
}

const subnet = (network: number, i: number) =>
  `address:2001:db8:${network.toString(16)}:${i.toString(16)}::/64`
const [one, network, all] = [upstreamPolicies.client, upstreamPolicies.network, upstreamPolicies.all].map(
  ({ limit }) => limit,
) as [number, number, number]

test('a /48 has a share, however many /64s of it ask, and another network its own', async () => {
  const { clock, read } = open()
  for (let i = 0; i < network / 100; i += 1) expect(await read(subnet(1, i), 100)).toBe('allowed')
  expect(await read(subnet(1, 0xffff), 1)).toBe('too_many_requests')
  expect(await read(subnet(2, 0), 1)).toBe('allowed')
  clock.turn(60_001)
  expect(await read(subnet(1, 0xffff), 1)).toBe('allowed')
})

test('whom the share of all refuses has not used up his own, nor his network’s', async () => {
  const { clock, read } = open()
  for (let i = 0; i < all / one; i += 1) expect(await read(`address:192.0.2.${i}`, one)).toBe('allowed')
  clock.turn(30_000)
  for (let i = 0; i < 3; i += 1) expect(await read(subnet(1, 0), one)).toBe('sources_busy')
  clock.turn(30_001)
  expect(await read(subnet(1, 0), one)).toBe('allowed')
  expect(await read(subnet(1, 1), network - one)).toBe('allowed')
})

test('whom his network’s share refuses has not used up his own, and nobody uses up that of all so', async () => {
  const { clock, read } = open()
  for (let i = 0; i < network / one; i += 1) expect(await read(subnet(1, i), one)).toBe('allowed')
  clock.turn(30_000)
  for (let i = 0; i < 10; i += 1) expect(await read(subnet(1, 9), one)).toBe('too_many_requests')
  for (let i = 0; i < 10; i += 1) expect(await read(subnet(1, 0), one)).toBe('too_many_requests')
  expect(await read('address:192.0.2.1', one)).toBe('allowed')
  clock.turn(30_001)
  expect(await read(subnet(1, 9), one)).toBe('allowed')
})

test('clients that cannot be told apart share one', async () => {
  const { read } = open()
  const { limit } = upstreamPolicies.shared
  expect(await read(undefined, limit)).toBe('allowed')
  expect(await read(undefined, 1)).toBe('too_many_requests')
  expect(await read('user:1', 1)).toBe('allowed')
})
