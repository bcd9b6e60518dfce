// Telegram's bot updates: the secret itself comes with each of them, nothing is signed.
// core.telegram.org/bots/api#setwebhook
import { corrupt, isShape, parseJson } from '../../lib/codec.ts'
import { isSameSecret } from '../../lib/constant-time.ts'
import { headerOf, type Signed, type Verdict } from './verdict.ts'

export function verifyTelegram(signed: Signed): Verdict {
  const given = headerOf(signed, 'x-telegram-bot-api-secret-token')
  if (!signed.secrets.some((secret) => isSameSecret(given, secret))) return { refused: 'bad_signature' }
  const id = updateIdIn(signed.body)
  return id === undefined ? { refused: 'no_id' } : { id }
}

const isUpdate = isShape<{ update_id: number }>({
  update_id: (json): json is number => Number.isSafeInteger(json),
})

function updateIdIn(body: Buffer): string | undefined {
  const update = parseJson(body, isUpdate)
  return update === corrupt ? undefined : String(update.update_id)
}
