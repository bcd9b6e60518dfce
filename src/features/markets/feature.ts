// Prices of cryptocurrencies from CoinGecko, within a budget of calls.
import type { Request } from 'express'
import { z } from 'zod'
import { defineFeature } from '../../feature.ts'
import type { PageLanguage } from '../../http/page.ts'
import type { Html } from '../../lib/html.ts'
import { SECOND } from '../../lib/time.ts'
import { integer, positive, serverUrl, type ValuesOf, type Variables, wordOf } from '../../variables.ts'
import { createCallBudget } from './call-budget.ts'
import { type Currency, currencies } from './coin.ts'
import { cachedCoins } from './coin-routes.ts'
import { createCoinGecko } from './coingecko.ts'
import { cachedLists } from './list-route.ts'
import { marketKeys } from './market-keys.ts'
import { createMarkets } from './markets.ts'
import { marketsRoutes } from './markets-routes.ts'

/** A part of the page of prices that another feature shows. */
export type Section = (req: Request, language: PageLanguage, vs: string) => Html | Promise<Html>

// A key of one plan is refused at the other's address; both begin with CG-.
const URLS = { demo: 'https://api.coingecko.com/api/v3', pro: 'https://pro-api.coingecko.com/api/v3' }

/** What CoinGecko calls the plans that are paid: their keys are for the pro address. */
const PAID_PLANS = { basic: 'pro', analyst: 'pro', lite: 'pro', enterprise: 'pro' } as const

const variables = {
  COINGECKO_URL: {
    schema: serverUrl
      .refine(({ search, hash }) => search === '' && hash === '', 'must have no ? and no #')
      .transform((url) => url.href.replace(/\/+$/, ''))
      .optional(),
    default: {
      en: '`https://api.coingecko.com/api/v3`; plan pro: `https://pro-api.coingecko.com/api/v3`',
      ru: '`https://api.coingecko.com/api/v3`; план pro: `https://pro-api.coingecko.com/api/v3`',
    },
    example: URLS.demo,
    en: 'where [prices](docs/features/markets.md) come from; `http://` only on this machine',
    ru: 'откуда берутся [цены](docs/ru/features/markets.md); `http://` только на этой же машине',
  },
  COINGECKO_API_KEY: {
    schema: z
      .string()
      .regex(/^[\x21-\x7e]{1,200}$/, 'must be the key that CoinGecko shows, such as CG-…')
      .optional(),
    en: 'a key of CoinGecko, `CG-…`',
    ru: 'ключ CoinGecko, `CG-…`',
    isSecret: true,
  },
  COINGECKO_PLAN: {
    schema: wordOf(['demo', 'pro'], PAID_PLANS).default('demo'),
    en: 'whose key it is: `demo` or `pro`',
    ru: 'чей это ключ: `demo` или `pro`',
  },
  COINGECKO_CALLS_PER_MINUTE: {
    schema: integer(1, 1_000).default(10),
    en:
      'calls to CoinGecko in any minute, for all processes together; 1 to 1000. With a key, a little ' +
      'below what the plan allows',
    ru:
      'запросов к CoinGecko за любую минуту, на все процессы вместе; от 1 до 1000. С ключом — чуть ' +
      'меньше, чем разрешает план',
  },
  COINGECKO_TTL: {
    schema: positive.default(60),
    en: 'seconds; how long a price is fresh',
    ru: 'секунды; сколько цена считается свежей',
  },
} as const satisfies Variables

/** What the variables say of CoinGecko. */
export function coinGeckoOf(config: ValuesOf<typeof variables>) {
  const { COINGECKO_PLAN: plan, COINGECKO_URL: url = URLS[plan], COINGECKO_API_KEY: apiKey } = config
  const { COINGECKO_CALLS_PER_MINUTE: callsPerMinute, COINGECKO_TTL } = config
  return { url, apiKey, plan, callsPerMinute, ttlMs: COINGECKO_TTL * SECOND }
}

export const markets = defineFeature({
  name: 'markets',
  keys: marketKeys,
  about: { en: 'prices of cryptocurrencies at `/markets`', ru: 'цены криптовалют на `/markets`' },
  variables,
  check: ({ COINGECKO_PLAN: plan, COINGECKO_API_KEY: key }) =>
    plan === 'pro' && key === undefined
      ? ['COINGECKO_PLAN can only be pro with a key in COINGECKO_API_KEY']
      : [],
  navigation: [{ path: '/markets', en: 'Prices', ru: 'Цены' }],
  setup({ config, cache, limiter, state, fetchJson, admitReads, log }) {
    const { callsPerMinute: perMinute, ttlMs: freshMs, ...server } = coinGeckoOf(config)
    const sections: Section[] = []
    const prices = createMarkets({
      cache,
      coinGecko: createCoinGecko({ ...server, fetchJson }),
      budget: createCallBudget({ limiter, state, perMinute, log }),
      freshMs,
      log,
    })
    return {
      cached: [...cachedCoins({ markets: prices, admitReads }), cachedLists({ markets: prices, admitReads })],
      routes: marketsRoutes({
        markets: prices,
        sections: (req, language, vs) => Promise.all(sections.map((section) => section(req, language, vs))),
        admitReads,
      }),
      provides: {
        currencies,
        freshPrices: (ids: readonly string[], vs: string) => prices.freshPrices(ids, vs as Currency),
        /** Those that CoinGecko has no price of, as far as it is known. */
        unpriced: (ids: readonly string[], vs: string) => prices.unpriced(ids, vs as Currency),
        /** Shows it below the prices. */
        addSection: (section: Section) => void sections.push(section),
      },
    }
  },
})
