// One person is one user, whichever of the three ways Telegram named them by.
import type { User } from '../../../feature.ts'
import { cleanText, isPlainText } from '../../../lib/plain-text.ts'

/** What Telegram says about a user, as it stands in a login; undefined where it says nothing. */
export interface TelegramPerson {
  readonly id: string | undefined
  readonly names: readonly (string | undefined)[]
  readonly username?: string | undefined
  readonly photoUrl?: string | undefined
  readonly language?: string | undefined
}

/** Undefined without a Telegram id, which is a positive number. */
export function telegramUser({ id, names, username, photoUrl, language }: TelegramPerson): User | undefined {
  if (id === undefined || !/^[1-9]\d{0,15}$/.test(id)) return undefined
  const name = names
    .map((part) => cleanText(part ?? ''))
    .filter(Boolean)
    .join(' ')
  const handle = cleanText(username ?? '')
  return {
    id: `telegram:${id}`,
    name: name || handle || id,
    ...(handle && { username: handle }),
    ...(photoUrl?.startsWith('https://') && { photoUrl }),
    ...(language && isPlainText(language) && { language }),
  }
}
