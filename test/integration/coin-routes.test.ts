// A coin and its history by the short way, before Express: what the long way says, once more when the price is old, and
// counted all the same.
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import { type Ahead, beginAhead } from '../helpers/ahead.ts'
import { startApp, type TestApp } from '../helpers/app.ts'
import { eventually } from '../helpers/eventually.ts'
import { type FakeCoinGecko, startFakeCoinGecko } from '../helpers/fake-coingecko.ts'
import { rawBody } from '../helpers/raw-request.ts'

const MINUTE = 60_000
const COIN = '/api/coins/bitcoin?vs=eur'
const HISTORY = '/api/coins/bitcoin/history?days=30'

let time: Ahead
let fake: FakeCoinGecko
let app: TestApp
beforeAll(async () => {
  time = beginAhead()
  fake = await startFakeCoinGecko()
  app = await startApp({ REDIS_URL: 'off', ...fake.env })
  time.freeze()
})
afterAll(async () => {
  time.thaw()
  await app.close()
  await fake.close()
  time.end()
})

async function get(path: string) {
  const response = await app.get(path)
  const headers = new Map(response.headers)
  for (const name of ['date', 'x-request-id']) headers.delete(name)
  return { status: response.status, headers, body: await response.text() }
}
/** As a URL that nobody has asked for: it goes the long way. */
const long = (path: string) => get(`${path}&long=${Math.random()}`)
const answered = async () =>
  ((await (await app.get('/api/markets/stats')).json()) as { answered: number }).answered

test.each([COIN, HISTORY])('%s: the same bytes and headers, of one age', async (path) => {
  await get(path)
  time.pass(7_000)
  const first = await long(path)
  await get(path) // known from here on
  const before = await answered()
  expect(await get(path)).toEqual(first)
  expect(await answered()).toBe(before + 1)
  expect(first.headers.get('cache-status')).toMatch(/^samovar; hit; ttl=\d+$/)
  expect(Number(first.headers.get('age'))).toBeGreaterThanOrEqual(7)
  expect(JSON.parse(first.body)).toMatchObject({ stale: false })
})

test('an old price says so, whichever way its URL went before; a new one takes its place', async () => {
  for (const _ of [1, 2]) await get(COIN)
  fake.fault = 500
  time.pass(5 * MINUTE)
  for (const path of [COIN, `${COIN}&long`]) {
    const { headers, body } = await get(path)
    expect([path, headers.get('cache-status'), JSON.parse(body)]).toMatchObject([
      path,
      expect.stringMatching(/^samovar; hit; ttl=-\d+$/),
      { stale: true },
    ])
  }
  fake.fault = undefined
  fake.moved.set('bitcoin', 7)
  time.pass(MINUTE)
  await eventually(async () => {
    expect(JSON.parse((await get(COIN)).body)).toMatchObject({ price: 7 * 0.85, stale: false })
  })
})

test('what does not exist is 404 by each way, and nothing is refused late', async () => {
  for (const path of ['/api/coins/no-such-coin', '/api/coins/no-such-coin/history'])
    for (const _ of [1, 2]) expect([path, (await get(path)).status]).toEqual([path, 404])
  expect((await get('/api/coins/bitcoin?vs=gbp')).status).toBe(400)
})

test.each(['/api/coins?vs=eur', '/api/coins?ids=bitcoin,ethereum,no-such-coin'])(
  '%s is compressed, with a tag for each form, and is the same list',
  async (path) => {
    await app.get(path) // what is not in memory yet comes with it
    await eventually(async () => expect((await get(path)).body).not.toContain('"unavailable":["'))
    const plain = await rawBody(app, path, 'identity')
    expect(plain.headers.get('content-encoding')).toBeUndefined()
    const tags = new Set([plain.headers.get('etag')])
    for (const [encoding, inflate] of [
      ['br', brotliDecompressSync],
      ['gzip', gunzipSync],
    ] as const) {
      const { headers, body } = await rawBody(app, path, encoding)
      expect([headers.get('content-encoding'), headers.get('vary')]).toEqual([encoding, 'Accept-Encoding'])
      expect(body.byteLength).toBeLessThan(plain.body.byteLength / 2)
      expect(inflate(body).equals(plain.body)).toBe(true)
      tags.add(headers.get('etag'))
      const again = await app.get(path, {
        headers: {
          'accept-encoding': encoding,
          'if-none-match': headers.get('etag') ?? '',
          'cache-control': 'max-age=0',
        },
      })
      expect([again.status, again.headers.get('etag')]).toEqual([304, headers.get('etag')])
    }
    expect(tags.size).toBe(3)
  },
)
