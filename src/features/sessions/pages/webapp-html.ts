// The page of the Mini App, which Telegram opens in a frame: it hands over initData and says who is logged in.
import type { Page, PageLanguage } from '../../../http/page.ts'
import { html } from '../../../lib/html.ts'
import { documentHtml } from './document-html.ts'
import { texts } from './texts.ts'

export function webappHtml(language: PageLanguage): Page {
  const { login, webapp } = texts[language]
  const { refused, unavailable, again, notConfigured } = login
  const words = JSON.stringify({ done: webapp.done, refused, unavailable, again, notConfigured })
  const main = html`<p id="notice" role="status" data-words="${words}">${login.working}</p>
<noscript><p class="notice">${webapp.script}</p></noscript>
<p id="outside" hidden>${webapp.outside} <a href="/login?lang=${language}">${login.title}</a></p>
<p id="devices" hidden><a href="/account?lang=${language}">${login.toAccount}</a></p>`
  return documentHtml({
    language,
    title: webapp.title,
    path: '/login/webapp',
    isFramed: true,
    script: 'webapp.js',
    main,
  })
}
