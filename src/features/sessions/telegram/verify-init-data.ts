// A Mini App's initData: https://core.telegram.org/bots/webapps#validating-data-received-via-the-mini-app
import { createHmac } from 'node:crypto'
import { z } from 'zod'
import { parseJson } from '../../../lib/codec.ts'
import { type SignedLogin, verifyFields } from './signed-fields.ts'
import { telegramUser } from './telegram-user.ts'

const signedUser = z.object({
  id: z.int(),
  first_name: z.string(),
  last_name: z.string().optional(),
  username: z.string().optional(),
  language_code: z.string().optional(),
  photo_url: z.string().optional(),
})

/**
 * The login that initData proves, or undefined when Telegram did not sign it for this bot. Only `hash` stays out of
 * the check: `signature`, which other parties verify with Telegram's own key, is a field like any other.
 */
export function verifyInitData(initData: string, botToken: string): SignedLogin | undefined {
  const secret = createHmac('sha256', 'WebAppData').update(botToken).digest()
  const signed = verifyFields([...new URLSearchParams(initData)], secret)
  if (!signed) return undefined
  const { fields, signedAtS, digest } = signed
  const { success, data } = signedUser.safeParse(parseJson(fields.get('user') ?? ''))
  if (!success) return undefined
  const user = telegramUser({
    id: String(data.id),
    names: [data.first_name, data.last_name],
    username: data.username,
    photoUrl: data.photo_url,
    language: data.language_code,
  })
  return user && { user, signedAtS, digest }
}
