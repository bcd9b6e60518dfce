// Sends a login of Telegram's to ours, and puts the outcome into the page's notice.

const notice = document.querySelector('#notice')
const words = JSON.parse(notice.dataset.words)

export function say(word, more = '') {
  notice.textContent = `${words[word]} ${more}`.trim()
  notice.hidden = false
}

/** The user who is logged in then; undefined when nobody is, and the page says why. */
export async function postLogin(path, body) {
  try {
    const response = await fetch(path, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
    })
    if (response.ok) return (await response.json()).user
    if ((await response.json()).code === 'state_unknown') return say('again')
    say({ 501: 'notConfigured', 503: 'unavailable' }[response.status] ?? 'refused')
  } catch {
    say('unavailable')
  }
}
