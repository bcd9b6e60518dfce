// Keeps the status current, and searches as you type. The page is whole without it.
import { localTime } from '../local-times.js'

const status = document.querySelector('#status')
const words = JSON.parse(status.dataset.words)
const text = (selector, value) => {
  document.querySelector(selector).textContent = value
}

function showTime(selector, iso) {
  const time = document.querySelector(selector)
  time.dateTime = iso
  time.textContent = localTime(iso)
}

function clock(seconds) {
  const parts = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60), seconds % 60]
  return parts.map((part) => String(part).padStart(2, '0')).join(':')
}

function showOutage(outage) {
  document.querySelector('#outage').hidden = !outage
  text('#outage-length', outage ? clock(outage.durationSeconds) : words.noOutage)
  if (!outage) return
  showTime('#outage-start', outage.startedAt)
  text('#outage-end', outage.endedAt ? `${words.fromMemory} ${outage.servedCalls}` : words.lasting)
}

async function refresh() {
  try {
    const response = await fetch('/status', {
      headers: { accept: 'application/json' },
      signal: AbortSignal.timeout(4000),
    })
    const now = await response.json()
    const reads = now.hits + now.misses
    status.dataset.status = now.status
    if (words[now.status] !== document.querySelector('#status-word').textContent)
      text('#status-word', words[now.status])
    showTime('#since', now.since)
    text('#hit-rate', reads === 0 ? '–' : `${Math.round((now.hits / reads) * 100)} %`)
    text('#reads', reads)
    text('#uptime', clock(now.uptimeSeconds))
    showOutage(now.lastOutage)
  } catch {
    status.dataset.status = 'unreachable'
    text('#status-word', words.unreachable)
  }
}

const form = document.querySelector('#search')
let asked = 0

// The server renders the rows; the newest answer wins, in whatever order they arrive.
async function search() {
  const number = ++asked
  const url = `${location.pathname}?${new URLSearchParams(new FormData(form))}`
  const response = await fetch(url, { headers: { accept: 'text/html' } })
  if (!response.ok) return form.submit()
  const page = new DOMParser().parseFromString(await response.text(), 'text/html')
  if (number !== asked) return
  for (const id of ['#rows', '#found', '#more', '#none'])
    document.querySelector(id).replaceWith(page.querySelector(id))
  history.replaceState(null, '', url)
}

let typing
form?.addEventListener('input', () => {
  clearTimeout(typing)
  typing = setTimeout(search, 150)
})
form?.addEventListener('submit', (event) => {
  event.preventDefault()
  search()
})

setInterval(() => document.hidden || refresh(), 5000)
