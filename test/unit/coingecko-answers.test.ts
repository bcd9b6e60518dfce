// What CoinGecko sends, as pure functions: rows that are wrong, refusals in all their shapes, and how much to ask for.
import { createAnswerSizes } from '../../src/features/markets/source/answer-size.ts'
import { failureIn, reasonOf, sentenceOf } from '../../src/features/markets/source/failure-reason.ts'
import { coinsOfPrices, coinsOfRows } from '../../src/features/markets/source/market-rows.ts'
import { FetchFailed } from '../../src/http/fetch-json.ts'
import { isCoinId } from '../../src/lib/text/coin-id.ts'
import { createClock } from '../helpers/clock.ts'

const FETCHED_AT = '2026-11-20T08:00:00.000Z'
const rowsOf = (...rows: unknown[]) => coinsOfRows(rows, { vs: 'usd', fetchedAt: FETCHED_AT })
const row = (more: object) => ({ id: 'bitcoin', symbol: 'btc', name: 'Bitcoin', current_price: 5, ...more })

describe('a row of a list', () => {
  test.each<[string, object, object]>([
    ['a price of 0', { current_price: 0 }, { price: 0 }],
    ['no price', { current_price: null }, { price: null }],
    ['a price that is text', { current_price: '61234.5' }, { price: 61_234.5 }],
    ['a tiny price', { current_price: 1e-12 }, { price: 1e-12 }],
    ['a tiny price as text', { current_price: '1.0e-12' }, { price: 1e-12 }],
    [
      'figures of other shapes',
      { market_cap: {}, total_volume: 'n/a', ath: [] },
      { marketCap: null, volume24h: null },
    ],
    ['no name and no symbol', { name: null, symbol: undefined }, { name: 'bitcoin', symbol: 'bitcoin' }],
    ['a moment that is none', { last_updated: 'yesterday' }, { asOf: FETCHED_AT }],
    ['a moment to come', { last_updated: '2099-01-01T00:00:00Z' }, { asOf: FETCHED_AT }],
    ['a chart of another shape', { sparkline_in_7d: { price: 'x' } }, { week: [] }],
    ['a chart with holes', { sparkline_in_7d: { price: [1, 'x', null, {}, 5] } }, { week: [1, 5] }],
  ])('%s is shown as it is', (_name, more, expected) => {
    const { coins, dropped } = rowsOf(row(more))
    expect([coins[0], dropped]).toMatchObject([expected, 0])
  })

  test.each<[string, unknown, string[]]>([
    ['a negative price', row({ id: 'sui', current_price: -1 }), ['sui']],
    ['a price that no number holds', row({ id: 'sui', current_price: Number.POSITIVE_INFINITY }), ['sui']],
    ['a price that is no number', row({ id: 'sui', current_price: 'NaN' }), ['sui']],
    ['no id', { current_price: 1 }, []],
    ['an id that cannot be asked for', row({ id: 'a,b' }), []],
    ['null', null, []],
    ['text', 'sui', []],
    ['a coin that was there already', row({ current_price: 9 }), []],
  ])('%s costs that row', (_name, wrong, bad) => {
    const found = rowsOf(row({}), wrong, row({ id: 'tron' }))
    expect(found.coins.map(({ id, price }) => [id, price])).toEqual([
      ['bitcoin', 5],
      ['tron', 5],
    ])
    expect([found.bad, found.dropped]).toEqual([bad, 1])
  })

  test('prices alone: under their ids, and a bad one costs that one', () => {
    const prices = {
      bitcoin: { usd: 7, usd_24h_change: 1, last_updated_at: 1_763_625_000 },
      sui: { usd: -1 },
      tron: {},
    }
    const { coins, bad } = coinsOfPrices(prices, { vs: 'usd', fetchedAt: FETCHED_AT })
    expect(coins).toMatchObject([
      { id: 'bitcoin', price: 7, change24hPercent: 1, asOf: new Date(1_763_625_000_000).toISOString() },
      { id: 'tron', price: null, asOf: FETCHED_AT },
    ])
    expect(bad).toEqual(['sui'])
  })
})

test.each([
  'hive_dollar',
  'boringdao-[old]',
  '1move token',
  'cvault.finance',
  'UPPER',
  'монета',
  '100%',
  'a:b',
  '-2',
  '…',
])('%s is an id', (id) => expect(isCoinId(id)).toBe(true))

test.each([
  '',
  'a,b',
  'a/b',
  'a\\b',
  '.',
  '..',
  ' a',
  'a ',
  'a\nb',
  'a\u0000',
  'a\u200bb',
  '\ud800',
  'a'.repeat(101),
])('%j is none', (id) => expect(isCoinId(id)).toBe(false))

