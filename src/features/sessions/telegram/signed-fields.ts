// What Telegram's two HMAC schemes share: fields, the hash over them, and the moment Telegram signed them.
// Nothing here reads a clock, a request or the state: pure functions.
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import type { User } from '../../../feature.ts'

const MAX_AGE_S = 5 * 60
const MAX_AHEAD_S = 30 // how far Telegram's clock may be ahead of ours

/** Name and value, in the order given, so that one that is given twice is seen. */
export type Fields = readonly (readonly [name: string, value: string])[]

/** A login that Telegram did sign; whether it is fresh, and was not used before, is for the caller to ask. */
export interface SignedLogin {
  readonly user: User
  readonly signedAtS: number
  /** Of what was signed: the same for every order and every encoding of the same fields. */
  readonly digest: string
}

export interface SignedFields {
  readonly fields: ReadonlyMap<string, string>
  readonly signedAtS: number
  readonly digest: string
}

/** The fields without `hash` when that hash proves them, compared in constant time; otherwise undefined. */
export function verifyFields(given: Fields, secret: Buffer): SignedFields | undefined {
  const fields = new Map(given)
  if (fields.size !== given.length) return undefined
  // The check string has no escapes: a line break in a value, or a name such as "id=1\nx", would make two different
  // sets of fields one check string, and so one hash.
  if (given.some(([name, value]) => !/^\w+$/.test(name) || value.includes('\n'))) return undefined
  const hash = fields.get('hash') ?? ''
  fields.delete('hash')
  const checkString = [...fields.keys()]
    .sort()
    .map((name) => `${name}=${fields.get(name)}`)
    .join('\n')
  const expected = createHmac('sha256', secret).update(checkString).digest()
  if (!/^[0-9a-f]{64}$/i.test(hash) || !timingSafeEqual(Buffer.from(hash, 'hex'), expected)) return undefined
  const signedAt = fields.get('auth_date') ?? ''
  if (!/^\d{1,12}$/.test(signedAt)) return undefined
  const digest = createHash('sha256').update(secret).update(checkString).digest('hex')
  return { fields, signedAtS: Number(signedAt), digest }
}

/** Why fields that prove no login do not. */
export function whyUnsigned(given: Fields): 'not_signed' | 'signature_differs' {
  const has = (name: string) => given.some(([key, value]) => key === name && value !== '')
  return has('hash') && has('auth_date') ? 'signature_differs' : 'not_signed'
}

/** Whether it is young enough to log in with: 5 minutes at most, and at most 30 s ahead of our clock. */
export function isFresh({ signedAtS }: Pick<SignedLogin, 'signedAtS'>, nowMs: number): boolean {
  const ageS = nowMs / 1_000 - signedAtS
  return ageS >= -MAX_AHEAD_S && ageS <= MAX_AGE_S
}
