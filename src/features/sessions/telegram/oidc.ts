// Log In With Telegram, which is OpenID Connect with a code and PKCE: https://core.telegram.org/bots/telegram-login
// What Telegram's server says is believed only when its key signed it; a server that fails is `telegram_unavailable`.
import { randomBytes } from 'node:crypto'
import type * as openid from 'openid-client'
import { telegramUnavailable } from '../../../errors.ts'
import type { User } from '../../../feature.ts'
import { SECOND } from '../../../lib/time.ts'
import { isUnknownKey, refusalOf } from './oidc-errors.ts'
import { type Fetch, fetchOnce, fetchWithin } from './oidc-fetch.ts'
import { createOidcKeys } from './oidc-keys.ts'
import { refuseLogin } from './refusal.ts'
import { telegramUser } from './telegram-user.ts'

const TIMEOUT_MS = 5 * SECOND
/** The library's own, above ours, which is judged after what has arrived. */
const TIMEOUT_S = 30

type Library = typeof openid

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
  const ask = fetchWithin(TIMEOUT_MS)
  const keys = createOidcKeys<openid.ExportedJWKSCache>()
  let known: Promise<openid.Configuration> | undefined

  // config.ts lets http through for this machine only.
  const insecure = (openid: Library) => (issuer.protocol === 'http:' ? [openid.allowInsecureRequests] : [])

  const discover = (openid: Library) =>
    openid.discovery(issuer, clientId, undefined, basic, {
      timeout: TIMEOUT_S,
      execute: insecure(openid),
      [openid.customFetch]: ask as openid.CustomFetch,
    })

  /** One login's own client: its keys are those given, or are read when they are needed. */
  function clientWith(
    openid: Library,
    server: openid.Configuration,
    fetch: Fetch,
    given: openid.ExportedJWKSCache | undefined,
  ): openid.Configuration {
    const client = new openid.Configuration(server.serverMetadata(), clientId, undefined, basic)
    client.timeout = TIMEOUT_S
    client[openid.customFetch] = fetch as openid.CustomFetch
    for (const step of [openid.enableNonRepudiationChecks, ...insecure(openid)]) step(client)
    if (given) openid.setJwksCache(client, given)
    return client
  }

  /** The claims of the ID token for that code. */
  async function claimsOf(openid: Library, server: openid.Configuration, parameters: Record<string, string>) {
    const { token_endpoint: tokenUrl, jwks_uri: keysUrl } = server.serverMetadata()
    const askOnce = fetchOnce(ask, tokenUrl)
    let hasReadKeys = false
    const fetch: Fetch = (url, options) => {
      hasReadKeys ||= url === keysUrl
      return askOnce(url, options)
    }
    async function logIn(given: openid.ExportedJWKSCache | undefined) {
      const client = clientWith(openid, server, fetch, given)
      try {
        // Not authorizationCodeGrant, which insists on a nonce in the token: see below.
        return (await openid.genericGrantRequest(client, 'authorization_code', parameters)).claims()
      } finally {
        if (hasReadKeys) keys.keep(openid.getJwksCache(client))
      }
    }
    try {
      return await logIn(keys.current())
    } catch (error) {
      const again = hasReadKeys || !isUnknownKey(error, openid) ? undefined : keys.again(logIn)
      if (!again) throw error
      return await again
    }
  }

  /** Discovers Telegram's addresses when they are first needed, and again after any failure. */
  async function askServer<T>(
    question: (server: openid.Configuration, library: Library) => Promise<T>,
  ): Promise<T> {
    const library = await import('openid-client') // where it is set up, at the first login
    try {
      known ??= discover(library)
      return await question(await known, library)
    } catch (cause) {
      const refusal = refusalOf(cause, library)
      if (refusal) throw refusal
      known = undefined
      throw telegramUnavailable({ cause })
    }
  }

  return {
    startUrl: (secrets, redirectUri) =>
      askServer(async (server, openid) =>
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
      const claims = await askServer((server, openid) => claimsOf(openid, server, parameters))
      if (!claims) throw refuseLogin('token_malformed')
      // Telegram is reported to leave the nonce out of its tokens. A nonce must be ours; without one, the
      // verifier ties the code, and so the token, to this browser (RFC 9700, 2.1.1).
      if (claims.nonce !== undefined && claims.nonce !== secrets.nonce) throw refuseLogin('nonce_differs')
      // `sub` is another number, made up for each bot: the one the other two ways know is `id`.
      const user = telegramUser({
        id: text(claims.id),
        names: [text(claims.name)],
        username: text(claims.preferred_username),
        photoUrl: text(claims.picture),
      })
      if (!user) throw refuseLogin('no_user')
      return user
    },
  }
}

const text = (claim: unknown) =>
  typeof claim === 'string' || typeof claim === 'number' ? String(claim) : undefined
