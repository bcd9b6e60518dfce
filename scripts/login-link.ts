// Logs somebody in at `npm run dev`, signed as Telegram signs the widget's logins: no bot is asked. A link would not do:
// a login that did not begin in the browser is refused, or anybody could log others in as himself.
//   TELEGRAM_BOT_TOKEN=1:dev node scripts/login-link.ts 42          a line for the console of a browser, on a page of the app
//   TELEGRAM_BOT_TOKEN=1:dev node scripts/login-link.ts 42 --json   the body of POST /api/auth/telegram, for curl
// The user is telegram:42; each works once, for a while.
import { signWidget, widgetFields } from '../test/helpers/telegram-signer.ts'

const { TELEGRAM_BOT_TOKEN: token } = process.env
const [id = '42', form] = process.argv.slice(2)
if (!token) {
  console.error('Set TELEGRAM_BOT_TOKEN, to the same value as for npm run dev; 1:dev will do.')
  process.exit(78)
}
const fields = widgetFields({ id, first_name: `User ${id}` })
const body = JSON.stringify(await signWidget(fields, token))
const init = `{ method: 'POST', headers: { 'Content-Type': 'application/json' }, body: ${JSON.stringify(body)} }`
console.log(
  form === '--json' ? body : `fetch('/api/auth/telegram', ${init}).then(() => location.assign('/account'))`,
)
