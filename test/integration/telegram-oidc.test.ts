// Log In With Telegram as a client of it: against a server of our own that is as strict, and as unreliable, as theirs.
import { AppError } from '../../src/errors.ts'
import {
  createOidc,
  newSecrets,
  type Oidc,
  type OidcSecrets,
} from '../../src/features/sessions/telegram/oidc.ts'
import { timed } from '../helpers/control-clock.ts'
import { type BadToken, type FakeTelegram, startFakeTelegram } from '../helpers/fake-telegram.ts'

const BACK = 'https://samovar.example/api/auth/telegram/callback'
const USER = { id: 'telegram:42', name: 'Anna Smirnova', username: 'anna' }

let telegram: FakeTelegram
let oidc: Oidc
beforeEach(async () => {
  telegram = await startFakeTelegram()
  oidc = clientOf(telegram)
})
afterEach(() => telegram.close())

function clientOf({ url, env }: FakeTelegram): Oidc {
  const { TELEGRAM_CLIENT_ID: clientId = '', TELEGRAM_CLIENT_SECRET: clientSecret = '' } = env
  return createOidc({ issuer: new URL(url), clientId, clientSecret })
}

/** The code that Telegram gives a browser which was sent to it with these secrets. */
async function codeFor(secrets: OidcSecrets, client = oidc): Promise<string> {
  const response = await fetch(await client.startUrl(secrets, BACK), { redirect: 'manual' })
  const back = new URL(response.headers.get('location') ?? '')
  expect(back.href.startsWith(`${BACK}?`)).toBe(true)
  expect(back.searchParams.get('state')).toBe(secrets.state)
  return back.searchParams.get('code') ?? ''
}

async function refusalOf(login: Promise<unknown>): Promise<[string, number]> {
  const error = await login.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(AppError)
  const { code, status } = error as AppError
  return [code, status]
}

test('a code gives the user, by the id that the other ways know; Telegram is discovered once', async () => {
  for (const _ of [1, 2]) {
    const secrets = newSecrets()
    expect(await oidc.userOf(await codeFor(secrets), secrets, BACK)).toEqual(USER)
  }
  expect(Object.fromEntries(telegram.asked)).toEqual({
    '/.well-known/openid-configuration': 1,
    '/.well-known/jwks.json': 1,
    '/auth': 2,
    '/token': 2,
  })
})

test('what Telegram is asked holds state, nonce and the hash of the verifier, and no secret', async () => {
  const secrets = newSecrets()
  const { searchParams, href } = await oidc.startUrl(secrets, BACK)
  expect(Object.fromEntries(searchParams)).toEqual({
    response_type: 'code',
    client_id: telegram.env.TELEGRAM_CLIENT_ID,
    redirect_uri: BACK,
    scope: 'openid profile',
    state: secrets.state,
    nonce: secrets.nonce,
    code_challenge: expect.stringMatching(/^[\w-]{43}$/),
    code_challenge_method: 'S256',
  })
  expect(href).not.toContain(secrets.verifier)
  expect(href).not.toContain(telegram.env.TELEGRAM_CLIENT_SECRET)
})

test.each<BadToken>([
  'wrong nonce',
  'wrong audience',
  'wrong issuer',
  'expired',
  'forged',
  'without id',
  'absent',
  'unknown key',
])('an ID token that is bad (%s) is refused', async (bad) => {
  telegram.token = bad
  const secrets = newSecrets()
  expect(await refusalOf(oidc.userOf(await codeFor(secrets), secrets, BACK))).toEqual(['login_refused', 401])
})

test('an ID token without a nonce is taken for the sake of its verifier', async () => {
  telegram.token = 'no nonce'
  const secrets = newSecrets()
  expect(await oidc.userOf(await codeFor(secrets), secrets, BACK)).toEqual(USER)
})

