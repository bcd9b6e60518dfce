// What openid-client's errors mean for a login: a token that is forged, late or another client's is refused, with a
// reason. Everything else is Telegram failing.
import type * as openid from 'openid-client'
import type { loginRefused } from '../../../errors.ts'
import { offSeconds, SECOND } from '../../../lib/time.ts'
import { type RefusalReason, refuseLogin } from './refusal.ts'

type Library = typeof openid

const REASONS: Readonly<Record<string, RefusalReason>> = {
  OAUTH_INVALID_RESPONSE: 'token_malformed',
  OAUTH_JWT_CLAIM_COMPARISON_FAILED: 'token_not_ours',
  OAUTH_JWT_TIMESTAMP_CHECK_FAILED: 'token_expired',
  OAUTH_KEY_SELECTION_FAILED: 'key_unknown',
}

interface Told {
  readonly message?: unknown
  readonly cause?: { readonly claim?: unknown; readonly claims?: Readonly<Record<string, unknown>> }
}

/** The refusal that the error is; undefined when Telegram fails. */
export function refusalOf(error: unknown, library: Library): ReturnType<typeof loginRefused> | undefined {
  if (error instanceof library.ResponseBodyError)
    return error.error === 'invalid_grant' ? refuseLogin('code_refused') : undefined
  if (!(error instanceof library.ClientError)) return undefined
  const reason = REASONS[error.code ?? '']
  if (reason === undefined) return undefined
  const { message, cause } = (error.cause ?? {}) as Told
  if (/signature verification failed/.test(String(message))) return refuseLogin('signature_differs')
  const claim = typeof cause?.claim === 'string' && /^\w{1,20}$/.test(cause.claim) ? cause.claim : undefined
  const at = claim === undefined ? undefined : cause?.claims?.[claim]
  const offS =
    reason === 'token_expired' && typeof at === 'number' ? offSeconds(at * SECOND, Date.now()) : undefined
  return refuseLogin(reason, { ...(claim !== undefined && { claim }), ...(offS !== undefined && { offS }) })
}

/** Whether the token is signed with a key that we do not know: it may be newer than those we have. */
export const isUnknownKey = (error: unknown, library: Library) =>
  error instanceof library.ClientError && error.code === 'OAUTH_KEY_SELECTION_FAILED'
