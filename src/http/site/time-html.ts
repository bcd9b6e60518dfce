// A moment on a page: in UTC, with the zone named, until static/local-times.js shows it as its reader's clock would.
import { type Html, html } from '../../lib/html.ts'

/** Days and months as they are written there; `en` alone would be the American way. */
const LOCALES = { en: 'en-GB', ru: 'ru' }
const FORMAT = {
  day: 'numeric',
  month: 'short',
  year: 'numeric',
  hour: '2-digit',
  minute: '2-digit',
} as const

export function timeHtml(iso: string, language: keyof typeof LOCALES, id?: string): Html {
  const named = id === undefined ? '' : html` id="${id}"`
  return html`<time datetime="${iso}"${named}>${utcText(iso, language)}</time>`
}

const formats = Object.fromEntries(
  Object.entries(LOCALES).map(([language, locale]) => [
    language,
    new Intl.DateTimeFormat(locale, { ...FORMAT, timeZone: 'UTC' }),
  ]),
)

/** «г.» stays beside its year, as in static/local-times.js. */
const utcText = (iso: string, language: string) =>
  `${formats[language]?.format(new Date(iso)).replace(' г.', '\u00a0г.')} UTC`
