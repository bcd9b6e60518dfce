// The way back from the legacy widget: Telegram puts its answer after the '#', which only a script can read.
import { postLogin, say } from './post-login.js'

const answer = /^#tgAuthResult=([\w+/=-]+)$/.exec(decodeURIComponent(location.hash))?.[1]

/** Base64 (of either alphabet) of JSON in UTF-8; undefined when it is anything else. */
function decoded(base64) {
  try {
    const bytes = atob(base64.replaceAll('-', '+').replaceAll('_', '/'))
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(bytes, (byte) => byte.charCodeAt(0))))
  } catch {
    return undefined
  }
}

if (answer) {
  const query = new URLSearchParams(location.search)
  const attempt = query.get('attempt') ?? '' // none: a link that somebody made, which the server refuses
  query.delete('attempt')
  history.replaceState(null, '', `${location.pathname}?${query}`) // so that a reload does not send it again
  const login = decoded(answer)
  if (login && typeof login === 'object') {
    say('working')
    if (await postLogin(`/api/auth/telegram?attempt=${encodeURIComponent(attempt)}`, login))
      location.replace('/account')
  } else {
    say('refused') // cancelled at Telegram
  }
}
