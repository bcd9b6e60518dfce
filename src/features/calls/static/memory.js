// A banner while the server runs from memory.

const EVERY_MS = 5000
const banner = document.querySelector('#memory')

async function look() {
  try {
    const response = await fetch('/status', { signal: AbortSignal.timeout(4000) })
    const { status } = await response.json()
    banner.hidden = status === 'redis'
  } catch {
    // That the server does not answer, the call itself says.
  }
}

// There is none where Redis is switched off: then it is no news.
if (banner) {
  look()
  setInterval(() => document.hidden || look(), EVERY_MS)
}
