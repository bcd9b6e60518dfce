// Prints a link that logs somebody in at `npm run dev`, signed as Telegram signs the widget's: no bot is asked.
//   TELEGRAM_BOT_TOKEN=1:dev node scripts/login-link.ts 42      the user telegram:42; the link works once, for a while
import { signWidget, widgetFields } from '../test/helpers/telegram-signer.ts'

const { TELEGRAM_BOT_TOKEN: token, PORT: port = '8080' } = process.env
const [id = '42'] = process.argv.slice(2)
if (!token) {
  console.error('Set TELEGRAM_BOT_TOKEN, to the same value as for npm run dev; 1:dev will do.')
  process.exit(78)
}
const fields = widgetFields({ id, first_name: `User ${id}` })
console.log(
  `http://localhost:${port}/api/auth/telegram?${new URLSearchParams(await signWidget(fields, token))}`,
)