test('a code is refused without its verifier, for another address, a second time, and when made up', async () => {
  const secrets = newSecrets()
  const others = { ...secrets, verifier: newSecrets().verifier }
  expect(await refusalOf(oidc.userOf(await codeFor(secrets), others, BACK))).toEqual(['login_refused', 401])
  const elsewhere = oidc.userOf(await codeFor(secrets), secrets, `${BACK}2`)
  expect(await refusalOf(elsewhere)).toEqual(['login_refused', 401])
  const code = await codeFor(secrets)
  expect(await oidc.userOf(code, secrets, BACK)).toEqual(USER)
  expect(await refusalOf(oidc.userOf(code, secrets, BACK))).toEqual(['login_refused', 401])
  expect(await refusalOf(oidc.userOf('made-up', secrets, BACK))).toEqual(['login_refused', 401])
})

describe('Telegram failing, until it does not', () => {
  const paths = ['/.well-known/openid-configuration', '/.well-known/jwks.json', '/token']

  async function fail(server: FakeTelegram, broken: NonNullable<FakeTelegram['broken']>): Promise<void> {
    const client = clientOf(server)
    const secrets = newSecrets()
    const isDiscovery = broken.path.endsWith('configuration')
    const code = isDiscovery ? '' : await codeFor(secrets, client)
    server.broken = broken
    const call = () => (isDiscovery ? client.startUrl(secrets, BACK) : client.userOf(code, secrets, BACK))
    const { tookMs, answer } = await timed(() => refusalOf(call()))
    expect(answer).toEqual(['telegram_unavailable', 503])
    expect(tookMs).toBeLessThan(10_000) // five seconds, where it says nothing
    server.broken = undefined
    const again = newSecrets()
    expect(await client.userOf(await codeFor(again, client), again, BACK)).toEqual(USER)
  }

  describe.each(paths)('%s', (path) => {
    test.each([500, 503, 403, 'garbage'] as const)('%p', (how) => fail(telegram, { path, how }))
  })

  test('silence, wherever it begins', async () => {
    const servers = await Promise.all(paths.map(() => startFakeTelegram()))
    await Promise.all(servers.map((server, i) => fail(server, { path: paths[i] ?? '', how: 'hangs' })))
    await Promise.all(servers.map((server) => server.close()))
  })
})

test('nobody there at all is Telegram failing; a wrong client secret too, for a person cannot help it', async () => {
  const options = { clientId: '1', clientSecret: 'x' }
  const nobody = createOidc({ issuer: new URL('http://127.0.0.1:1'), ...options })
  expect(await refusalOf(nobody.startUrl(newSecrets(), BACK))).toEqual(['telegram_unavailable', 503])
  const secrets = newSecrets()
  const code = await codeFor(secrets)
  const stranger = createOidc({ issuer: new URL(telegram.url), ...options })
  expect(await refusalOf(stranger.userOf(code, secrets, BACK))).toEqual(['telegram_unavailable', 503])
})

describe('Telegram’s keys', () => {
  const logIn = async () => {
    const secrets = newSecrets()
    return oidc.userOf(await codeFor(secrets), secrets, BACK)
  }
  const keysRead = () => telegram.asked.get('/.well-known/jwks.json')

  test('a new one is followed by the very next login, with one more look at them', async () => {
    expect(await logIn()).toEqual(USER)
    telegram.rotateKey()
    expect(await logIn()).toEqual(USER)
    expect(await logIn()).toEqual(USER)
    expect([keysRead(), telegram.asked.get('/token')]).toEqual([2, 3]) // a code is used once
  })

  test('many tokens with one that nobody has make one look at them', async () => {
    expect(await logIn()).toEqual(USER)
    telegram.token = 'unknown key'
    const many = await Promise.all(Array.from({ length: 10 }, () => refusalOf(logIn())))
    expect(new Set(many.flat())).toEqual(new Set(['login_refused', 401]))
    expect(await refusalOf(logIn())).toEqual(['login_refused', 401])
    expect(keysRead()).toBe(2)
    telegram.token = undefined
    expect(await logIn()).toEqual(USER)
  })
})
