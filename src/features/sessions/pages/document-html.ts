// What the pages about logging in have in common: the head, and a header with the other language.
import { Html, html } from '../../../lib/html.ts'
import { type PageLanguage, texts } from './texts.ts'

export interface Document {
  language: PageLanguage
  title: string
  /** The path of this page, for the link to the other language. */
  path: string
  /** Whether it stands in a frame, where no other page of ours may. */
  isFramed?: true
  /** A script of ours under /static/login/, where the page has one. */
  script?: string
  main: Html
}

export function documentHtml({ language, title, path, isFramed, script, main }: Document): string {
  const text = texts[language]
  const other = language === 'en' ? 'ru' : 'en'
  const scriptTag = script
    ? html`<script type="module" src="/static/login/${script}"></script>`
    : new Html('')
  return html`<!doctype html>
<html lang="${language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title} · ${text.site}</title>
<link rel="icon" href="/static/icon.svg">
<link rel="stylesheet" href="/static/page.css">
<link rel="stylesheet" href="/static/login/login.css">
${scriptTag}
</head>
<body>
<header>
  <img src="/static/icon.svg" alt="" width="48" height="48">
  <div><h1>${title}</h1><p>${isFramed ? text.site : html`<a href="/?lang=${language}">${text.site}</a>`}</p></div>
  <a href="${path}?lang=${other}" hreflang="${other}" lang="${other}">${text.otherLanguage}</a>
</header>
<main>
${main}
</main>
</body>
</html>`.text
}
