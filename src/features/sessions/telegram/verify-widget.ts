// The legacy login widget: https://core.telegram.org/widgets/login-legacy#checking-authorization
import { createHash } from 'node:crypto'
import { type Fields, type SignedLogin, verifyFields } from './signed-fields.ts'
import { telegramUser } from './telegram-user.ts'

/** The login that these fields prove, or undefined when Telegram did not sign them for this bot. */
export function verifyWidget(given: Fields, botToken: string): SignedLogin | undefined {
  const signed = verifyFields(given, createHash('sha256').update(botToken).digest())
  if (!signed) return undefined
  const { fields, signedAtS, digest } = signed
  const user = telegramUser({
    id: fields.get('id'),
    names: [fields.get('first_name'), fields.get('last_name')],
    username: fields.get('username'),
    photoUrl: fields.get('photo_url'),
  })
  return user && { user, signedAtS, digest }
}
