// Telegram's bot updates: the secret itself comes with each of them, nothing is signed.
// core.telegram.org/bots/api#setwebhook
import { isSameSecret } from '../../lib/constant-time.ts'
import { headerOf, type Signed, type Verdict } from './verdict.ts'

export function verifyTelegram(signed: Signed): Verdict {
  const given = headerOf(signed, 'x-telegram-bot-api-secret-token')
  if (!signed.secrets.some((secret) => isSameSecret(given, secret))) return { refused: 'bad_signature' }
  const id = updateIdIn(signed.body)
  return id === undefined ? { refused: 'no_id' } : { id }
}

function updateIdIn(body: Buffer): string | undefined {
  try {
    const { update_id: id } = JSON.parse(body.toString()) as { update_id?: unknown }
    return Number.isSafeInteger(id) ? String(id) : undefined
  } catch {
    return undefined // no JSON, or null
  }
}
