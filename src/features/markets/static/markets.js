// Keeps the prices current, and searches as you type. The page is whole without it.
import { showLocalTimes } from '../local-times.js'

const REFRESH_MS = 60_000
const parts = ['#prices', '#saved']
const form = document.querySelector('#search')
let asked = 0

// The server renders; the newest answer wins, in whatever order they arrive. 503 is a page, too: there are no prices.
async function show(url) {
  const number = ++asked
  const response = await fetch(url, { signal: AbortSignal.timeout(20_000) })
  if (!response.ok && response.status !== 503) return
  const page = new DOMParser().parseFromString(await response.text(), 'text/html')
  if (number !== asked) return
  for (const part of parts) document.querySelector(part).replaceWith(page.querySelector(part))
  showLocalTimes(document.querySelector('#prices'))
}

// A server that cannot be reached leaves the prices as they are, with their times.
const tryToShow = (url) => show(url).catch(() => {})

function search() {
  const url = `/markets?${new URLSearchParams(new FormData(form))}`
  history.replaceState(null, '', url)
  tryToShow(url)
}

let typing
form.addEventListener('input', () => {
  clearTimeout(typing)
  typing = setTimeout(search, 150)
})
form.addEventListener('submit', (event) => {
  event.preventDefault()
  clearTimeout(typing)
  search()
})

setInterval(() => document.hidden || tryToShow(location.href), REFRESH_MS)
