// Telegram's side of a login, as a server of the tests' own: OpenID Connect with PKCE, and the legacy widget's page.
// It is as strict as the real one, says yes at once where a person would be asked, and can be told to fail.
import { createHash, createSign, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { seconds, signWidget, widgetFields } from './telegram-signer.ts'

/** What is wrong with the ID tokens it gives. */
export type BadToken =
  | 'wrong nonce'
  | 'no nonce'
  | 'wrong audience'
  | 'wrong issuer'
  | 'expired'
  | 'forged'
  | 'without id'
  | 'absent'
  | 'unknown key'

export interface FakeTelegram {
  readonly url: string
  readonly env: Record<string, string>
  /** How many requests came for each path. */
  readonly asked: Map<string, number>
  /** Who logs in. */
  person: { id: number; name: string; preferred_username: string }
  /** The path that fails, and how: with a status, by never answering, or with what is no JSON. */
  broken: { path: string; how: number | 'hangs' | 'garbage' } | undefined
  token: BadToken | undefined
  /** Whether the person says no. */
  denies: boolean
  /** Signs with a new key from now on, and publishes that alone. */
  rotateKey(): void
  close(): Promise<void>
}

interface Reply {
  readonly status: number
  readonly body?: object
  readonly location?: string
}

interface Grant {
  readonly challenge: string
  readonly redirectUri: string
  readonly nonce: string | null
}

export const BOT_TOKEN = '7342037359:AAHI25ES9xCOMPokpYoz-p8XVrZUdygo2J4'
const CLIENT_ID = '7342037359'
const CLIENT_SECRET = 'a_Client-Secret~of.tests'

const base64url = (value: string | object) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')

function signJwt(claims: object, key: KeyObject, kid: string): string {
  const signed = `${base64url({ alg: 'RS256', kid })}.${base64url(claims)}`
  return `${signed}.${createSign('sha256').update(signed).sign(key).toString('base64url')}`
}

/** Of all that a file of tests starts: a pair takes tenths of a second to make. */
let keyPairs: ReturnType<typeof makeKeyPair>[] | undefined
const makeKeyPair = () => generateKeyPairSync('rsa', { modulusLength: 2_048 })
type KeyPair = ReturnType<typeof makeKeyPair>

export async function startFakeTelegram(): Promise<FakeTelegram> {
  keyPairs ??= [makeKeyPair(), makeKeyPair(), makeKeyPair()]
  const [first, second, stranger] = keyPairs as [KeyPair, KeyPair, KeyPair]
  let own = { ...first, kid: 'oidc-1' }
  const grants = new Map<string, Grant>()
  const server = createServer((req, res) => void answer(req, res)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  const telegram: FakeTelegram = {
    url,
    env: {
      TELEGRAM_ISSUER: url,
      TELEGRAM_CLIENT_ID: CLIENT_ID,
      TELEGRAM_CLIENT_SECRET: CLIENT_SECRET,
      TELEGRAM_BOT_TOKEN: BOT_TOKEN,
    },
    asked: new Map(),
    person: { id: 42, name: 'Anna Smirnova', preferred_username: 'anna' },
    broken: undefined,
    token: undefined,
    denies: false,
    rotateKey() {
      own = { ...second, kid: 'oidc-2' }
    },
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }

  async function answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(req.url ?? '/', url)
    telegram.asked.set(pathname, (telegram.asked.get(pathname) ?? 0) + 1)
    const { broken } = telegram
    if (broken?.path === pathname) {
      if (broken.how === 'hangs') return
      res.statusCode = broken.how === 'garbage' ? 200 : broken.how
      res.setHeader('Content-Type', 'text/html').end('<h1>Telegram</h1>')
      return
    }
    const { status, body = {}, location } = await reply(req, pathname, searchParams)
    const headers = { 'Content-Type': 'application/json', ...(location && { Location: location }) }
    res.writeHead(status, headers).end(JSON.stringify(body))
  }

  async function reply(req: IncomingMessage, path: string, asked: URLSearchParams): Promise<Reply> {
    if (path === '/.well-known/openid-configuration') return { status: 200, body: metadata() }
    if (path === '/.well-known/jwks.json') {
      const key = { ...own.publicKey.export({ format: 'jwk' }), kid: own.kid, alg: 'RS256', use: 'sig' }
      return { status: 200, body: { keys: [key] } }
    }
    if (path === '/auth') {
      const location = asked.has('bot_id') ? await widget(asked) : authorize(asked)
      return location ? { status: 302, location } : { status: 400 }
    }
    if (path !== '/token' || req.method !== 'POST') return { status: 404 }
    let form = ''
    for await (const part of req) form += part
    return token(req.headers.authorization, new URLSearchParams(form))
  }

  const metadata = () => ({
    issuer: url,
    authorization_endpoint: `${url}/auth`,
    token_endpoint: `${url}/token`,
    jwks_uri: `${url}/.well-known/jwks.json`,
    response_types_supported: ['code'],
    subject_types_supported: ['pairwise'],
    id_token_signing_alg_values_supported: ['RS256'],
    code_challenge_methods_supported: ['S256'],
  })

  function authorize(asked: URLSearchParams): string | undefined {
    const isComplete =
      asked.get('response_type') === 'code' &&
      asked.get('client_id') === CLIENT_ID &&
      asked.get('code_challenge_method') === 'S256' &&
      asked.get('scope')?.split(' ').includes('openid')
    if (!isComplete) return undefined
    const back = new URL(asked.get('redirect_uri') ?? '')
    back.searchParams.set('state', asked.get('state') ?? '')
    if (telegram.denies) {
      back.searchParams.set('error', 'access_denied')
      return back.href
    }
    const code = randomBytes(16).toString('hex')
    grants.set(code, {
      challenge: asked.get('code_challenge') ?? '',
      redirectUri: asked.get('redirect_uri') ?? '',
      nonce: asked.get('nonce'),
    })
    back.searchParams.set('code', code)
    return back.href
  }

  async function widget(asked: URLSearchParams): Promise<string> {
    const { id, preferred_username } = telegram.person
    const fields = widgetFields({ id: String(id), username: preferred_username })
    const signed = telegram.denies ? false : await signWidget(fields, BOT_TOKEN)
    return `${asked.get('return_to')}#tgAuthResult=${base64url(JSON.stringify(signed))}`
  }

  function token(authorization: string | undefined, asked: URLSearchParams): Reply {
    const basic = `Basic ${Buffer.from(`${CLIENT_ID}:${CLIENT_SECRET}`).toString('base64')}`
    if (authorization !== basic) return { status: 401, body: { error: 'invalid_client' } }
    const code = asked.get('code') ?? ''
    const grant = grants.get(code)
    grants.delete(code)
    const challenge = createHash('sha256')
      .update(asked.get('code_verifier') ?? '')
      .digest('base64url')
    const isGranted =
      asked.get('grant_type') === 'authorization_code' &&
      grant?.challenge === challenge &&
      grant.redirectUri === asked.get('redirect_uri')
    if (!grant || !isGranted) return { status: 400, body: { error: 'invalid_grant' } }
    const bearer = { access_token: randomBytes(16).toString('hex'), token_type: 'Bearer', expires_in: 3_600 }
    return {
      status: 200,
      body: telegram.token === 'absent' ? bearer : { ...bearer, id_token: idToken(grant) },
    }
  }

  function idToken({ nonce }: Grant): string {
    const bad = telegram.token
    const nowS = Number(seconds())
    const { id, ...names } = telegram.person
    const claims = {
      iss: bad === 'wrong issuer' ? 'https://oauth.telegram.example' : url,
      aud: bad === 'wrong audience' ? '1' : CLIENT_ID,
      sub: `9${id}00`, // a number of its own for each bot, as Telegram's is
      iat: bad === 'expired' ? nowS - 7_200 : nowS,
      exp: bad === 'expired' ? nowS - 3_600 : nowS + 3_600,
      ...names,
      ...(bad !== 'without id' && { id }),
      ...(bad !== 'no nonce' && { nonce: bad === 'wrong nonce' ? 'another' : nonce }),
    }
    const key = bad === 'forged' ? stranger.privateKey : own.privateKey
    return signJwt(claims, key, bad === 'unknown key' ? 'oidc-9' : own.kid)
  }

  return telegram
}
