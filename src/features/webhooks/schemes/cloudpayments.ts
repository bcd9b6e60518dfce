// CloudPayments: HMAC-SHA256 of the body in base64, with the API secret.
// developers.cloudpayments.ru/#proverka-uvedomleniy
// Of its two headers Content-HMAC is of the body as it is sent; X-Content-HMAC of its decoded form, which is not read.
import { createHash } from 'node:crypto'
import { corrupt, isShape, parseJson } from '../../../lib/codec.ts'
import { atLeast, defineScheme, verifyBodyHmac } from '../../../lib/webhooks/webhook-scheme.ts'

export const cloudpayments = defineScheme({
  name: 'cloudpayments',
  signatureHeaders: ['content-hmac'],
  checkSecret: atLeast(16),
  verify: (signed) => verifyBodyHmac(signed, 'content-hmac'),
  // Check, Pay and Confirm of one payment have its TransactionId, and nothing in them says which they are.
  idOf({ body }) {
    const id = fieldsIn(body, ['TransactionId', 'Id']).find((one) => /^[\w-]{1,64}$/.test(one))
    return id && `${id}.${createHash('sha256').update(body).digest('hex').slice(0, 32)}`
  },
  answer: { status: 200, contentType: 'application/json; charset=utf-8', body: '{"code":0}' },
})

const isObject = isShape<Record<string, unknown>>({})

/** JSON or a form, as the cabinet is set. */
function fieldsIn(body: Buffer, names: readonly string[]): string[] {
  const json = parseJson(body, isObject)
  const form = new URLSearchParams(body.toString())
  return names.map((name) => String((json === corrupt ? form.get(name) : json[name]) ?? ''))
}
