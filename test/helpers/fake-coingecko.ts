// CoinGecko as a server of the tests' own: 250 coins, its own rate limit, and a switch for each way to fail.
// A coin's price says whose it is (priceOf), so that a mix-up cannot pass.
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import type { Now } from '../../src/lib/time.ts'
import { coinIds } from './coin-ids.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const STEPS_A_SECOND = 20
const BIG_BYTES = 10 * 1024 * 1024
const RATES: Readonly<Record<string, number>> = { usd: 1, eur: 0.85, rub: 81.5 }

const SYMBOLS = [
  'btc',
  'eth',
  'usdt',
  'xrp',
  'bnb',
  'sol',
  'usdc',
  'doge',
  'ada',
  'steth',
  'trx',
  'wbtc',
  'link',
]

/**
 * A status, or: never answers, answers what is no JSON, what is no CoinGecko's JSON, nothing at all, 10 MB; hangs up;
 * charts with nulls in them; histories without points.
 */
export type FakeFault =
  | number
  | 'hangs'
  | 'garbage'
  | 'wrong shape'
  | 'empty'
  | 'too large'
  | 'hangs up'
  | 'holes in a chart'
  | 'empty histories'

export interface FakeCall {
  readonly atMs: number
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: IncomingMessage['headers']
}

export type FakeRow = Record<string, unknown> & { id: string }

export interface FakeAnswer {
  readonly status: number
  readonly headers?: Record<string, string>
  readonly body: string
  /** Its connection is cut after that. */
  readonly isCut?: true
}

export interface FakeCoinGecko {
  readonly url: string
  readonly env: Record<string, string>
  /** Every call that came, those that were refused too. */
  readonly calls: FakeCall[]
  fault: FakeFault | undefined
  /** Sent with 429 and 503, in seconds. */
  retryAfter: string | undefined
  /** Calls it allows in any minute; more are answered 429. */
  perMinute: number
  delayMs: number
  /** How much of each answer is sent in a second; undefined: as fast as it goes. */
  bytesPerSecond: number | undefined
  /** Whether answers are compressed for those who accept that, and by what. */
  compression: 'gzip' | 'br' | undefined
  /** Ids that it has beside its 250, after them; each needs a price in `moved`. */
  readonly extra: string[]
  /** Ids that it has no more. */
  readonly removed: Set<string>
  /** Rows of lists as they are sent, in place of the right ones. */
  distort: ((rows: FakeRow[]) => unknown) | undefined
  /** The text of an answer as it is sent. */
  rewrite: ((text: string) => string) | undefined
  /** Answers a call in place of what it asks for, where it gives something. */
  instead: ((call: FakeCall) => FakeAnswer | undefined) | undefined
  /** Prices that differ from priceOf, in dollars. */
  readonly moved: Map<string, number>
  close(): Promise<void>
}

/** What a coin costs there unless it was moved. */
export function priceOf(id: string, vs = 'usd'): number {
  return Number(((10_000 / (coinIds.indexOf(id) + 1)) * (RATES[vs] ?? 1)).toPrecision(8))
}

