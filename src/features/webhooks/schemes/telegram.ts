// Telegram's bot updates: the secret itself comes with each of them, nothing is signed.
// core.telegram.org/bots/api#setwebhook
import { createHmac } from 'node:crypto'
import { corrupt, isShape, parseJson } from '../../../lib/codec.ts'
import { isSameSecret } from '../../../lib/constant-time.ts'
import { badSignature, defineScheme, headerOf } from '../../../lib/webhooks/webhook-scheme.ts'

const TOKEN = /^\d{1,20}:[\w-]{1,200}$/
const HEADER = 'x-telegram-bot-api-secret-token'

export const telegram = defineScheme({
  name: 'telegram',
  signatureHeaders: [HEADER],
  secretVariable: 'TELEGRAM_BOT_TOKEN',
  checkSecret: (secret) =>
    TOKEN.test(secret) || /^[\w-]{8,256}$/.test(secret)
      ? undefined
      : 'needs the token of the bot, or secrets of 8 to 256 letters, digits, _ and -',
  verify(signed) {
    const given = headerOf(signed, HEADER)
    let isGood = false
    for (const secret of signed.secrets) {
      // Both for each, so that the time does not tell which kind it is. A token itself is not sent.
      const isDerived = isSameSecret(given, secretTokenOf(secret))
      const isItself = isSameSecret(given, secret)
      if (TOKEN.test(secret) ? isDerived : isItself) isGood = true
    }
    return isGood ? {} : badSignature('secret token differs')
  },
  idOf({ body }) {
    const update = parseJson(body, isUpdate)
    return update === corrupt ? undefined : String(update.update_id)
  },
})

/**
 * The `secret_token` for setWebhook that follows from a bot's token, so that a bot needs no other secret. It does not
 * tell the token: HMAC-SHA256 with the token as the key.
 */
export const secretTokenOf = (botToken: string): string =>
  createHmac('sha256', botToken).update('samovar webhook').digest('hex')

const isUpdate = isShape<{ update_id: number }>({
  update_id: (json): json is number => Number.isSafeInteger(json),
})
