// The page at /, rendered here in full, so that it works without JavaScript; page.js only keeps it current.
import { otherLanguageOf, type Page, type PageLanguage, siteName } from '../../http/page.ts'
import { timeHtml } from '../../http/site/time-html.ts'
import { Html, html } from '../../lib/html.ts'
import type { PageOutage } from './last-outage.ts'
import { texts } from './texts.ts'

export interface PageCountry {
  readonly code: string
  readonly name: string
  readonly capital: string
  readonly currencies: readonly string[]
  readonly phones: readonly string[]
}

export interface PageStatus {
  readonly status: 'redis' | 'memory' | 'merging'
  readonly since: string
  readonly hits: number
  readonly misses: number
  readonly uptimeSeconds: number
  /** Null when there was none. */
  readonly lastOutage: PageOutage | null
}

export interface HomeModel {
  /** Where the page is. */
  path: string
  language: PageLanguage
  query: string
  /** Whether all countries are shown, and not only the first. */
  showsAll: boolean
  status: PageStatus
  /** Undefined where there is no reference data. */
  countries: readonly PageCountry[] | undefined
}

export function homeHtml(home: HomeModel): Page {
  const { language, status, countries } = home
  const text = texts[language]
  return {
    language,
    title: siteName(language),
    heading: text.heading,
    description: `${text.tagline} ${text.heading}.`,
    subtitle: text.tagline,
    otherUrl: addressOf({ ...home, language: otherLanguageOf(language) }),
    styles: ['page/page.css'],
    scripts: ['page/page.js'],
    main: html`${statusSection(language, status)}
${countries ? countriesSection(home, countries) : []}`,
  }
}

function statusSection(
  language: PageLanguage,
  { status, since, hits, misses, uptimeSeconds, lastOutage }: PageStatus,
): Html {
  const text = texts[language]
  const reads = hits + misses
  const rate = reads === 0 ? '–' : `${Math.round((hits / reads) * 100)} %`
  const { unreachable, noOutage, lasting, fromMemory } = text
  const words = JSON.stringify({ ...text.statuses, unreachable, noOutage, lasting, fromMemory })
  return html`<section aria-labelledby="status-title" id="status" data-status="${status}" data-words="${words}">
  <h2 id="status-title">${text.statusTitle}</h2>
  <dl>
    <div><dt>${text.status}</dt><dd aria-live="polite"><span id="status-word">${text.statuses[status]}</span>
      <small>${text.since} ${timeHtml(since, language, 'since')}</small></dd></div>
    <div><dt>${text.hitRate}</dt><dd><span id="hit-rate">${rate}</span>
      <small>${text.reads} <span id="reads">${reads}</span></small></dd></div>
    <div><dt>${text.uptime}</dt><dd><span id="uptime">${duration(uptimeSeconds)}</span></dd></div>
    ${outageBox(language, lastOutage)}
  </dl>
</section>`
}

function outageBox(language: PageLanguage, outage: PageOutage | null): Html {
  const text = texts[language]
  const length = outage ? duration(outage.durationSeconds) : text.noOutage
  const start = outage
    ? timeHtml(outage.startedAt, language, 'outage-start')
    : html`<time id="outage-start"></time>`
  const end = outage?.endedAt ? `${text.fromMemory} ${outage.servedCalls}` : text.lasting
  return html`<div><dt>${text.lastOutage}</dt><dd><span id="outage-length">${length}</span>
      <small id="outage"${new Html(outage ? '' : ' hidden')}>${text.from} ${start},
        <span id="outage-end">${end}</span></small></dd></div>`
}

/** Enough to see what they are; the page stays short. */
const FIRST_COUNTRIES = 10

function addressOf({ path, language, query, showsAll }: HomeModel): string {
  const asked = { lang: language, ...(query && { q: query }), ...(showsAll && { all: 'true' }) }
  return `${path}?${new URLSearchParams(asked)}`
}

function countriesSection(home: HomeModel, countries: readonly PageCountry[]): Html {
  const { path, language, query, showsAll } = home
  const shown = showsAll ? countries : countries.slice(0, FIRST_COUNTRIES)
  const text = texts[language]
  const { code, name, capital, currency, phone } = text.columns
  return html`<section aria-labelledby="countries-title">
  <h2 id="countries-title">${text.countriesTitle}</h2>
  <p>${text.intro} <a href="/api/countries?lang=${language}">${text.api}</a></p>
  <form method="get" action="${path}" role="search" id="search">
    <input type="hidden" name="lang" value="${language}">
    <input type="search" name="q" value="${query}" maxlength="100" placeholder="${text.search}"
      aria-label="${text.search}" autocomplete="off">
    <button>${text.searchButton}</button>
  </form>
  <p id="found" aria-live="polite">${text.found} <span id="count">${countries.length}</span></p>
  <table>
    <thead><tr>${[code, name, capital, currency, phone].map((head) => html`<th scope="col">${head}</th>`)}</tr></thead>
    <tbody id="rows">${shown.map(rowHtml)}</tbody>
  </table>
  <p id="more"${new Html(shown.length < countries.length ? '' : ' hidden')}><a
    href="${addressOf({ ...home, showsAll: true })}">${text.showAll}</a></p>
  <p id="none"${new Html(countries.length > 0 ? ' hidden' : '')}>${text.none}</p>
</section>`
}

function rowHtml({ code, name, capital, currencies, phones }: PageCountry): Html {
  const cells = [code, name, capital, currencies.join(', '), phones.map((phone) => `+${phone}`).join(', ')]
  return html`<tr>${cells.map((cell) => html`<td>${cell}</td>`)}</tr>
`
}

/** Hours, minutes and seconds, the same words in every language. */
function duration(seconds: number): string {
  const [hours, minutes] = [Math.floor(seconds / 3_600), Math.floor((seconds % 3_600) / 60)]
  return [hours, minutes, seconds % 60].map((part) => String(part).padStart(2, '0')).join(':')
}
