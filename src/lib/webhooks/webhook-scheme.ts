// The contract of a webhook scheme: how a sender proves who it is, and how its deliveries are told apart. Ours and
// those of users' code are made with the same `defineScheme`; a feature lists its own in its manifest. docs/webhooks.md
import { createHmac, timingSafeEqual } from 'node:crypto'
import { offSeconds } from '../time.ts'

/** What came, and what it is judged by. A scheme sees no request, no clock and no environment. */
export interface Signed {
  /** As Node gives them: names in lower case; one that came twice has its values joined by a comma. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  /** The body as it came, byte by byte. */
  readonly body: Buffer
  /** The address that was called, as the sender wrote it where TRUST_PROXY is right: some senders sign it. */
  readonly url: string
  /** Each of them is good. A secret that is tried for a sender nobody knows has any form: `verify` must not throw. */
  readonly secrets: readonly string[]
  readonly nowMs: number
  /** How far a signed timestamp may be off: WEBHOOK_TOLERANCE_SECONDS. */
  readonly toleranceMs: number
}

/** `reason`: a few words for the log, the same for all deliveries that fail the same check; never a part of one. */
export interface Refused {
  readonly refused: 'bad_signature' | 'outside_tolerance'
  readonly reason: string
  /** How far its timestamp is off, in seconds; positive: behind our clock, negative: ahead of it (`offSeconds`). */
  readonly offS?: number
}

/** Who sent it knows a secret. */
export interface Proven {
  readonly refused?: undefined
  /** When it was sent this time, if that is signed. */
  readonly sentAtMs?: number
}

export type Verdict = Refused | Proven

/** What is answered: bytes and a status. No body is sent with 204 and 304. */
export interface RawAnswer {
  /** 200 to 599. */
  readonly status: number
  readonly contentType?: string
  readonly body?: string | Uint8Array
}

/** What `confirm` says: what the sender's own API knows of the delivery, for the handler; or why it does not count. */
export type Confirmation = { readonly confirmed: unknown } | Refused

/** The sender's API. */
export interface SenderApi {
  /**
   * The status and the JSON of an answer; undefined where that is not JSON. It rejects where there is no answer, or one
   * of 500 and above: the delivery is then answered 503, and the sender comes again.
   */
  get(
    path: string,
    headers?: Readonly<Record<string, string>>,
  ): Promise<{ readonly status: number; readonly json: unknown }>
}

export interface WebhookScheme {
  /** As WEBHOOK_SECRETS names it: `source:name=secret`. a-z, 0-9 and -. */
  readonly name: string
  /**
   * The headers of its signature, in lower case: one, or two of which either will do. A request with none of them is
   * refused before its body is read. Empty: the proof is in the body, which may then have 64 kB.
   */
  readonly signatureHeaders: readonly string[]
  /** The other headers that its handlers may see, in lower case; none but these. */
  readonly handlerHeaders?: readonly string[]
  /** What is wrong with a secret, as in "needs …", without repeating it. Any is good where it is not given. */
  checkSecret?(secret: string): string | undefined
  /** The variable whose value is the secret of a source that names none. */
  readonly secretVariable?: string
  /** Addresses and networks that it sends from; WEBHOOK_ADDRESSES replaces them. */
  readonly addresses?: readonly string[]
  /**
   * Whether a secret made this. It takes the same time for wrong secrets as for others: compare with `isSignedBy`, and
   * say that a timestamp is off only where the signature is right.
   */
  verify(signed: Signed): Verdict
  /** The same each time the delivery is sent; asked only where it is proven. Undefined: it has none, and is refused. */
  idOf(signed: Signed): string | undefined
  /**
   * What tells that one with a known id is the same: its bytes (the default: others are refused), or the id alone, for
   * senders that sign the id and change other fields when they try again.
   */
  readonly sameBy?: 'bytes' | 'id'
  /** A proven request that is no delivery, such as a challenge: its answer. It is not handled, counted or kept. */
  answerAlone?(signed: Signed): RawAnswer | undefined
  /** Asks the sender's API before a delivery counts, where nothing is signed. `apiUrl` is needed. */
  confirm?(signed: Signed, api: SenderApi): Promise<Confirmation>
  /** Where that API is; WEBHOOK_API_URLS replaces it. */
  readonly apiUrl?: string
  /** What is answered where the handler returns nothing; 204 unless given. */
  readonly answer?: RawAnswer
}

export const MOST_SIGNATURE_HEADERS = 2

