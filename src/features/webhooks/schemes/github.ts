// GitHub's signature: HMAC-SHA256 of the body alone.
// docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries
// The delivery's id is not signed, and there is no timestamp: that a delivery is not seen on its way is TLS' work.
import { createHmac } from 'node:crypto'
import {
  atLeast,
  badSignature,
  bytesOfHex,
  defineScheme,
  headerOf,
  isSignedBy,
} from '../../../lib/webhooks/webhook-scheme.ts'

const ID = /^[\x21-\x7e]{1,255}$/

export const github = defineScheme({
  name: 'github',
  signatureHeaders: ['x-hub-signature-256'],
  handlerHeaders: [
    'x-github-event',
    'x-github-delivery',
    'x-github-hook-id',
    'x-github-hook-installation-target-id',
    'x-github-hook-installation-target-type',
  ],
  checkSecret: atLeast(8),
  verify(signed) {
    const header = headerOf(signed, 'x-hub-signature-256')
    const given = header.startsWith('sha256=') ? bytesOfHex(header.slice(7)) : undefined
    if (!given) return badSignature('signature malformed')
    const isGood = isSignedBy(signed.secrets, [given], (secret) =>
      createHmac('sha256', secret).update(signed.body).digest(),
    )
    return isGood ? {} : badSignature('signature differs')
  },
  idOf(signed) {
    const id = headerOf(signed, 'x-github-delivery')
    return ID.test(id) ? id : undefined
  },
})
