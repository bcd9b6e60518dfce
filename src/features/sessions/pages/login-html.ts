// The page at /login: the ways that are set up, or what to set when none is. Only the widget needs JavaScript.

import type { User } from '../../../feature.ts'
import type { Page, PageLanguage } from '../../../http/page.ts'
import { Html, html } from '../../../lib/html.ts'
import { documentHtml } from './document-html.ts'
import { texts } from './texts.ts'

/** Why the page is shown instead of what was asked for. */
export type LoginNotice = 'refused' | 'unavailable' | 'again' | 'notConfigured' | 'declined' | 'expired'

export interface LoginModel {
  language: PageLanguage
  user: User | undefined
  notice: LoginNotice | undefined
  /** Where OpenID Connect starts; undefined when it is not set up. */
  oidcUrl: string | undefined
  /** Where a login by the widget begins; undefined when it is not offered. */
  widgetUrl: string | undefined
  /** Whether there is a bot, and so a Mini App. */
  hasBot: boolean
}

const nothing = new Html('')

export function loginHtml(model: LoginModel): Page {
  const { language, user, notice } = model
  const text = texts[language].login
  const { working, refused, unavailable, again, notConfigured } = text
  const words = JSON.stringify({ working, refused, unavailable, again, notConfigured })
  const hidden = new Html(notice ? '' : ' hidden')
  const already =
    user &&
    html`<p>${text.already} <strong>${user.name}</strong>.
<a href="/account?lang=${language}">${text.toAccount}</a></p>`
  const main = html`<p id="notice" class="notice" role="status"
  data-words="${words}"${hidden}>${notice ? text[notice] : ''}</p>
${already ?? nothing}
${model.oidcUrl || model.hasBot ? ways(model) : whatToSet(language)}`
  return documentHtml({ language, title: text.title, path: '/login', script: 'login.js', main })
}

function ways({ language, oidcUrl, widgetUrl, hasBot }: LoginModel): Html {
  const text = texts[language].login
  const widget =
    widgetUrl &&
    html`<p><a id="widget" href="${widgetUrl}">${text.widget}</a>
<noscript><small>${text.widgetScript}</small></noscript></p>`
  return html`<p>${text.intro}</p>
${oidcUrl ? html`<p><a id="oidc" class="button" href="${oidcUrl}">${text.oidc}</a></p>` : nothing}
${widget || nothing}
${hasBot ? html`<p><small>${text.miniApp}</small></p>` : nothing}`
}

function whatToSet(language: PageLanguage): Html {
  const text = texts[language].login
  return html`<p>${text.nothing}</p>
<ul>
  <li>${text.oidcNeeds} <code>TELEGRAM_CLIENT_ID</code>, <code>TELEGRAM_CLIENT_SECRET</code></li>
  <li>${text.botNeeds} <code>TELEGRAM_BOT_TOKEN</code></li>
</ul>`
}
