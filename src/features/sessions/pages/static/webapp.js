// Inside Telegram the page's address carries initData after the '#', so that Telegram's own script is not needed.
import { postLogin, say } from './post-login.js'

// As Telegram's own script tells: its apps put something into the page, its web clients show it in a frame, which the
// server allows to nobody else. Anywhere else a link has brought the login, and it may be somebody else's.
const isInTelegram =
  window.TelegramWebviewProxy !== undefined ||
  (window.external && 'notify' in window.external) ||
  window.top !== window
const initData = isInTelegram && new URLSearchParams(location.hash.slice(1)).get('tgWebAppData')

if (initData) {
  document.querySelector('#other-language').hash = location.hash // the other language is the same page of the same user
  const user = await postLogin('/api/auth/telegram/webapp', { initData })
  if (user) {
    say('done', user.name)
    // No page but this one may stand in a frame; Telegram's apps open it without one, and there the link works.
    document.querySelector('#devices').hidden = window.top !== window
  }
} else {
  document.querySelector('#notice').hidden = true
  document.querySelector('#outside').hidden = false
}
