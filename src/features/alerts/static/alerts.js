// The user's alerts on the page of prices: set, paused, deleted, and told as they arrive over a WebSocket.
import { localTime } from '../local-times.js'

const ids = ['alert-form', 'alert-list', 'alert-arrivals', 'alert-problem', 'alert-bot']
const [form, list, arrivals, problem, bot] = ids.map((id) => document.getElementById(id))
const words = JSON.parse(form.dataset.words)
const LONGEST_PAUSE_MS = 30_000
const seen = new Set()

/** Of coins by their ids, as the page shows them and as the server was asked. */
const names = new Map()
/** Ids by tickers; the largest coin has it. */
const tickers = new Map()

const nameOf = (id) => names.get(id) ?? id

/** The id of what its user has written: a name, a ticker or an id. */
function idOf(written) {
  if (names.has(written.trim())) return written.trim()
  const wanted = written.trim().toLowerCase()
  const named = [...names].find(([, name]) => name.toLowerCase() === wanted)?.[0]
  return named ?? tickers.get(wanted) ?? wanted.replaceAll(/\s+/g, '-')
}

function readCoins() {
  for (const row of document.querySelectorAll('#coins [data-id]')) {
    const { id, name, symbol } = row.dataset
    names.set(id, name)
    if (!tickers.has(symbol)) tickers.set(symbol, id)
  }
  const options = [...names.values()].map((name) => new Option('', name))
  document.querySelector('#alert-coins').replaceChildren(...options)
}

/** Of coins that the page does not show. Without an answer their ids stand there. */
async function learnNames(ids) {
  const unknown = [...new Set(ids)].filter((id) => !names.has(id))
  if (unknown.length === 0) return
  const { coins } = await ask('GET', `/api/coins?ids=${unknown.map(encodeURIComponent).join(',')}`)
  for (const { id, name } of coins) names.set(id, name)
}

async function ask(method, path, body) {
  const response = await fetch(path, {
    method,
    ...(body && { body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } }),
    signal: AbortSignal.timeout(20_000),
  })
  const answer = response.status === 204 ? undefined : await response.json()
  if (!response.ok) throw Object.assign(new Error(answer.detail), { code: answer.code })
  return answer
}

/** Does what a button stands for, and shows what has become of the alerts. */
async function attempt(work) {
  try {
    problem.hidden = true
    await work()
    await showAlerts()
  } catch (error) {
    problem.textContent = words.problems[error.code] ?? words.failed
    problem.hidden = false
  }
}

// Below one, what matters is the first digits, however far behind the point they are.
const figure = (value) =>
  value.toLocaleString(document.documentElement.lang, value < 1 ? { maximumSignificantDigits: 6 } : {})

function button(text, work) {
  const made = document.createElement('button')
  made.type = 'button'
  made.className = 'quiet'
  made.textContent = text
  made.addEventListener('click', () => attempt(work))
  return made
}

const toggle = (id, isOpen) =>
  button(isOpen ? words.pause : words.resume, () => ask('PATCH', `/api/alerts/${id}`, { paused: isOpen }))

async function showAlerts() {
  const { alerts } = await ask('GET', '/api/alerts')
  await learnNames(alerts.map(({ coin }) => coin)).catch(() => {})
  list.replaceChildren(
    ...alerts.map(({ id, coin, vs, when, value, status }) => {
      const item = document.createElement('li')
      item.dataset.status = status
      const unit = when === 'changes' ? '' : ` ${vs.toUpperCase()}`
      const said = document.createElement('span')
      said.textContent = `${nameOf(coin)} ${words.whens[when]} ${figure(value)}${unit} · ${words.statuses[status]} `
      item.append(
        said,
        ...(status === 'expired' ? [] : [toggle(id, status === 'open' || status === 'no_price')]),
        button(words.remove, () => ask('DELETE', `/api/alerts/${id}`)),
      )
      return item
    }),
  )
}

function arrive({ id, coin, crossedAt }, text) {
  if (seen.has(id)) return
  seen.add(id)
  const item = document.createElement('li')
  item.dataset.id = id
  const time = document.createElement('time')
  time.dateTime = new Date(crossedAt).toISOString()
  time.textContent = localTime(time.dateTime)
  // The message begins with the id, which the bot and webhooks send as well.
  const named = text.startsWith(coin) ? nameOf(coin) + text.slice(coin.length) : text
  item.append(time, ` · ${named}`)
  arrivals.prepend(item)
}

/** What arrived while nobody listened, the oldest first. */
async function catchUp() {
  const { crossings } = await ask('GET', '/api/alerts/crossings')
  await learnNames(crossings.map(({ coin }) => coin)).catch(() => {})
  for (const crossing of crossings.reverse()) arrive(crossing, crossing.text)
}

let pauseMs = 1_000
function listen() {
  const socket = new WebSocket('/ws/alerts')
  socket.addEventListener('message', ({ data }) => {
    const told = JSON.parse(data)
    if (told.type === 'crossing') arrive(told.crossing, told.text)
    else catchUp().catch(() => {})
    if (told.type === 'listening') pauseMs = 1_000
    showAlerts().catch(() => {})
  })
  socket.addEventListener('close', () => {
    setTimeout(listen, pauseMs)
    pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 2)
  })
}

/** Whether the bot may write to this user. Its answer resumes what waited for that. */
async function checkBot() {
  const { startUrl, mayWrite } = await ask('POST', '/api/alerts/bot')
  const wasHidden = bot.hidden
  bot.hidden = mayWrite === null ? wasHidden : mayWrite || startUrl === null
  if (startUrl !== null) bot.querySelector('a').href = startUrl
  if (bot.hidden && !wasHidden) await showAlerts()
}

// Its user comes back from Telegram.
addEventListener('focus', () => {
  if (!bot.hidden) checkBot().catch(() => {})
})

form.addEventListener('submit', (event) => {
  event.preventDefault()
  const { coin, value, cooldownMinutes, ...rest } = Object.fromEntries(new FormData(form))
  const wish = { ...rest, coin: idOf(coin), value: Number(value), cooldownMinutes: Number(cooldownMinutes) }
  attempt(() => ask('POST', '/api/alerts', wish))
})

readCoins()
showAlerts().catch(() => {})
checkBot().catch(() => {})
listen()
