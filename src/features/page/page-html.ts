// The page at /, rendered here in full, so that it works without JavaScript; page.js only keeps it current.
import { otherLanguageOf, type PageLanguage, pageHtml, siteName } from '../../http/page.ts'
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
  language: PageLanguage
  query: string
  links: readonly PageLink[]
  status: PageStatus
  /** Undefined where there is no reference data. */
  countries: readonly PageCountry[] | undefined
}

export interface PageLink {
  readonly path: string
  readonly en: string
  readonly ru: string
}

export function homeHtml({ language, query, links, status, countries }: HomeModel): string {
  const text = texts[language]
  const queryString = query ? `&q=${encodeURIComponent(query)}` : ''
  return pageHtml({
    language,
    title: siteName(language),
    description: text.tagline,
    subtitle: text.tagline,
    otherUrl: `/?lang=${otherLanguageOf(language)}${queryString}`,
    styles: ['page/page.css'],
    scripts: ['page/page.js'],
    nav: html`<nav aria-label="${text.pages}">
  ${links.map(({ path, [language]: name }) => html`<a href="${path}?lang=${language}">${name}</a>`)}
</nav>`,
    main: html`${statusSection(language, status)}
${countries ? countriesSection(language, query, countries) : []}`,
  })
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
      <small>${text.since} <time id="since" datetime="${since}">${utc(since)}</time></small></dd></div>
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
    ? html`<time id="outage-start" datetime="${outage.startedAt}">${utc(outage.startedAt)}</time>`
    : html`<time id="outage-start"></time>`
  const end = outage?.endedAt ? `${text.fromMemory} ${outage.servedCalls}` : text.lasting
  return html`<div><dt>${text.lastOutage}</dt><dd><span id="outage-length">${length}</span>
      <small id="outage"${new Html(outage ? '' : ' hidden')}>${text.from} ${start},
        <span id="outage-end">${end}</span></small></dd></div>`
}

function countriesSection(language: PageLanguage, query: string, countries: readonly PageCountry[]): Html {
  const text = texts[language]
  const { code, name, capital, currency, phone } = text.columns
  return html`<section aria-labelledby="countries-title">
  <h2 id="countries-title">${text.countriesTitle}</h2>
  <p>${text.intro} ${text.api} <a href="/api/countries?lang=${language}">/api/countries</a></p>
  <form method="get" action="/" role="search" id="search">
    <input type="hidden" name="lang" value="${language}">
    <input type="search" name="q" value="${query}" maxlength="100" placeholder="${text.search}"
      aria-label="${text.search}" autocomplete="off">
    <button>${text.searchButton}</button>
  </form>
  <p id="found" aria-live="polite">${text.found} <span id="count">${countries.length}</span></p>
  <table>
    <thead><tr>${[code, name, capital, currency, phone].map((head) => html`<th scope="col">${head}</th>`)}</tr></thead>
    <tbody id="rows">${countries.map(rowHtml)}</tbody>
  </table>
  <p id="none"${new Html(countries.length > 0 ? ' hidden' : '')}>${text.none}</p>
</section>`
}

function rowHtml({ code, name, capital, currencies, phones }: PageCountry): Html {
  const cells = [code, name, capital, currencies.join(', '), phones.map((phone) => `+${phone}`).join(', ')]
  return html`<tr>${cells.map((cell) => html`<td>${cell}</td>`)}</tr>
`
}

const utc = (iso: string) => `${iso.slice(0, 19).replace('T', ' ')} UTC`

/** Hours, minutes and seconds, the same words in every language. */
function duration(seconds: number): string {
  const [hours, minutes] = [Math.floor(seconds / 3_600), Math.floor((seconds % 3_600) / 60)]
  return [hours, minutes, seconds % 60].map((part) => String(part).padStart(2, '0')).join(':')
}
