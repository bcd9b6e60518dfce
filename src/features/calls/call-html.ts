// The pages of calls: where a link is made, the call itself, and what a link that opens nothing leads to.
// What only a script can answer is disabled until it is there: a form that is sent before that leaves the page.
import { otherLanguageOf, type Page, type PageLanguage } from '../../http/page.ts'
import { type Html, html } from '../../lib/html.ts'
import { texts } from './texts.ts'

export interface StartModel {
  language: PageLanguage
  /** Whether this visitor must log in before making a link. */
  needsLogin: boolean
  /** Instead of a call that cannot be opened. */
  isRefusal: boolean
}

export function startHtml({ language, needsLogin, isRefusal }: StartModel): Page {
  const { start, refused } = texts[language]
  const words = JSON.stringify({ copied: start.copied, failed: start.failed })
  const make = needsLogin
    ? html`<p><a class="button" href="/login?lang=${language}&amp;return=/call">${start.logIn}</a></p>`
    : html`<div class="actions" id="make" data-words="${words}">
  <button type="button" data-kind="pair" disabled>${start.pair}</button>
  <button type="button" data-kind="group" disabled>${start.group}</button>
</div>
<section id="made" hidden aria-labelledby="made-title">
  <h2 id="made-title">${start.link}</h2>
  <p><input id="link" readonly aria-labelledby="made-title"></p>
  <p><small>${start.valid}</small></p>
  <div class="actions"><a class="button" id="open">${start.open}</a>
    <button type="button" class="quiet" id="copy">${start.copy}</button></div>
</section>
<p id="said" role="status"></p>`
  return callPageHtml({
    language,
    title: isRefusal ? refused.title : start.title,
    otherPath: '/call',
    script: 'start.js',
    main: html`<p>${isRefusal ? refused.why : start.intro}</p>${make}`,
  })
}

export interface RoomModel {
  language: PageLanguage
  room: string
  /** Of the link that the page was opened by. */
  key: string | undefined
  /** Of the login; undefined for a guest, who is asked. */
  userName: string | undefined
  /** Where nobody can log in, everybody is a guest, and none is marked as one. */
  hasLogin: boolean
  /** Whether there is a Redis that may be away, which is said then. */
  hasRedis: boolean
}

export function roomHtml({ language, room, key, userName, hasLogin, hasRedis }: RoomModel): Page {
  const text = { ...texts[language].room, ...(!hasLogin && { isGuest: '' }) }
  const named = userName
    ? html`<input type="hidden" id="name" value="${userName}">`
    : html`<label for="name">${text.name}</label><input id="name" maxlength="40" autocomplete="nickname" disabled>`
  // A logged-in user's socket opens by the login, and does not outlive it.
  const socketKey = userName === undefined ? key : undefined
  const words = JSON.stringify(text)
  const main = html`<div id="call" data-room="${room}" data-key="${socketKey ?? ''}" data-words="${words}">
${hasRedis ? html`<p id="memory" class="notice" role="status" hidden>${text.memory}</p>` : ''}
<p id="state" role="status">${text.states.idle}</p>
<p id="notice" class="notice" role="alert" hidden></p>
<form id="before">
  <p>${text.before}</p>
  <div class="actions">${named}<button disabled>${text.join}</button></div>
</form>
<div id="in-call" tabindex="-1" hidden>
  <section aria-label="${text.people}"><ul id="people"></ul></section>
  <div class="actions" role="toolbar" aria-label="${text.title}">
    <button type="button" id="microphone" aria-pressed="true">${text.muteMicrophone}</button>
    <button type="button" id="camera" aria-pressed="true">${text.camera}</button>
    <button type="button" id="leave" class="leave">${text.leave}</button>
  </div>
  <section aria-labelledby="chat-title">
    <h2 id="chat-title">${text.chat}</h2>
    <div id="said" role="log" aria-labelledby="chat-title" tabindex="0"></div>
    <form id="say">
      <input id="text" maxlength="1000" autocomplete="off" aria-label="${text.message}" disabled>
      <button disabled>${text.send}</button></form>
  </section>
</div>
</div>`
  const otherPath = `/call/${room}${key === undefined ? '' : `?key=${encodeURIComponent(key)}`}`
  return callPageHtml({ language, title: text.title, otherPath, script: 'call.js', main })
}

interface CallPage {
  language: PageLanguage
  title: string
  otherPath: string
  script: string
  main: Html
}

function callPageHtml({ language, title, otherPath, script, main }: CallPage): Page {
  const otherUrl = `${otherPath}${otherPath.includes('?') ? '&' : '?'}lang=${otherLanguageOf(language)}`
  return {
    language,
    title,
    otherUrl,
    styles: ['calls/calls.css'],
    scripts: [`calls/${script}`],
    main: html`<noscript><p class="notice">${texts[language].script}</p></noscript>
${main}`,
  }
}
