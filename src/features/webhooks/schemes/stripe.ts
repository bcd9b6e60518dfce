// Stripe: HMAC-SHA256 of the time and the body. docs.stripe.com/webhooks#verify-manually
import { createHmac } from 'node:crypto'
import { corrupt, isShape, isText, parseJson } from '../../../lib/codec.ts'
import {
  badSignature,
  bytesOfHex,
  defineScheme,
  headerOf,
  isSignedBy,
  provenAt,
} from '../../../lib/webhooks/webhook-scheme.ts'

const MOST_PARTS = 12
const ID = /^[\w-]{1,255}$/

export const stripe = defineScheme({
  name: 'stripe',
  signatureHeaders: ['stripe-signature'],
  // The key is the text as it is shown, its beginning too: not the base64 behind it, as in Standard Webhooks.
  checkSecret: (secret) =>
    /^whsec_\S{16,}$/.test(secret) ? undefined : 'needs the signing secret of the endpoint, whsec_…',
  verify(signed) {
    const parts = headerOf(signed, 'stripe-signature').split(',', MOST_PARTS)
    const valuesOf = (name: string) =>
      parts.flatMap((part) => (part.trim().startsWith(`${name}=`) ? part.trim().slice(name.length + 1) : []))
    const [timestamp = '', ...others] = valuesOf('t')
    if (!/^\d{1,12}$/.test(timestamp) || others.length > 0) return badSignature('timestamp malformed')
    const given = valuesOf('v1').flatMap((hex) => bytesOfHex(hex) ?? [])
    if (given.length === 0) return badSignature('signature malformed')
    const isGood = isSignedBy(signed.secrets, given, (secret) =>
      createHmac('sha256', secret).update(`${timestamp}.`).update(signed.body).digest(),
    )
    return isGood ? provenAt(Number(timestamp) * 1_000, signed) : badSignature('signature differs')
  },
  idOf({ body }) {
    const event = parseJson(body, isEvent)
    return event !== corrupt && ID.test(event.id) ? event.id : undefined
  },
  // `pending_webhooks` of an event differs from attempt to attempt.
  sameBy: 'id',
})

const isEvent = isShape<{ id: string }>({ id: isText })
