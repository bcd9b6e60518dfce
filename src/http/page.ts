// What every page has in common: its language, its head and header, how it is sent, and its static files.
import { fileURLToPath } from 'node:url'
import { type IRouter, type Request, type Response, static as serveStatic } from 'express'
import { type Html, html } from '../lib/html.ts'
import { MINUTE } from '../lib/time.ts'

const site = {
  en: { name: 'Samovar', otherLanguage: 'Русский' },
  ru: { name: 'Самовар', otherLanguage: 'English' },
}
export type PageLanguage = keyof typeof site
export const pageLanguages = ['en', 'ru'] as const satisfies readonly PageLanguage[]

export interface Page {
  language: PageLanguage
  title: string
  /** For search engines. */
  description?: string
  /** Below the title, instead of a link to the first page. */
  subtitle?: string
  /** Where the page is in the other language: path and query. */
  otherUrl: string
  /** Below the address of static files, `/static/`. */
  styles: readonly string[]
  /** Modules, likewise. */
  scripts: readonly string[]
  nav?: Html
  main: Html
}

const SHARED_STYLES = ['site.css']

/** The whole document, as HTML. */
export function pageHtml(page: Page): string {
  const { language, title, description, subtitle, otherUrl, styles, scripts, nav, main } = page
  const { name, otherLanguage } = site[language]
  const other = otherLanguageOf(language)
  return html`<!doctype html>
<html lang="${language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
${description === undefined ? [] : html`<meta name="description" content="${description}">`}
<title>${title === name ? name : `${title} · ${name}`}</title>
<link rel="icon" href="/static/icon.svg">
${[...SHARED_STYLES, ...styles].map((file) => html`<link rel="stylesheet" href="/static/${file}">`)}
${scripts.map((file) => html`<script type="module" src="/static/${file}"></script>`)}
</head>
<body>
<header>
  <img src="/static/icon.svg" alt="" width="48" height="48">
  <div><h1>${title}</h1><p>${subtitle ?? html`<a href="/?lang=${language}">${name}</a>`}</p></div>
  <a href="${otherUrl}" hreflang="${other}" lang="${other}" id="other-language">${otherLanguage}</a>
</header>
${nav ?? []}
<main>
${main}
</main>
</body>
</html>`.text
}

export function otherLanguageOf(language: PageLanguage): PageLanguage {
  return language === 'en' ? 'ru' : 'en'
}

export function siteName(language: PageLanguage): string {
  return site[language].name
}

/** As `?lang=` says, else as the browser asks. */
export function languageOf(req: Request): PageLanguage {
  const { lang } = req.query
  if (lang === 'en' || lang === 'ru') return lang
  return req.acceptsLanguages(...pageLanguages) === 'ru' ? 'ru' : 'en'
}

/** A page that is one visitor's own: no cache keeps it. */
export function sendOwnPage(res: Response, language: PageLanguage, page: string): void {
  res.set({
    'Cache-Control': 'private, no-store',
    'Content-Language': language,
    // With no-referrer a form says `Origin: null`; over plain HTTP nothing else tells it from another site's.
    'Referrer-Policy': 'same-origin',
    Vary: 'Accept-Language, Cookie',
  })
  res.type('html').send(page)
}

/** Serves the folder `static` beside a module, given by its `import.meta.url`, below a path. */
export function serveFiles(router: IRouter, path: string, moduleUrl: string): void {
  const files = fileURLToPath(new URL('./static/', moduleUrl))
  router.use(path, serveStatic(files, { index: false, maxAge: MINUTE, etag: true }))
}
