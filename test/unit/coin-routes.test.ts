// The JSON of a coin is made once for each value, and once more where it is stale.
import type { Coin } from '../../src/features/markets/coin.ts'
import { cachedCoins } from '../../src/features/markets/coin-routes.ts'

test('the same bytes for the same value, other bytes when it is stale', async () => {
  const value = { id: 'bitcoin', price: 1, fetchedAt: '2026-11-20T08:00:00.000Z' } as Coin
  const cached = { value, body: Buffer.alloc(0), etag: '"raw"', storedAtMs: 0, freshUntilMs: 9 }
  let outcome: 'hit' | 'stale' = 'hit'
  const [coin] = cachedCoins({
    markets: {
      peekCoin: () => (outcome === 'hit' ? { ...cached, outcome } : undefined),
      coin: async () => ({ ...cached, outcome }),
      peekHistory: () => undefined,
      history: async () => ({ ...cached, value: undefined, outcome }),
    },
    admitReads: () => async () => {},
  })
  const asked = coin!.parse({ params: { id: 'bitcoin' }, query: {} })
  const peek = () => coin!.peek(asked)
  const read = () => coin!.read(asked, undefined as never)
  const first = peek()
  expect(JSON.parse(String(first?.body))).toEqual({ ...value, stale: false })
  expect(first).toMatchObject({ storedAtMs: Date.parse(value.fetchedAt), freshUntilMs: 9, outcome: 'hit' })
  expect(peek()?.body).toBe(first?.body)
  expect((await read()).body).toBe(first?.body)
  outcome = 'stale'
  const old = await read()
  expect(JSON.parse(String(old.body))).toEqual({ ...value, stale: true })
  expect((await read()).body).toBe(old.body)
  expect(old.etag).not.toBe(first?.etag)
})
