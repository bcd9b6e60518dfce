// Why a login is refused: for the operator's log. Who asks learns one code for all reasons (errors.ts), and the log
// nothing of whose login it was.
import { loginRefused } from '../../../errors.ts'

const SENTENCES = {
  signature_differs:
    'the signature differs: it was made with the token of another bot, or the fields were changed on their way',
  not_signed: 'it brings no signature of Telegram, or no time',
  no_user: 'what Telegram signed names no user',
  too_old: 'it was signed too long ago: if that happens to everybody, the clock of this host is ahead',
  ahead: 'it was signed in the future: the clock of this host is behind',
  used: 'it was used before',
  no_attempt: 'it did not begin in this browser: its cookie of the attempt is missing',
  attempt_expired: 'its attempt began more than ten minutes ago',
  attempt_differs: 'it is not the attempt that this browser has begun',
  no_code: 'Telegram sent the browser back without a code',
  declined: 'its user said no at Telegram',
  code_refused: 'Telegram does not take its code: it was used, or is too old',
  key_unknown: 'it is signed with a key that Telegram does not publish',
  nonce_differs: 'the nonce in its token is not ours',
  token_expired: 'its token has expired: if that happens to everybody, the clock of this host is ahead',
  token_not_ours: 'its token is for another client, or of another issuer',
  token_malformed: 'its token is malformed',
} as const

export type RefusalReason = keyof typeof SENTENCES

export interface RefusalDetails {
  /** By how many seconds its time is behind our clock; negative: ahead of it (`offSeconds`). */
  readonly offS?: number
  /** What of the token differs. */
  readonly claim?: string
}

class RefusedBecause extends Error {
  readonly reason: RefusalReason
  readonly details: RefusalDetails

  get isExpected(): true {
    return true
  }

  constructor(reason: RefusalReason, details: RefusalDetails) {
    super(SENTENCES[reason])
    this.reason = reason
    this.details = details
  }
}

export const refuseLogin = (reason: RefusalReason, details: RefusalDetails = {}) =>
  loginRefused({ cause: new RefusedBecause(reason, details) })

/** Undefined for what is refused for no reason of these. */
export function reasonOf(error: unknown): RefusalReason | undefined {
  const { cause } = (error ?? {}) as { cause?: unknown }
  return cause instanceof RefusedBecause ? cause.reason : undefined
}

/** What the log says of it: fields and a sentence. */
export function lineOf(error: unknown): [fields: object, sentence: string] | undefined {
  const { cause } = (error ?? {}) as { cause?: unknown }
  if (!(cause instanceof RefusedBecause)) return undefined
  return [{ reason: cause.reason, ...cause.details }, `a login is refused: ${cause.message}`]
}