describe('the reason of a refusal', () => {
  const status = (code: number, text: string) => new FetchFailed('status', { status: code, text })
  const CLOUDFLARE =
    '<!DOCTYPE html><html><head><title>Access denied | api.coingecko.com used Cloudflare to restrict access</title>' +
    '</head><body><h1>Error <span>1020</span></h1></body></html>'

  test.each<[FetchFailed, number | undefined, string, RegExp]>([
    [
      status(
        401,
        '{"status":{"timestamp":"2026-11-20T08:00:00Z","error_code":10002,"error_message":"API Key Missing"}}',
      ),
      10002,
      'API Key Missing',
      /COINGECKO_API_KEY/,
    ],
    [
      status(401, '{"error":{"status":{"error_code":10005,"error_message":"limited"}}}'),
      10005,
      'limited',
      /plan/,
    ],
    [
      status(400, '{"error_code":10010,"status":{"error_message":"change your root URL"}}'),
      undefined,
      'change your root URL',
      /^$/,
    ],
    [
      status(400, '{"status":{"error_code":10010,"error_message":"use pro-api"}}'),
      10010,
      'use pro-api',
      /COINGECKO_PLAN=pro/,
    ],
    [
      status(400, '{"status":{"error_code":10011,"error_message":"CG-abcdef123 is a demo\\nkey"}}'),
      10011,
      'CG-… is a demo key',
      /COINGECKO_PLAN=demo/,
    ],
    [
      status(403, CLOUDFLARE),
      1020,
      'a page, "Access denied | api.coingecko.com used Cloudflare',
      /address of this host/,
    ],
    [status(403, 'error code: 1020'), 1020, 'error code: 1020', /address of this host/],
    [status(429, 'Throttled'), undefined, 'Throttled', /COINGECKO_CALLS_PER_MINUTE/],
    [status(429, '{"status":{"error_code":429,"error_message":"slow down"}}'), 429, 'slow down', /lower/],
    [status(503, ''), undefined, '', /^$/],
    [
      new FetchFailed('malformed', { status: 200, text: '<title>Just a moment...</title>' }),
      undefined,
      'a page',
      /^$/,
    ],
  ])('%s', (error, code, words, advice) => {
    const reason = reasonOf(error)
    expect([reason.code, reason.words.startsWith(words)]).toEqual([code, true])
    expect(reason.advice).toMatch(advice)
    expect(sentenceOf(error)).not.toContain('\n')
  })

  test('an answer of 200 that is a refusal', () => {
    expect(failureIn({ status: { error_code: 429, error_message: 'slow down' } })).toMatchObject({
      status: 429,
    })
    expect(failureIn({ status: { error_code: 10010, error_message: 'root URL' } })).toMatchObject({
      status: 400,
    })
    expect(failureIn({ error: 'coin not found' })).toMatchObject({ status: 404 })
    for (const good of [[], {}, { prices: [] }, { error: { usd: 1 }, status: { usd: 2 } }])
      expect(failureIn(good)).toBeUndefined()
  })
})

describe('how much is asked for', () => {
  const late = new FetchFailed('timeout', { hasBegun: true })
  const silent = new FetchFailed('timeout')
  const open = () => {
    const clock = createClock()
    const told: string[] = []
    const sizes = createAnswerSizes({ now: clock.now, onSmaller: (size) => void told.push(size) })
    return { clock, told, ...sizes }
  }
  const wanted = { most: 'charts', least: 'prices' } as const

  test('less, as long as it is too much; more again after a while', () => {
    const { clock, told, fitting, failed } = open()
    expect(failed('charts', 'prices', late)).toBe('rows')
    expect(failed('rows', 'prices', new FetchFailed('too_large', { hasBegun: true }))).toBe('prices')
    expect(failed('prices', 'prices', late)).toBeUndefined()
    expect([fitting(wanted), fitting({ most: 'charts', least: 'rows' }), told]).toEqual([
      'prices',
      'rows',
      ['rows', 'prices'],
    ])
    clock.turn(10 * 60_000)
    expect(fitting(wanted)).toBe('charts')
  })

  test('what hangs without a byte is asked for less at the next call, and then it is not the size', () => {
    const { fitting, failed } = open()
    expect(failed('charts', 'prices', silent)).toBeUndefined()
    expect(fitting(wanted)).toBe('rows')
    expect(failed('rows', 'prices', silent)).toBeUndefined()
    expect(fitting(wanted)).toBe('charts')
  })

  test.each([400, 401, 403, 404, 429])('%i has nothing to do with it', (status) => {
    const { fitting, failed } = open()
    expect(failed('charts', 'prices', new FetchFailed('status', { status, hasBegun: true }))).toBeUndefined()
    expect(fitting(wanted)).toBe('charts')
  })

  test('5xx is asked for less immediately, once', () => {
    const { fitting, failed } = open()
    const error = new FetchFailed('status', { status: 504, hasBegun: true })
    expect(failed('charts', 'prices', error)).toBe('rows')
    expect(failed('rows', 'prices', error)).toBeUndefined()
    expect(fitting(wanted)).toBe('charts')
  })
})
