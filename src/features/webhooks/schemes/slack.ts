// Slack (v0): HMAC-SHA256 of the time and the body: events, commands, buttons. docs.slack.dev/authentication/
// verifying-requests-from-slack
import { createHash, createHmac } from 'node:crypto'
import { corrupt, isShape, isText, parseJson } from '../../../lib/codec.ts'
import {
  atLeast,
  badSignature,
  bytesOfHex,
  defineScheme,
  headerOf,
  isSignedBy,
  provenAt,
  type Signed,
} from '../../../lib/webhooks/webhook-scheme.ts'

const ID = /^[\x21-\x7e]{1,255}$/

export const slack = defineScheme({
  name: 'slack',
  signatureHeaders: ['x-slack-signature'],
  handlerHeaders: ['x-slack-request-timestamp', 'x-slack-retry-num', 'x-slack-retry-reason'],
  checkSecret: atLeast(16),
  verify(signed) {
    const timestamp = headerOf(signed, 'x-slack-request-timestamp')
    if (!/^\d{1,12}$/.test(timestamp))
      return badSignature(timestamp === '' ? 'no timestamp header' : 'timestamp malformed')
    const header = headerOf(signed, 'x-slack-signature')
    const given = header.startsWith('v0=') ? bytesOfHex(header.slice(3)) : undefined
    if (!given) return badSignature('signature malformed')
    const isGood = isSignedBy(signed.secrets, [given], (secret) =>
      createHmac('sha256', secret).update(`v0:${timestamp}:`).update(signed.body).digest(),
    )
    return isGood ? provenAt(Number(timestamp) * 1_000, signed) : badSignature('signature differs')
  },
  /** `event_id`, or `trigger_id` of a command or a button; the others are told apart by their bytes. */
  idOf(signed) {
    const { body } = signed
    const id = idsIn(body).find((one) => typeof one === 'string' && ID.test(one))
    return String(id ?? createHash('sha256').update(body).digest('hex'))
  },
  sameBy: 'id',
  // Sent once, when the address is entered: it is accepted only if the challenge comes back.
  answerAlone(signed: Signed) {
    const asked = parseJson(signed.body, isChallenge)
    if (asked === corrupt || asked.type !== 'url_verification') return undefined
    return { status: 200, contentType: 'text/plain; charset=utf-8', body: asked.challenge }
  },
  // A command's answer is shown in the channel: nothing, rather than 204, which Slack takes as well.
  answer: { status: 200 },
})

const isChallenge = isShape<{ type: string; challenge: string }>({ type: isText, challenge: isText })
const isObject = isShape<Record<string, unknown>>({})

function idsIn(body: Buffer): unknown[] {
  const json = parseJson(body, isObject)
  if (json !== corrupt) return [json.event_id]
  const form = new URLSearchParams(body.toString())
  const payload = parseJson(form.get('payload') ?? '', isObject)
  return [payload === corrupt ? undefined : payload.trigger_id, form.get('trigger_id')]
}
