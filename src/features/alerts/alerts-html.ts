// The part about alerts for the page of prices. alerts.js fills in the alerts themselves.
import { type Html, html } from '../../lib/html.ts'
import { type Language, MOST_COOLDOWN_MINUTES } from './alert.ts'
import { texts } from './texts.ts'

export interface AlertsModel {
  language: Language
  vs: string
  isLoggedIn: boolean
}

export function alertsHtml({ language, vs, isLoggedIn }: AlertsModel): Html {
  const text = texts[language]
  return html`<section aria-labelledby="alerts-title" id="alerts">
  <h2 id="alerts-title">${text.title}</h2>
  <p>${text.intro}</p>
  ${isLoggedIn ? ownAlerts(language, vs) : loginLink(language)}
</section>`
}

const loginLink = (language: Language) =>
  html`<p><a href="/login?lang=${language}&amp;return=%2Fmarkets">${texts[language].logIn}</a></p>`

function ownAlerts(language: Language, vs: string): Html {
  const text = texts[language]
  const { pause, resume, remove, statuses, failed, problems, whens } = text
  const words = JSON.stringify({ pause, resume, remove, statuses, failed, problems, whens })
  const options = (given: Readonly<Record<string, string>>) =>
    Object.entries(given).map(([value, word]) => html`<option value="${value}">${word}</option>`)
  return html`<link rel="stylesheet" href="/static/alerts/alerts.css">
  <script type="module" src="/static/alerts/alerts.js"></script>
  <noscript><p>${text.script}</p></noscript>
  <form id="alert-form" data-words="${words}">
    <label>${text.coin}
      <input name="coin" list="alert-coins" required maxlength="100" value="Bitcoin" autocomplete="off"></label>
    <datalist id="alert-coins"></datalist>
    <input type="hidden" name="vs" value="${vs}">
    <label>${text.when} <select name="when">${options(whens)}</select></label>
    <label>${text.value} <input name="value" type="number" required min="0" step="any"></label>
    <label>${text.repeat} <select name="repeat">${options(text.repeats)}</select></label>
    <label>${text.cooldown}
      <input name="cooldownMinutes" type="number" required min="0" max="${MOST_COOLDOWN_MINUTES}" value="15"></label>
    <button>${text.add}</button>
  </form>
  <p id="alert-problem" role="alert" hidden></p>
  <p id="alert-bot" role="status" hidden>${text.bot}
    <a target="_blank" rel="noopener noreferrer">${text.startBot}</a></p>
  <h3 id="alerts-own-title">${text.own}</h3>
  <ul id="alert-list" aria-labelledby="alerts-own-title"></ul>
  <h3 id="alerts-arrivals-title">${text.arrivals}</h3>
  <div role="log" aria-labelledby="alerts-arrivals-title"><ul id="alert-arrivals"></ul></div>`
}
