// Crypto Pay (@CryptoBot): HMAC-SHA256 of the body, with the SHA-256 of the app's token as the key.
// help.send.tg, "Verifying webhook updates"
import { createHash, createHmac } from 'node:crypto'
import { corrupt, isShape, isText, parseJson } from '../../../lib/codec.ts'
import {
  badSignature,
  bytesOfHex,
  defineScheme,
  headerOf,
  isSignedBy,
} from '../../../lib/webhooks/webhook-scheme.ts'

export const cryptoPay = defineScheme({
  name: 'crypto-pay',
  signatureHeaders: ['crypto-pay-api-signature'],
  checkSecret: (secret) =>
    /^\d+:[\w-]{20,}$/.test(secret) ? undefined : 'needs the token of the app, as in 12345:AA…',
  verify(signed) {
    const given = bytesOfHex(headerOf(signed, 'crypto-pay-api-signature'))
    if (!given) return badSignature('signature malformed')
    const isGood = isSignedBy(signed.secrets, [given], (token) =>
      createHmac('sha256', createHash('sha256').update(token).digest()).update(signed.body).digest(),
    )
    return isGood ? {} : badSignature('signature differs')
  },
  // Not `update_id`, which the documentation calls non-unique.
  idOf({ body }) {
    const update = parseJson(body, isUpdate)
    if (update === corrupt || !/^\w{1,64}$/.test(update.update_type)) return undefined
    return `${update.update_type}.${update.payload.invoice_id}`
  },
  // `request_date` is that of the attempt.
  sameBy: 'id',
  answer: { status: 200 },
})

const isUpdate = isShape<{ update_type: string; payload: { invoice_id: number } }>({
  update_type: isText,
  payload: isShape<{ invoice_id: number }>({
    invoice_id: (json): json is number => Number.isSafeInteger(json),
  }),
})