export async function startFakeCoinGecko({ now = Date.now }: { now?: Now } = {}): Promise<FakeCoinGecko> {
  const server = createServer((req, res) => void answer(req, res)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/v3`
  let allowedAtMs: number[] = []

  const fake: FakeCoinGecko = {
    url,
    env: { COINGECKO_URL: url },
    calls: [],
    fault: undefined,
    retryAfter: '60',
    perMinute: 1_000_000,
    delayMs: 0,
    bytesPerSecond: undefined,
    compression: undefined,
    extra: [],
    removed: new Set(),
    distort: undefined,
    rewrite: undefined,
    instead: undefined,
    moved: new Map(),
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }

  async function answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const { pathname, searchParams: query } = new URL(req.url ?? '/', url)
    const path = pathname.replace('/api/v3', '')
    const call = { atMs: now(), path, query, headers: req.headers }
    fake.calls.push(call)
    if (fake.delayMs > 0) await new Promise((resolve) => setTimeout(resolve, fake.delayMs))
    const fault = fake.fault ?? (overLimit() ? 429 : undefined)
    if (fault === 'hangs') return
    if (!req.headers['user-agent']) {
      res.statusCode = 403
      return void res.end('Please add a descriptive User-Agent to your request')
    }
    if (fault === 'hangs up') return void res.destroy()
    res.setHeader('Content-Type', 'application/json; charset=utf-8')
    const other = fake.instead?.(call)
    if (other?.isCut) {
      res.writeHead(other.status, other.headers).write(other.body)
      await new Promise((resolve) => setTimeout(resolve, 50))
      return void res.destroy()
    }
    if (other) return void res.writeHead(other.status, other.headers).end(other.body)
    if (fault === 'empty histories' && path.endsWith('market_chart')) return void res.end('{"prices":[]}')
    if (fault === undefined || fault === 'empty histories' || fault === 'holes in a chart')
      return reply(req, res, path, query)
    if (fault === 'too large') return void res.end(`[${'0,'.repeat(BIG_BYTES / 2)}0]`)
    if (fault === 'garbage') return void res.end('<html>Just a moment…</html>')
    if (fault === 'wrong shape') return void res.end('[{"id":7}]')
    if (fault === 'empty') return void res.end(path.endsWith('market_chart') ? '{"prices":[]}' : '[]')
    if (fake.retryAfter !== undefined && (fault === 429 || fault === 503)) {
      res.setHeader('Retry-After', fake.retryAfter)
    }
    res.statusCode = fault
    res.end(JSON.stringify({ status: { error_code: fault, error_message: 'as the test wants it' } }))
  }

  function overLimit(): boolean {
    allowedAtMs = allowedAtMs.filter((atMs) => atMs > now() - MINUTE)
    if (allowedAtMs.length >= fake.perMinute) return true
    allowedAtMs.push(now())
    return false
  }

  function reply(req: IncomingMessage, res: ServerResponse, path: string, query: URLSearchParams): void {
    const vs = query.get(path === '/simple/price' ? 'vs_currencies' : 'vs_currency') ?? ''
    const chart = decodeURIComponent(/^\/coins\/([^/]+)\/market_chart$/.exec(path)?.[1] ?? '')
    const answer = () => {
      if (!RATES[vs]) return [422, { error: 'Invalid vs_currency' }] as const
      if (path === '/coins/markets') return [200, market(vs, query)] as const
      if (path === '/simple/price') return [200, prices(vs, query)] as const
      if (ids().includes(chart)) return [200, history(chart, vs, Number(query.get('days')))] as const
      return [404, { error: 'coin not found' }] as const
    }
    const [status, json] = answer()
    res.statusCode = status
    const text = JSON.stringify(json)
    void send(req, res, fake.rewrite?.(text) ?? text)
  }

  async function send(req: IncomingMessage, res: ServerResponse, text: string): Promise<void> {
    const accepts = (coding: string) => String(req.headers['accept-encoding'] ?? '').includes(coding)
    let bytes: Buffer = Buffer.from(text)
    if (fake.compression !== undefined && accepts(fake.compression)) {
      bytes = fake.compression === 'br' ? brotliCompressSync(bytes) : gzipSync(bytes)
      res.setHeader('Content-Encoding', fake.compression)
    }
    for (let at = 0; fake.bytesPerSecond !== undefined && at < bytes.byteLength && !res.destroyed; ) {
      const step = Math.max(1, Math.floor(fake.bytesPerSecond / STEPS_A_SECOND))
      res.write(bytes.subarray(at, at + step))
      at += step
      if (at >= bytes.byteLength) return void res.end()
      await new Promise((resolve) => setTimeout(resolve, 1_000 / STEPS_A_SECOND))
    }
    if (!res.destroyed) res.end(bytes)
  }

  const ids = () => [...coinIds, ...fake.extra].filter((id) => !fake.removed.has(id))

  function market(vs: string, query: URLSearchParams) {
    const [size, page] = [Number(query.get('per_page') ?? 100), Number(query.get('page') ?? 1)]
    const asked = query.get('ids')?.split(',')
    const found = asked ? ids().filter((id) => asked.includes(id)) : ids()
    const withCharts = query.get('sparkline') === 'true'
    const rows = found.slice((page - 1) * size, page * size).map((id) => row(id, vs, withCharts))
    return fake.distort?.(rows) ?? rows
  }

  function prices(vs: string, query: URLSearchParams) {
    const asked = query.get('ids')?.split(',') ?? []
    return Object.fromEntries(
      ids()
        .filter((id) => asked.includes(id))
        .map((id) => [
          id,
          {
            [vs]: current(id, vs),
            [`${vs}_market_cap`]: current(id, vs) * 1e8,
            [`${vs}_24h_vol`]: current(id, vs) * 1e6,
            [`${vs}_24h_change`]: 1.5,
            last_updated_at: Math.floor(now() / 1_000),
          },
        ]),
    )
  }

  function current(id: string, vs: string): number {
    const moved = fake.moved.get(id)
    return moved === undefined ? priceOf(id, vs) : moved * (RATES[vs] ?? 1)
  }

  function row(id: string, vs: string, withCharts: boolean): FakeRow {
    const place = [...coinIds, ...fake.extra].indexOf(id)
    const price = current(id, vs)
    const wave = (hours: number) =>
      price * (1 + 0.06 * Math.sin((hours + place * 7) / 11) * Math.cos(hours / (5 + (place % 9))))
    return {
      id,
      symbol: SYMBOLS[place] ?? id.slice(0, 4),
      name: id.replace(/(^|-)[a-z]/g, (letter) => letter.toUpperCase().replace('-', ' ')),
      image: `https://coin-images.coingecko.com/coins/images/${place + 1}/large/${id}.png`,
      current_price: price,
      market_cap: price * 1e8,
      market_cap_rank: place + 1,
      fully_diluted_valuation: price * 1.1e8,
      total_volume: price * 1e6,
      high_24h: price * 1.02,
      low_24h: price * 0.97,
      price_change_24h: price * 0.01,
      price_change_percentage_24h: ((place % 11) - 5) * 0.9,
      price_change_percentage_1h_in_currency: 0.1,
      price_change_percentage_7d_in_currency: ((place % 7) - 3) * 2.5,
      circulating_supply: 1e8,
      total_supply: 1.1e8,
      max_supply: place % 2 === 0 ? 1.1e8 : null,
      ath: price * 3,
      ath_date: '2024-03-14T07:10:36.635Z',
      roi: null,
      last_updated: new Date(now()).toISOString(),
      ...(withCharts && {
        sparkline_in_7d: {
          price: Array.from({ length: 168 }, (_, hour) =>
            fake.fault === 'holes in a chart' && (hour + place) % 3 === 0 ? null : wave(hour),
          ),
        },
      }),
    }
  }

  function history(id: string, vs: string, days: number) {
    const prices = Array.from(
      { length: days === 1 ? 288 : days * 24 },
      (_, i, all = days === 1 ? 288 : days * 24) => {
        const atMs = now() - ((all - 1 - i) * days * 24 * HOUR) / all
        return [Math.round(atMs), current(id, vs) * (1 + 0.05 * Math.sin(i / 9))]
      },
    )
    return { prices, market_caps: [], total_volumes: [] }
  }

  return fake
}