/** The scheme, checked: a mistake in it ends the start with a sentence, not a delivery. */
export function defineScheme(scheme: WebhookScheme): WebhookScheme {
  const { name, signatureHeaders, handlerHeaders = [] } = scheme
  if (!/^[a-z][a-z0-9-]{0,31}$/.test(name))
    throw new TypeError(`the name of a webhook scheme has a-z, 0-9 and -, not ${name}`)
  for (const header of [...signatureHeaders, ...handlerHeaders])
    if (header !== header.toLowerCase())
      throw new TypeError(`the scheme ${name} names ${header}: write it in lower case`)
  if (signatureHeaders.length > MOST_SIGNATURE_HEADERS)
    throw new TypeError(
      `the scheme ${name} names more than ${MOST_SIGNATURE_HEADERS} headers of its signature`,
    )
  if (scheme.confirm && scheme.apiUrl === undefined)
    throw new TypeError(`the scheme ${name} has confirm and no apiUrl`)
  if (scheme.answer) answerWith(scheme.answer)
  return Object.freeze(scheme)
}

/** Not signed with a secret of this source. */
export const badSignature = (reason: string): Refused => ({ refused: 'bad_signature', reason })

/** Signed at `sentAtMs`: proven, or refused because that is further off than it may be. */
export function provenAt(sentAtMs: number, { nowMs, toleranceMs }: Signed): Verdict {
  if (Math.abs(sentAtMs - nowMs) <= toleranceMs) return { sentAtMs }
  return { refused: 'outside_tolerance', reason: 'timestamp off', offS: offSeconds(sentAtMs, nowMs) }
}

/** The header; empty where it is not there. */
export function headerOf({ headers }: Pick<Signed, 'headers'>, name: string): string {
  const value = headers[name]
  return typeof value === 'string' ? value : ''
}

/**
 * Whether one of the given signatures is what a secret makes. All are computed and compared, whichever is right: the
 * time it takes depends on how many there are, and on nothing else.
 */
export function isSignedBy(
  secrets: readonly string[],
  given: readonly Buffer[],
  sign: (secret: string) => Buffer,
): boolean {
  let isGood = false
  for (const secret of secrets) {
    const expected = sign(secret)
    for (const one of given)
      if (one.length === expected.length && timingSafeEqual(one, expected)) isGood = true
  }
  return isGood
}

/** The signature of several senders: HMAC-SHA256 of the body, in base64, in one header. */
export function verifyBodyHmac(signed: Signed, header: string): Verdict {
  const given = bytesOfBase64(headerOf(signed, header))
  if (!given) return badSignature('signature malformed')
  const isGood = isSignedBy(signed.secrets, [given], (secret) =>
    createHmac('sha256', secret).update(signed.body).digest(),
  )
  return isGood ? {} : badSignature('signature differs')
}

const HEX = /^(?:[0-9a-f]{2})+$/
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

/** The bytes of exactly `size` in lower-case hex; undefined for anything else. */
export const bytesOfHex = (text: string, size = 32): Buffer | undefined =>
  text.length === 2 * size && HEX.test(text) ? Buffer.from(text, 'hex') : undefined

/** The bytes of exactly `size` in base64; undefined for anything else, as for what only a lenient decoder reads. */
export function bytesOfBase64(text: string, size = 32): Buffer | undefined {
  if (text.length !== 4 * Math.ceil(size / 3) || !BASE64.test(text)) return undefined
  const bytes = Buffer.from(text, 'base64')
  return bytes.length === size ? bytes : undefined
}

/** For `checkSecret`: a secret that is at least so long. */
export const atLeast = (characters: number) => (secret: string) =>
  secret.length >= characters ? undefined : `needs secrets of at least ${characters} characters`

const made = new WeakSet<object>()

/** What a handler returns to answer other bytes than JSON, or another status. At most 12 kB. */
export function answerWith(answer: RawAnswer): RawAnswer {
  const { status, contentType = '', body = '' } = answer
  if (!Number.isInteger(status) || status < 200 || status > 599)
    throw new RangeError('an answer has a status from 200 to 599')
  if (body.length > 0 && (status === 204 || status === 304))
    throw new RangeError(`an answer with the status ${status} has no body`)
  if (!/^[\x20-\x7e]{0,200}$/.test(contentType)) throw new RangeError('an answer has a content type in ASCII')
  made.add(answer)
  return answer
}

export const isRawAnswer = (value: unknown): value is RawAnswer =>
  typeof value === 'object' && value !== null && made.has(value)
