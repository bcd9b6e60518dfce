// What is answered to a delivery, as it is kept for those that are sent again: JSON as it is, and anything else behind
// a mark that JSON does not begin with, so that it can be kept as text.
import { corrupt, isNumber, isShape, isText, parseJson } from '../../lib/codec.ts'
import { isRawAnswer, type RawAnswer } from '../../lib/webhooks/webhook-scheme.ts'

const RAW = '!'

interface Encoded {
  readonly status: number
  readonly type: string
  readonly body: string
}

const isEncoded = isShape<Encoded>({ status: isNumber, type: isText, body: isText })

/** Of what a handler has returned; empty: nothing. */
export function encodeAnswer(reply: unknown): Buffer {
  if (!isRawAnswer(reply)) return Buffer.from(JSON.stringify(reply) ?? '')
  const { status, contentType: type = '', body = '' } = reply
  const kept: Encoded = { status, type, body: bytesOf(body).toString('base64') }
  return Buffer.from(RAW + JSON.stringify(kept))
}

const bytesOf = (body: string | Uint8Array) =>
  typeof body === 'string' ? Buffer.from(body) : Buffer.from(body)

/** `otherwise`: of a scheme, where the handler has returned nothing. */
export function decodeAnswer(answer: Buffer, otherwise: RawAnswer = { status: 204 }): RawAnswer {
  if (answer.length === 0) return otherwise
  const kept = answer.toString('utf8', 0, 1) === RAW ? parseJson(answer.subarray(1), isEncoded) : corrupt
  if (kept === corrupt) return { status: 200, contentType: 'application/json; charset=utf-8', body: answer }
  return {
    status: kept.status,
    ...(kept.type !== '' && { contentType: kept.type }),
    body: Buffer.from(kept.body, 'base64'),
  }
}
