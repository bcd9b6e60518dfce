// GitHub's signature: HMAC-SHA256 of the body alone.
// docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries
// The delivery's id is not signed, and there is no timestamp: that a delivery is not seen on its way is TLS' work.
import { createHmac, timingSafeEqual } from 'node:crypto'
import { headerOf, type Signed, type Verdict } from './verdict.ts'

const SIGNATURE = /^sha256=([0-9a-f]{64})$/
const ID = /^[\x21-\x7e]{1,255}$/

export function verifyGithub(signed: Signed): Verdict {
  const hex = SIGNATURE.exec(headerOf(signed, 'x-hub-signature-256'))?.[1]
  if (hex === undefined) return { refused: 'bad_signature' }
  const given = Buffer.from(hex, 'hex')
  const isGood = signed.secrets.some((secret) =>
    timingSafeEqual(given, createHmac('sha256', secret).update(signed.body).digest()),
  )
  if (!isGood) return { refused: 'bad_signature' }
  const id = headerOf(signed, 'x-github-delivery')
  return ID.test(id) ? { id } : { refused: 'no_id' }
}
