// Keeps the status current, and searches as you type. The page is whole without it.

const status = document.querySelector('#status')
const words = JSON.parse(status.dataset.words)
const text = (selector, value) => {
  document.querySelector(selector).textContent = value
}

function showTime(iso) {
  const time = document.querySelector('#since')
  time.dateTime = iso
  time.textContent = new Date(iso).toLocaleString(document.documentElement.lang)
}

function clock(seconds) {
  const parts = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60), seconds % 60]
  return parts.map((part) => String(part).padStart(2, '0')).join(':')
}

async function refresh() {
  try {
    const response = await fetch('/status', { signal: AbortSignal.timeout(4000) })
    const now = await response.json()
    const reads = now.hits + now.misses
    status.dataset.status = now.status
    if (words[now.status] !== document.querySelector('#status-word').textContent)
      text('#status-word', words[now.status])
    showTime(now.since)
    text('#hit-rate', reads === 0 ? '–' : `${Math.round((now.hits / reads) * 100)} %`)
    text('#reads', reads)
    text('#uptime', clock(now.uptimeSeconds))
  } catch {
    status.dataset.status = 'unreachable'
    text('#status-word', words.unreachable)
  }
}

const form = document.querySelector('#search')
let asked = 0

// The server renders the rows; the newest answer wins, whatever order they come in.
async function search() {
  const number = ++asked
  const url = `/?${new URLSearchParams(new FormData(form))}`
  const response = await fetch(url)
  if (!response.ok) return form.submit()
  const page = new DOMParser().parseFromString(await response.text(), 'text/html')
  if (number !== asked) return
  for (const id of ['#rows', '#found', '#none'])
    document.querySelector(id).replaceWith(page.querySelector(id))
  history.replaceState(null, '', url)
}

let typing
form.addEventListener('input', () => {
  clearTimeout(typing)
  typing = setTimeout(search, 150)
})
form.addEventListener('submit', (event) => {
  event.preventDefault()
  search()
})

showTime(document.querySelector('#since').dateTime)
setInterval(() => document.hidden || refresh(), 5000)
