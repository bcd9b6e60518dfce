// The page at /account: where its user is logged in, and out of what they can log out. Forms only, no script.

import type { User } from '../../../feature.ts'
import type { Page, PageLanguage } from '../../../http/page.ts'
import { timeHtml } from '../../../http/site/time-html.ts'
import { Html, html } from '../../../lib/html.ts'
import { deviceIn } from '../device.ts'
import type { OwnSession } from '../own-sessions.ts'
import { documentHtml } from './document-html.ts'
import { texts } from './texts.ts'

export interface AccountModel {
  language: PageLanguage
  user: User
  devices: readonly OwnSession[]
}

export function accountHtml({ language, user, devices }: AccountModel): Page {
  const text = texts[language].account
  const others = devices.some(({ current }) => !current)
  const main = html`<p><strong id="user">${user.name}</strong>${user.username ? ` @${user.username}` : ''}</p>
<h2 id="devices-title">${text.devices}</h2>
<ul class="devices" aria-labelledby="devices-title">
${devices.map((device) => deviceHtml(language, device))}
</ul>
${others ? revokeOthers(language) : new Html('')}`
  return documentHtml({ language, title: text.title, path: '/account', main })
}

function revokeOthers(language: PageLanguage): Html {
  return html`<form method="post" action="/account/revoke-others?lang=${language}">
  <button class="quiet">${texts[language].account.revokeOthers}</button></form>`
}

function deviceHtml(language: PageLanguage, session: OwnSession): Html {
  const text = texts[language].account
  const { id, address = text.unknown, createdAt, lastSeenAt, current } = session
  const device = deviceIn(text, session.device)
  const action = `/account/revoke?lang=${language}&id=${encodeURIComponent(id)}`
  const button = html`<form method="post" action="${action}">
  <button class="quiet" aria-label="${text.revoke}: ${device}">${text.revoke}</button></form>`
  return html`<li${new Html(current ? ' aria-current="true"' : '')}>
  <div>${device}${current ? ` (${text.here})` : ''}
    <small>${address} · ${text.since} ${timeHtml(createdAt, language)} · ${text.seen}
    ${timeHtml(lastSeenAt, language)}</small></div>
  ${current ? new Html('') : button}
</li>`
}
