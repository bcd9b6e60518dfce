// Standard Webhooks, symmetric (v1): Svix, Clerk, Resend, Supabase and others.
// github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md; docs.svix.com/receiving/verifying-payloads
import { createHmac } from 'node:crypto'
import {
  badSignature,
  bytesOfBase64,
  defineScheme,
  headerOf,
  isSignedBy,
  provenAt,
  type Signed,
  type Verdict,
} from '../../../lib/webhooks/webhook-scheme.ts'
import { standardBase64, standardKey } from '../../../lib/webhooks/webhook-sources.ts'

// The same three headers under two names: those of the standard, and those of Svix, which is older.
const SETS = ['webhook', 'svix'] as const
// No full stop: it divides what is signed, so that with one the end of an id could be taken for a timestamp.
const ID = /^[\x21-\x2d\x2f-\x7e]{1,255}$/
const TIMESTAMP = /^\d{1,12}$/
const MOST_SIGNATURES = 10
const FEWEST_BYTES = 24
const MOST_BYTES = 96

export const standard = defineScheme({
  name: 'standard',
  signatureHeaders: SETS.map((set) => `${set}-signature`),
  handlerHeaders: SETS.flatMap((set) => [`${set}-id`, `${set}-timestamp`]),
  checkSecret(secret) {
    if (/^v1a,|^wh[ps]k_/.test(secret)) return 'has a key of asymmetric signatures (v1a), which are not read'
    const key = standardKey(secret)
    const isWhole = bytesOfBase64(standardBase64(secret), key.length) !== undefined
    return isWhole && key.length >= FEWEST_BYTES && key.length <= MOST_BYTES
      ? undefined
      : `needs secrets of ${FEWEST_BYTES} to ${MOST_BYTES} bytes in base64, with or without whsec_`
  },
  verify(signed) {
    const verdicts = setsIn(signed).map((set) => verifySet(signed, set))
    const proven = verdicts.find(({ refused }) => refused !== 'bad_signature')
    return proven ?? verdicts[0] ?? badSignature('no signature header')
  },
  // The set that is signed: of two, the other may say anything.
  idOf(signed) {
    const set = setsIn(signed).find((one) => verifySet(signed, one).refused === undefined)
    return set && headerOf(signed, `${set}-id`)
  },
})

const setsIn = ({ headers }: Signed) => SETS.filter((set) => headers[`${set}-signature`] !== undefined)

function verifySet(signed: Signed, set: (typeof SETS)[number]): Verdict {
  const id = headerOf(signed, `${set}-id`)
  const timestamp = headerOf(signed, `${set}-timestamp`)
  if (!ID.test(id)) return badSignature(id === '' ? 'no id header' : 'id header malformed')
  if (!TIMESTAMP.test(timestamp))
    return badSignature(timestamp === '' ? 'no timestamp header' : 'timestamp malformed')
  const given = signaturesIn(headerOf(signed, `${set}-signature`))
  if (given.length === 0) return badSignature('signature malformed')
  const isGood = isSignedBy(signed.secrets, given, (secret) =>
    createHmac('sha256', standardKey(secret)).update(`${id}.${timestamp}.`).update(signed.body).digest(),
  )
  // The time only now, so that a sender without a secret does not learn what our clock says.
  return isGood ? provenAt(Number(timestamp) * 1_000, signed) : badSignature('signature differs')
}

/** The signatures of our version, 32 bytes each; versions that we do not know are left out. */
function signaturesIn(list: string): Buffer[] {
  return list
    .split(' ')
    .flatMap((one) => (one.startsWith('v1,') ? (bytesOfBase64(one.slice(3)) ?? []) : []))
    .slice(0, MOST_SIGNATURES)
}
