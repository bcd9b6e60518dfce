// Text that comes back to us later, and that only we can have written. Pure: no clock, no environment.
import { createHmac } from 'node:crypto'
import { isSameSecret } from '../../../lib/constant-time.ts'

/** The text with a signature, which holds for that purpose alone. The first secret signs. */
export function signText(purpose: string, text: string, [secret = '']: readonly string[]): string {
  const payload = Buffer.from(text).toString('base64url')
  return `${payload}.${signature(purpose, payload, secret)}`
}

/** The text, or undefined when none of the secrets signed it for this purpose. */
export function readSigned(purpose: string, signed: string, secrets: readonly string[]): string | undefined {
  const [payload = '', given = '', ...rest] = signed.split('.')
  const isOurs = secrets.map((secret) => isSameSecret(given, signature(purpose, payload, secret)))
  if (rest.length > 0 || !isOurs.includes(true)) return undefined
  return Buffer.from(payload, 'base64url').toString()
}

const signature = (purpose: string, payload: string, secret: string) =>
  createHmac('sha256', secret).update(`${purpose}\n${payload}`).digest('base64url')
