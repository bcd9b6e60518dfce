// The page at /account: where its user is logged in, and out of what they can log out. Forms only, no script.
import { Html, html } from '../../../lib/html.ts'
import type { User } from '../session.ts'
import { documentHtml } from './document-html.ts'
import { type PageLanguage, texts } from './texts.ts'

/** One login of the user. */
export interface Device {
  readonly id: string
  /** In words, such as `Chrome on Android`. */
  readonly device: string
  readonly address: string
  readonly loggedInAt: string
  readonly lastSeenAt: string
  /** Whether it is the one that asks. */
  readonly isCurrent: boolean
}

export interface AccountModel {
  language: PageLanguage
  user: User
  devices: readonly Device[]
}

export function accountHtml({ language, user, devices }: AccountModel): string {
  const text = texts[language].account
  const others = devices.some(({ isCurrent }) => !isCurrent)
  const main = html`<p><strong id="user">${user.name}</strong>${user.username ? ` @${user.username}` : ''}</p>
<h2 id="devices-title">${text.devices}</h2>
<ul class="devices" aria-labelledby="devices-title">
${devices.map((device) => deviceHtml(language, device))}
</ul>
<div class="actions">
  <form method="post" action="/account/logout?lang=${language}"><button>${text.logOut}</button></form>
  ${others ? html`<form method="post" action="/account/revoke-others?lang=${language}"><button class="quiet">${text.revokeOthers}</button></form>` : new Html('')}
</div>`
  return documentHtml({ language, title: text.title, path: '/account', main })
}

// What a form says is in its address: a body that is not JSON is refused everywhere (http/parse.ts).
function deviceHtml(language: PageLanguage, { id, ...device }: Device): Html {
  const text = texts[language].account
  const action = `/account/revoke?lang=${language}&id=${encodeURIComponent(id)}`
  const button = html`<form method="post" action="${action}"><button class="quiet" aria-label="${text.revoke}: ${device.device}">${text.revoke}</button></form>`
  return html`<li${new Html(device.isCurrent ? ' aria-current="true"' : '')}>
  <div>${device.device}${device.isCurrent ? ` (${text.here})` : ''}
    <small>${device.address} · ${text.since} ${time(device.loggedInAt)} · ${text.seen} ${time(device.lastSeenAt)}</small></div>
  ${device.isCurrent ? new Html('') : button}
</li>`
}

const time = (iso: string) => html`<time datetime="${iso}">${iso.slice(0, 16).replace('T', ' ')} UTC</time>`
