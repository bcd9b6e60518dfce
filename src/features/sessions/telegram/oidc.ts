// Log In With Telegram, which is OpenID Connect with a code and PKCE: https://core.telegram.org/bots/telegram-login
// What Telegram's server says is believed only when its key signed it; a server that fails is `telegram_unavailable`.
import { randomBytes } from 'node:crypto'
import type * as openid from 'openid-client'
import { loginRefused, telegramUnavailable } from '../../../errors.ts'
import type { User } from '../../../feature.ts'
import { telegramUser } from './telegram-user.ts'

const TIMEOUT_S = 5

type Library = typeof openid

// The library's codes for an ID token that is forged, late, or another client's. Everything else is Telegram failing.
const REFUSALS = [
  'OAUTH_INVALID_RESPONSE',
  'OAUTH_JWT_CLAIM_COMPARISON_FAILED',
  'OAUTH_JWT_TIMESTAMP_CHECK_FAILED',
  'OAUTH_KEY_SELECTION_FAILED',
]

export interface OidcSecrets {
  readonly state: string
  readonly nonce: string
  readonly verifier: string
}

export interface Oidc {
  /** The address at Telegram to send the browser to. Throws telegram_unavailable. */
  startUrl(secrets: OidcSecrets, redirectUri: string): Promise<URL>
  /** Whom Telegram names for the code. Throws login_refused, or telegram_unavailable. */
  userOf(code: string, secrets: OidcSecrets, redirectUri: string): Promise<User>
}

export interface OidcOptions {
  issuer: URL
  clientId: string
  clientSecret: string
}

/** Fresh values for one login. */
export const newSecrets = (): OidcSecrets => ({ state: random(), nonce: random(), verifier: random() })

/** 256 bits, in the letters that RFC 7636 allows a verifier. */
const random = () => randomBytes(32).toString('base64url')

export function createOidc({ issuer, clientId, clientSecret }: OidcOptions): Oidc {
  // As Telegram's documentation has it. The library's own Basic would write '-' and '_' as %2D and %5F.
  const basic: openid.ClientAuth = (_server, _client, body, headers) => {
    body.set('client_id', clientId)
    headers.set('authorization', `Basic ${Buffer.from(`${clientId}:${clientSecret}`).toString('base64')}`)
  }
  let known: Promise<openid.Configuration> | undefined

  const discover = (openid: Library) => {
    // config.ts lets http through for this machine only.
    const insecure = issuer.protocol === 'http:' ? [openid.allowInsecureRequests] : []
    return openid.discovery(issuer, clientId, undefined, basic, {
      timeout: TIMEOUT_S,
      execute: [openid.enableNonRepudiationChecks, ...insecure],
    })
  }

  /** Discovers Telegram's addresses when they are first needed, and again after any failure. */
  async function ask<T>(
    question: (server: openid.Configuration, library: Library) => Promise<T>,
  ): Promise<T> {
    const library = await import('openid-client') // where it is set up, at the first login
    try {
      known ??= discover(library)
      return await question(await known, library)
    } catch (cause) {
      if (isRefusal(cause, library)) throw loginRefused({ cause })
      known = undefined
      throw telegramUnavailable({ cause })
    }
  }

  return {
    startUrl: (secrets, redirectUri) =>
      ask(async (server, openid) =>
        openid.buildAuthorizationUrl(server, {
          redirect_uri: redirectUri,
          scope: 'openid profile',
          state: secrets.state,
          nonce: secrets.nonce,
          code_challenge: await openid.calculatePKCECodeChallenge(secrets.verifier),
          code_challenge_method: 'S256',
        }),
      ),

    async userOf(code, secrets, redirectUri) {
      const parameters = { code, redirect_uri: redirectUri, code_verifier: secrets.verifier }
      const claims = await ask(async (server, openid) =>
        // Not authorizationCodeGrant, which insists on a nonce in the token: see below.
        (await openid.genericGrantRequest(server, 'authorization_code', parameters)).claims(),
      )
      // Telegram is reported to leave the nonce out of its tokens. A nonce must be ours; without one, the
      // verifier ties the code, and so the token, to this browser (RFC 9700, 2.1.1).
      if (!claims || (claims.nonce !== undefined && claims.nonce !== secrets.nonce)) throw loginRefused()
      // `sub` is another number, made up for each bot: the one the other two ways know is `id`.
      const user = telegramUser({
        id: text(claims.id),
        names: [text(claims.name)],
        username: text(claims.preferred_username),
        photoUrl: text(claims.picture),
      })
      if (!user) throw loginRefused()
      return user
    },
  }
}

const text = (claim: unknown) =>
  typeof claim === 'string' || typeof claim === 'number' ? String(claim) : undefined

function isRefusal(error: unknown, openid: Library): boolean {
  if (error instanceof openid.ResponseBodyError) return error.error === 'invalid_grant'
  return error instanceof openid.ClientError && REFUSALS.includes(error.code ?? '')
}
