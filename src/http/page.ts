// What every page has in common: its language, its head and header, how it is sent, and its static files.
import { fileURLToPath } from 'node:url'
import { type IRouter, type Request, type Response, static as serveStatic } from 'express'
import { type Html, html } from '../lib/html.ts'
import { MINUTE } from '../lib/time.ts'
import { navigationHtml, siteOf, skipLink, type Visitor } from './site/site-header.ts'
import { canonicalUrl, LOGO_PATH, siteIdentity } from './site/site-identity.ts'

const site = {
  en: { name: 'Samovar', otherLanguage: 'Русский' },
  ru: { name: 'Самовар', otherLanguage: 'English' },
}
export type PageLanguage = keyof typeof site
export const pageLanguages = ['en', 'ru'] as const satisfies readonly PageLanguage[]

export interface Page {
  language: PageLanguage
  title: string
  /** Where the page is not headed by its title. */
  heading?: string
  /** For search engines. */
  description?: string
  /** Below the heading. */
  subtitle?: string
  /** Whether it stands in a frame, where no other page of ours may: it leads nowhere. */
  isFramed?: true
  /** Where the page is in the other language: path and query. */
  otherUrl: string
  /** Below the address of static files, `/static/`. */
  styles: readonly string[]
  /** Modules, likewise. */
  scripts: readonly string[]
  main: Html
}

const SHARED_STYLES = ['site.css']
const SHARED_SCRIPTS = ['local-times.js']

const OUR_ICONS = html`<link rel="icon" href="/favicon.ico" sizes="32x32">
<link rel="icon" href="/static/icon.svg" type="image/svg+xml">`

/** The whole document, as HTML. `navigation` stands in its header. */
export function pageHtml(page: Page, navigation: Html): string {
  const { language, title, heading = title, description, subtitle, otherUrl, styles, scripts, main } = page
  const { otherLanguage } = site[language]
  const name = siteName(language)
  const { logo } = siteIdentity()
  const canonical = canonicalUrl(otherUrl, language)
  const other = otherLanguageOf(language)
  const image = logo ? LOGO_PATH : '/static/icon.svg'
  const brand = html`<img src="${image}" alt="" width="32" height="32"> <span>${name}</span>`
  const home = html`<a class="brand" href="/?lang=${language}">${brand}</a>`
  return html`<!doctype html>
<html lang="${language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
${description === undefined ? [] : html`<meta name="description" content="${description}">`}
<title>${title === name ? name : `${title} · ${name}`}</title>
${logo ? html`<link rel="icon" href="${LOGO_PATH}">` : OUR_ICONS}
${canonical === undefined ? [] : html`<link rel="canonical" href="${canonical}">`}
${[...SHARED_STYLES, ...styles].map((file) => html`<link rel="stylesheet" href="/static/${file}">`)}
${[...SHARED_SCRIPTS, ...scripts].map((file) => html`<script type="module" src="/static/${file}"></script>`)}
</head>
<body>
${skipLink(language)}
<header>
  ${page.isFramed ? html`<span class="brand">${brand}</span>` : html`${home}${navigation}`}
  <a href="${otherUrl}" hreflang="${other}" lang="${other}" id="other-language">${otherLanguage}</a>
</header>
<main id="content" tabindex="-1">
<h1>${heading}</h1>
${subtitle === undefined ? [] : html`<p id="subtitle">${subtitle}</p>`}
${main}
</main>
</body>
</html>`.text
}

export function otherLanguageOf(language: PageLanguage): PageLanguage {
  return language === 'en' ? 'ru' : 'en'
}

export function siteName(language: PageLanguage): string {
  return siteIdentity().name ?? site[language].name
}

/** As `?lang=` says, else as the browser asks. */
export function languageOf(req: Request): PageLanguage {
  const { lang } = req.query
  if (lang === 'en' || lang === 'ru') return lang
  return req.acceptsLanguages(...pageLanguages) === 'ru' ? 'ru' : 'en'
}

/** A page with its header, which is one visitor's own: no cache keeps it, unless the route has set how. */
export async function sendOwnPage(res: Response, page: Page): Promise<void> {
  return sendPageTo(res, page, await siteOf(res.req).visitor(res.req))
}

/** The same where it is known who asks, or not to be asked. */
export function sendPageTo(res: Response, page: Page, visitor: Visitor): void {
  const { language } = page
  const site = siteOf(res.req)
  const { path } = res.req
  const [links, userPages] = [site.links(), site.userPages()]
  if (!res.hasHeader('Cache-Control')) res.set('Cache-Control', 'private, no-store')
  res.set({
    'Content-Language': language,
    // With no-referrer a form says `Origin: null`; over plain HTTP nothing else tells it from another site's.
    'Referrer-Policy': 'same-origin',
  })
  res.vary('Accept-Language, Cookie')
  res.type('html').send(pageHtml(page, navigationHtml({ language, path, links, userPages, visitor })))
}

/** Serves the folder `static` beside a module, given by its `import.meta.url`, below a path. */
export function serveFiles(router: IRouter, path: string, moduleUrl: string): void {
  const files = fileURLToPath(new URL('./static/', moduleUrl))
  router.use(path, serveStatic(files, { index: false, maxAge: MINUTE, etag: true }))
}
