// T-Bank (Tinkoff) acquiring: the proof is in the body, a SHA-256 of its values with the terminal's password among
// them.
// developer.tbank.ru, "Нотификации" and "Токен"
import { createHash } from 'node:crypto'
import { corrupt, type Guard, isShape, parseJsonTexts } from '../../../lib/codec.ts'
import { badSignature, bytesOfHex, defineScheme, isSignedBy } from '../../../lib/webhooks/webhook-scheme.ts'

export const tbank = defineScheme({
  name: 'tbank',
  signatureHeaders: [],
  checkSecret: (secret) =>
    secret.length >= 8 ? undefined : 'needs the password of the terminal, 8 characters or more',
  verify({ body, secrets }) {
    const fields = parseJsonTexts(body, isObject)
    if (fields === corrupt) return badSignature('body is not JSON')
    const { Token: token } = fields
    if (token === undefined) return badSignature('no Token in the body')
    const given = typeof token === 'string' ? bytesOfHex(token.toLowerCase()) : undefined
    if (!given) return badSignature('Token malformed')
    const isGood = isSignedBy(secrets, [given], (password) => tokenOf(fields, password))
    return isGood ? {} : badSignature('Token differs')
  },
  // The same payment has one for each status, and several for parts that are given back.
  idOf({ body }) {
    const fields = parseJsonTexts(body, isObject)
    if (fields === corrupt) return undefined
    const { PaymentId: payment = fields.RequestKey ?? fields.TerminalKey, Status: status = '' } = fields
    const id = `${payment}.${status}`
    const values = tokenOf(fields, '').toString('hex').slice(0, 32)
    return /^[\w-]{1,64}\.\w{0,32}$/.test(id) ? `${id}.${values}` : undefined
  },
  // What is not in the Token (Receipt, Data) may differ.
  sameBy: 'id',
  // Anything else counts as not delivered.
  answer: { status: 200, contentType: 'text/plain; charset=utf-8', body: 'OK' },
})

type Fields = Readonly<Record<string, unknown>>

const isObject: Guard<Fields> = (json): json is Fields => isShape<Fields>({})(json) && !Array.isArray(json)

/** Of the values beside objects and lists, by the order of their names; numbers as they are written. */
function tokenOf({ Token: _, ...fields }: Fields, password: string): Buffer {
  const all: Fields = { ...fields, Password: password }
  const values = Object.keys(all)
    .sort()
    .map((name) => all[name])
    .filter((value) => value !== null && typeof value !== 'object')
  return createHash('sha256').update(values.join('')).digest()
}
