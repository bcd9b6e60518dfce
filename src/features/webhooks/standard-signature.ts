// Standard Webhooks, symmetric (v1). github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md
import { createHmac, timingSafeEqual } from 'node:crypto'
import { standardKey } from '../../lib/webhook-sources.ts'
import { headerOf, type Signed, type Verdict } from './verdict.ts'

// No full stop: it divides what is signed, so that with one the end of an id could be taken for a timestamp.
const ID = /^[\x21-\x2d\x2f-\x7e]{1,255}$/
const TIMESTAMP = /^\d{1,12}$/
const SIGNATURE = /^v1,([A-Za-z0-9+/]{43}=)$/
const MOST_SIGNATURES = 10

export function verifyStandard(signed: Signed): Verdict {
  const id = headerOf(signed, 'webhook-id')
  const timestamp = headerOf(signed, 'webhook-timestamp')
  if (!ID.test(id) || !TIMESTAMP.test(timestamp)) return { refused: 'bad_signature' }
  const given = signaturesIn(headerOf(signed, 'webhook-signature'))
  const expected = signed.secrets.map((secret) =>
    createHmac('sha256', standardKey(secret)).update(`${id}.${timestamp}.`).update(signed.body).digest(),
  )
  const isGood = given.some((one) => expected.some((other) => timingSafeEqual(one, other)))
  if (!isGood) return { refused: 'bad_signature' }
  // Only now, so that a sender without a secret does not learn what our clock says.
  const sentAtMs = Number(timestamp) * 1_000
  return Math.abs(signed.nowMs - sentAtMs) <= signed.toleranceMs
    ? { id, sentAtMs }
    : { refused: 'outside_tolerance' }
}

/** The signatures of our version, 32 bytes each; versions that we do not know are left out. */
function signaturesIn(list: string): Buffer[] {
  return list
    .split(' ')
    .flatMap((one) => SIGNATURE.exec(one)?.[1] ?? [])
    .slice(0, MOST_SIGNATURES)
    .map((base64) => Buffer.from(base64, 'base64'))
}
