// The user's alerts on the page of prices: set, paused, deleted, and told as they arrive over a WebSocket.

const ids = ['alert-form', 'alert-list', 'alert-arrivals', 'alert-problem', 'alert-bot']
const [form, list, arrivals, problem, bot] = ids.map((id) => document.getElementById(id))
const words = JSON.parse(form.dataset.words)
const LONGEST_PAUSE_MS = 30_000
const seen = new Set()

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
  list.replaceChildren(
    ...alerts.map(({ id, coin, vs, when, value, status }) => {
      const item = document.createElement('li')
      item.dataset.status = status
      const unit = when === 'changes' ? '' : ` ${vs.toUpperCase()}`
      item.append(
        `${coin} ${words.whens[when]} ${figure(value)}${unit} · ${words.statuses[status]} `,
        ...(status === 'expired' ? [] : [toggle(id, status === 'open' || status === 'no_price')]),
        button(words.remove, () => ask('DELETE', `/api/alerts/${id}`)),
      )
      return item
    }),
  )
}

function arrive({ id, crossedAt }, text) {
  if (seen.has(id)) return
  seen.add(id)
  const item = document.createElement('li')
  item.dataset.id = id
  item.textContent = `${new Date(crossedAt).toLocaleTimeString(document.documentElement.lang)} · ${text}`
  arrivals.prepend(item)
}

/** What arrived while nobody listened, the oldest first. */
async function catchUp() {
  const { crossings } = await ask('GET', '/api/alerts/crossings')
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
  const { value, cooldownMinutes, ...rest } = Object.fromEntries(new FormData(form))
  const wish = { ...rest, value: Number(value), cooldownMinutes: Number(cooldownMinutes) }
  attempt(() => ask('POST', '/api/alerts', wish))
})

function suggestCoins() {
  const options = [...document.querySelectorAll('#coins [data-id]')].map(
    ({ dataset }) => new Option('', dataset.id),
  )
  document.querySelector('#alert-coins').replaceChildren(...options)
}

suggestCoins()
showAlerts().catch(() => {})
checkBot().catch(() => {})
listen()
