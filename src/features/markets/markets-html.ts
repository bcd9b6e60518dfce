// The page at /markets, rendered here in full, so that it works without JavaScript; markets.js only keeps it current.
import { otherLanguageOf, type Page, type PageLanguage } from '../../http/page.ts'
import { timeHtml } from '../../http/site/time-html.ts'
import { Html, html } from '../../lib/html.ts'
import { type Coin, type Currency, currencies } from './coin.ts'
import { formatCompact, formatPercent, formatPrice } from './figures.ts'
import type { MarketStats } from './markets.ts'
import { sparkline } from './sparkline.ts'
import { texts } from './texts.ts'

export const COINS_A_PAGE = 50

export interface MarketsModel {
  language: PageLanguage
  vs: Currency
  query: string
  page: number
  /** Undefined when there are no prices at all. */
  coins: readonly ShownCoin[] | undefined
  stats: MarketStats
  /** Of other features. */
  sections: readonly Html[]
}

export type ShownCoin = Coin & { stale: boolean }

const nothing = new Html('')

export function marketsHtml(model: MarketsModel): Page {
  const { language, stats } = model
  const text = texts[language]
  return {
    language,
    title: text.title,
    description: text.description,
    otherUrl: addressOf({ ...model, language: otherLanguageOf(language) }),
    styles: ['markets/markets.css'],
    scripts: ['markets/markets.js'],
    main: html`<section aria-labelledby="prices-title">
  <h2 id="prices-title">${text.pricesTitle}</h2>
  ${form(model)}
  ${prices(model)}
</section>
${model.sections}
${saved(language, stats)}`,
  }
}

function form({ language, vs, query }: MarketsModel): Html {
  const text = texts[language]
  const option = (one: Currency) =>
    html`<option value="${one}"${new Html(one === vs ? ' selected' : '')}>${one.toUpperCase()}</option>`
  return html`<form method="get" action="/markets" role="search" id="search">
    <input type="hidden" name="lang" value="${language}">
    <select name="vs" aria-label="${text.currency}">${currencies.map(option)}</select>
    <input type="search" name="q" value="${query}" maxlength="100" placeholder="${text.search}"
      aria-label="${text.search}" autocomplete="off">
    <button>${text.searchButton}</button>
  </form>`
}

/** What markets.js replaces: everything that changes with the prices. */
function prices(model: MarketsModel): Html {
  const { language, coins } = model
  const text = texts[language]
  if (!coins) return html`<div id="prices"><p class="notice" role="status">${text.unavailable}</p></div>`
  const { rank, coin, price, day, week, cap } = text.columns
  const table = html`<table id="coins">
    <thead><tr>${[rank, coin, price, day, week, cap].map((name) => html`<th scope="col">${name}</th>`)}</tr></thead>
    <tbody>${coins.map((one) => row(one, language))}</tbody>
  </table>`
  return html`<div id="prices">
  ${freshness(language, coins)}
  <p id="found">${text.found} <span id="count">${coins.length}</span></p>
  ${coins.length > 0 ? table : html`<p>${text.none}</p>`}
  ${pages(model, coins.length)}
  <p id="attribution"><small>
    ${text.source} <a href="https://www.coingecko.com/">CoinGecko</a></small></p>
</div>`
}

function freshness(language: PageLanguage, coins: readonly ShownCoin[]): Html {
  const text = texts[language]
  const stale = coins.filter((coin) => coin.stale)
  const oldest = (stale.length > 0 ? stale : coins).map(({ fetchedAt }) => fetchedAt).sort()[0]
  if (oldest === undefined) return nothing
  const time = timeHtml(oldest, language)
  if (stale.length > 0) return html`<p class="notice" role="status">${text.stale} ${time}.</p>`
  return html`<p><small>${text.asOf} ${time}</small></p>`
}

function row(coin: ShownCoin, language: PageLanguage): Html {
  const { id, name, symbol, rank, vs, price, change24hPercent, week, marketCap, fetchedAt, stale } = coin
  const text = texts[language]
  const change = change24hPercent === null ? '–' : formatPercent(change24hPercent, language)
  const direction = (change24hPercent ?? 0) < 0 ? 'down' : 'up'
  const [first, last] = [week[0], week.at(-1)]
  const weekChange = first && last !== undefined ? formatPercent((last / first - 1) * 100, language) : '–'
  const label = `${text.weekChart} ${weekChange}`
  const outdated = html`<small class="outdated">${text.outdated}
    ${timeHtml(fetchedAt, language)}</small>`
  const cells = [
    html`<td>${price === null ? text.noPrice : formatPrice(price, vs, language)}${stale ? outdated : nothing}</td>`,
    html`<td class="${direction}">${change}</td><td>${sparkline(week, label)}</td>`,
    html`<td>${marketCap === null ? '–' : formatCompact(marketCap, vs, language)}</td>`,
  ]
  const staleness = new Html(stale ? ' class="stale"' : '')
  return html`<tr data-id="${id}" data-name="${name}" data-symbol="${symbol.toLowerCase()}"${staleness}>
  <td>${rank ?? '–'}</td>
  <th scope="row">${name} <small>${symbol.toUpperCase()}</small></th>${cells}</tr>
`
}

function pages(model: MarketsModel, shown: number): Html {
  const { language, page, query } = model
  const text = texts[language]
  if (query) return nothing
  const link = (to: number, rel: string, words: string) =>
    html`<a href="${addressOf({ ...model, page: to })}" rel="${rel}">${words}</a>`
  return html`<nav class="pages" aria-label="${text.pages}">
  ${page > 1 ? link(page - 1, 'prev', text.previous) : nothing}
  ${shown === COINS_A_PAGE ? link(page + 1, 'next', text.next) : nothing}</nav>`
}

function saved(language: PageLanguage, { answered, calls, saved, perMinute }: MarketStats): Html {
  const text = texts[language]
  return html`<section aria-labelledby="saved-title" id="saved">
  <h2 id="saved-title">${text.savedTitle}</h2>
  <dl>
    <div><dt>${text.saved}</dt><dd id="saved-calls">${saved} <small>${text.sinceStart}</small></dd></div>
    <div><dt>${text.answered}</dt><dd id="answered">${answered}</dd></div>
    <div><dt>${text.calls}</dt><dd id="calls">${calls}</dd></div>
    <div><dt>${text.budget}</dt><dd id="budget">${perMinute}</dd></div>
  </dl>
  <p><a href="/api/coins">${text.api}</a></p>
</section>`
}

function addressOf({
  language,
  vs,
  query,
  page,
}: Pick<MarketsModel, 'language' | 'vs' | 'query' | 'page'>): string {
  const search = new URLSearchParams({
    lang: language,
    vs,
    ...(query && { q: query }),
    ...(page > 1 && { page: String(page) }),
  })
  return `/markets?${search}`
}
