// Shopify: HMAC-SHA256 of the body alone, in base64. shopify.dev/docs/apps/build/webhooks/subscribe/https
// The id and the topic are headers, which are not signed: that a delivery is not seen on its way is TLS' work.
import { atLeast, defineScheme, headerOf, verifyBodyHmac } from '../../../lib/webhooks/webhook-scheme.ts'

const ID = /^[\x21-\x7e]{1,255}$/

export const shopify = defineScheme({
  name: 'shopify',
  signatureHeaders: ['x-shopify-hmac-sha256'],
  handlerHeaders: [
    'x-shopify-topic',
    'x-shopify-shop-domain',
    'x-shopify-webhook-id',
    'x-shopify-event-id',
    'x-shopify-api-version',
    'x-shopify-triggered-at',
  ],
  checkSecret: atLeast(16),
  verify: (signed) => verifyBodyHmac(signed, 'x-shopify-hmac-sha256'),
  idOf(signed) {
    const id = headerOf(signed, 'x-shopify-webhook-id')
    return ID.test(id) ? id : undefined
  },
  answer: { status: 200 },
})
