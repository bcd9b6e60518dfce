// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references of shells and templates, as people leave them
import { features } from '../../src/app.ts'
import { InvalidEnvironment, readAdminVariables, readConfig } from '../../src/config.ts'
import { coinGeckoOf } from '../../src/features/markets/feature.ts'
import { startApp } from '../helpers/app.ts'

const read = (env: Record<string, string>) => readConfig(features, env, false)
/** The values of one feature. */
const valuesOf = (feature: string, env: Record<string, string>): Record<string, unknown> =>
  read(env).features.get(feature) ?? {}

const problemsOf = (env: Record<string, string>): readonly string[] => {
  try {
    read(env)
  } catch (error) {
    if (error instanceof InvalidEnvironment) return error.problems
    throw error
  }
  return []
}

test('with nothing set it works, and asks for the embedded Redis', () => {
  const config = read({})
  expect(config).toMatchObject({ port: 8080, mode: 'embedded', adminToken: undefined, warnings: [] })
  expect(config.redis).toMatchObject({
    cache: { at: { host: 'localhost', port: 6379, tls: false }, database: 0 },
    budgetMs: 100,
  })
  expect(config.redis.state).toEqual(config.redis.cache)
  expect(config.cache).toEqual({ enabled: true, ttlMs: 300_000 })
  expect(config.features.get('reference')).toEqual({ CACHE_TTL_HOURS: 24 })
  expect(Object.isFrozen(config)).toBe(true)
})

test('proxies are trusted where a known platform has one, or where it is said', () => {
  expect(read({}).trustProxy).toBe(0)
  const proxies = { AMVERA: 1, RAILWAY_ENVIRONMENT: 1, RENDER: 3, FLY_APP_NAME: 2, DYNO: 1 }
  for (const [name, count] of Object.entries(proxies)) {
    expect([name, read({ [name]: 'x' }).trustProxy]).toEqual([name, count])
    expect([name, read({ [name]: '' }).trustProxy]).toEqual([name, 0])
    expect([name, read({ [name]: 'x', TRUST_PROXY: '0' }).trustProxy]).toEqual([name, 0])
  }
  expect(read({ TRUST_PROXY: '2' }).trustProxy).toBe(2)
})

describe('which Redis', () => {
  test.each<[string, Record<string, string>, object]>([
    ['a URL', { REDIS_URL: 'redis://:p%40ss@localhost:6380/3' }, { mode: 'embedded' }],
    ['an address of this machine', { REDIS_URL: 'redis://127.0.0.1' }, { mode: 'embedded' }],
    ['IPv6 loopback', { REDIS_URL: 'redis://[::1]:6379' }, { mode: 'embedded' }],
    ['another host', { REDIS_URL: 'rediss://default:x@eu1.upstash.io:6379' }, { mode: 'external' }],
    [
      'parts',
      { REDIS_HOST: 'redis.example', REDIS_PORT: '12345', REDIS_PASSWORD: 'p' },
      { mode: 'external' },
    ],
    [
      'the URL wins over the parts',
      { REDIS_URL: 'redis://localhost', REDIS_HOST: 'far.example' },
      { mode: 'embedded' },
    ],
    ['off', { REDIS_URL: 'off', STATE_REDIS_URL: 'redis://far.example' }, { mode: 'memory' }],
  ])('%s', (_name, env, expected) => {
    expect(read(env)).toMatchObject(expected)
  })

  test('user, password, port and database are read from the URL', () => {
    const { redis } = read({ REDIS_URL: 'redis://us%65r:p%40s%3As@localhost:6380/3' })
    expect(redis.cache).toEqual({
      at: { host: 'localhost', port: 6380, tls: false },
      database: 3,
      username: 'user',
      password: 'p@s:s',
    })
  })

  test('off switches both roles off, and an external one has a larger budget', () => {
    const off = read({ REDIS_URL: 'off', STATE_REDIS_URL: 'unix:///run/x.sock' })
    expect([off.redis.cache, off.redis.state]).toEqual([undefined, undefined])
    expect(read({ REDIS_HOST: 'far.example', REDIS_TLS: 'true' }).redis).toMatchObject({
      cache: { at: { tls: true } },
      budgetMs: 500,
    })
  })

  test('inside the image the one of this machine is at 127.0.0.1, whatever it is called', () => {
    for (const REDIS_HOST of ['::1', 'localhost', '0.0.0.0', '127.0.0.9'])
      expect(read({ REDIS_HOST, SAMOVAR_RUN_DIR: '/run/samovar', DATA_DIR: '/x' }).redis).toMatchObject({
        cache: { at: { host: '127.0.0.1', port: 6379 } },
      })
    expect(read({ REDIS_HOST: '::1' }).redis).toMatchObject({ cache: { at: { host: '::1' } } })
  })

  test('the state role may have a Redis of its own', () => {
    const { redis } = read({ STATE_REDIS_URL: 'unix:///run/state.sock' })
    expect(redis.state).toEqual({ at: { path: '/run/state.sock' }, database: 0 })
  })
})

describe('CoinGecko', () => {
  const coinGecko = (env: Record<string, string>) => coinGeckoOf(valuesOf('markets', env) as never)

  test('the public API unless said otherwise, and the other address for pro keys', () => {
    expect(coinGecko({})).toEqual({
      url: 'https://api.coingecko.com/api/v3',
      apiKey: undefined,
      plan: 'demo',
      callsPerMinute: 10,
      ttlMs: 60_000,
    })
    const pro = { COINGECKO_API_KEY: 'CG-x', COINGECKO_PLAN: 'pro' }
    expect(coinGecko(pro).url).toBe('https://pro-api.coingecko.com/api/v3')
    const own = { COINGECKO_URL: 'https://prices.example/api/' }
    expect(coinGecko({ ...pro, ...own }).url).toBe('https://prices.example/api')
  })

  test.each([
    [{ COINGECKO_PLAN: 'pro' }, 'COINGECKO_PLAN can only be pro with a key in COINGECKO_API_KEY'],
    [{ COINGECKO_PLAN: 'free' }, 'COINGECKO_PLAN must be demo or pro'],
    [
      { COINGECKO_URL: 'http://prices.example' },
      'COINGECKO_URL must be https://, or http:// on this machine',
    ],
    [{ COINGECKO_URL: 'https://prices.example/?a=b' }, 'COINGECKO_URL must have no ? and no #'],
    [
      { COINGECKO_API_KEY: 'with space' },
      'COINGECKO_API_KEY must be the key that CoinGecko shows, such as CG-…',
    ],
    [{ COINGECKO_CALLS_PER_MINUTE: '0' }, 'COINGECKO_CALLS_PER_MINUTE must be from 1 to 1000'],
    [{ COINGECKO_TTL: '0' }, 'COINGECKO_TTL must be more than 0'],
  ])('%j is refused', (env, problem) => {
    expect(problemsOf(env)).toEqual([problem])
  })
})

test('every problem is named at once, without the value: it may be a secret', () => {
  const problems = problemsOf({
    PORT: '80a',
    REDIS_URL: 'http://user:sentinel@host',
    CACHE_TTL_HOURS: '-1',
    CACHE_ENABLED: 'maybe',
    ADMIN_TOKEN: 'short',
    LOG_LEVEL: 'loud', // of another program
    REDIS_CA_FILE: '/does/not/exist', // of no use without TLS
  })
  const named = problems.map((problem) => problem.split(' ')[0])
  expect(named.sort()).toEqual(
    ['ADMIN_TOKEN', 'CACHE_ENABLED', 'CACHE_TTL_HOURS', 'PORT', 'REDIS_URL'].sort(),
  )
  expect(problems.join()).not.toContain('sentinel')
})

test.each<[string, Record<string, string>]>([
  ['a port of 0', { PORT: '0' }],
  ['a port too high', { PORT: '70000' }],
  ['a database that is no number', { REDIS_URL: 'redis://localhost/x' }],
  ['a stray percent sign', { REDIS_URL: 'redis://:50%@localhost' }],
  ['TLS to the embedded Redis', { REDIS_URL: 'rediss://localhost' }],
  ['an endless TTL', { CACHE_TTL_HOURS: 'Infinity' }],
])('refuses %s', (_name, env) => {
  expect(problemsOf(env)).toHaveLength(1)
})

test('an empty variable counts as unset', () => {
  expect(read({ PORT: '', REDIS_URL: '' })).toMatchObject({ port: 8080, mode: 'embedded' })
})

test('a near-miss of one of our names is a warning, other names are none of our business', () => {
  const { warnings } = read({ REDIS_ULR: 'x', admin_token: 'x', PATH: 'x', HOME: 'x', OTHER_URL: 'x' })
  expect(warnings).toEqual([
    'REDIS_ULR is not a variable of Samovar; did you mean REDIS_URL?',
    'admin_token is not a variable of Samovar; did you mean ADMIN_TOKEN?',
  ])
})

test.each(['short', 'with a space in it', 'пароль-администратора'])(
  'the admin token %s is refused: nobody could send it',
  (token) => {
    expect(problemsOf({ ADMIN_TOKEN: token })).toEqual([
      expect.stringMatching(/^ADMIN_TOKEN must have at least 8 characters/),
    ])
  },
)

describe('the secrets of sessions', () => {
  test('none, one, or several of which the first signs', () => {
    const secretsOf = (SESSION_SECRET: string) => read({ SESSION_SECRET }).secrets
    expect(secretsOf('')).toBeUndefined()
    expect(secretsOf('a'.repeat(16))).toEqual(['a'.repeat(16)])
    expect(secretsOf(`${'a'.repeat(16)}, ${'b'.repeat(20)}`)).toEqual(['a'.repeat(16), 'b'.repeat(20)])
  })

  test.each(['short', `${'a'.repeat(16)},`, `${'a'.repeat(16)},hush`])(
    '%s is refused, and not repeated',
    (given) => {
      expect(problemsOf({ SESSION_SECRET: given })).toEqual([
        'SESSION_SECRET must have at least 16 characters between commas',
      ])
    },
  )
})

describe('Telegram', () => {
  test('is theirs unless said, and nothing of it is set', () => {
    expect(valuesOf('sessions', {})).toEqual({
      TELEGRAM_ISSUER: new URL('https://oauth.telegram.org/'),
      TELEGRAM_BOT_TOKEN: undefined,
      TELEGRAM_CLIENT_ID: undefined,
      TELEGRAM_CLIENT_SECRET: undefined,
    })
  })

  test.each(['https://login.example', 'http://127.0.0.1:4000', 'http://localhost:4000', 'http://[::1]:4000'])(
    'the issuer %s is fine',
    (TELEGRAM_ISSUER) => {
      expect(problemsOf({ TELEGRAM_ISSUER })).toEqual([])
    },
  )

  test.each([
    ['TELEGRAM_ISSUER', 'http://oauth.telegram.org'],
    ['TELEGRAM_ISSUER', 'http://127.0.0.1.evil.example'],
    ['TELEGRAM_ISSUER', 'ftp://127.0.0.1'],
    ['TELEGRAM_ISSUER', 'oauth.telegram.org'],
    ['TELEGRAM_BOT_TOKEN', 'AAH-secret-without-a-number'],
    ['TELEGRAM_BOT_TOKEN', '123:secret with spaces'],
    ['TELEGRAM_CLIENT_ID', 'a b'],
    ['TELEGRAM_CLIENT_SECRET', 'secret with spaces'],
  ])('%s=%s is one problem, which does not repeat the value', (name, value) => {
    const problems = problemsOf({ [name]: value })
    expect(problems).toEqual([expect.stringContaining(`${name} must`)])
    expect(problems[0]).not.toContain(value)
  })
})

describe('ICE servers', () => {
  const serversOf = (ICE_SERVERS: string) => valuesOf('calls', { ICE_SERVERS }).ICE_SERVERS

  test('are what RTCConfiguration.iceServers may be; none is the default', () => {
    const servers = [
      { urls: 'stun:stun.example.org:3478' },
      { urls: ['turn:turn.example.org', 'turns:turn.example.org'], username: 'u', credential: 'c' },
    ]
    expect(serversOf(JSON.stringify(servers))).toEqual(servers)
    expect(valuesOf('calls', {})).toEqual({ ICE_SERVERS: [], CALL_SOCKETS: 1_000 })
  })

  test.each([
    ['stun:stun.example.org', 'must be a JSON array'],
    ['{"urls":"stun:x"}', 'must be a JSON array'],
    ['["stun:x"]', 'must have objects'],
    ['[null]', 'must have objects'],
    ['[{"urls":"stun:x","password":"sentinel"}]', 'must have objects'],
    ['[{"urls":"https://x"}]', 'begin with stun:'],
    ['[{"urls":[]}]', 'begin with stun:'],
    ['[{"urls":"turn:x"}]', 'a username and a credential'],
    ['[{"urls":"turn:x","username":"u","credential":["sentinel"]}]', 'a username and a credential'],
    [JSON.stringify(Array(11).fill({ urls: 'stun:x' })), 'at most 10'],
  ])('%s is refused, and nothing of it repeated', (text, problem) => {
    expect(() => serversOf(text)).toThrow(problem)
    expect(() => serversOf(text)).not.toThrow('sentinel')
  })
})

describe('webhook sources', () => {
  const key = Buffer.alloc(24, 1).toString('base64')
  const key32 = Buffer.alloc(32, 2).toString('base64') // ends with =

  test('name, scheme and secrets, split at the first =', () => {
    const webhooks = valuesOf('webhooks', {
      WEBHOOK_SECRETS: `payments=whsec_${key32}|${key}, repo:github=It's=a secret,bot:telegram=token_-1234`,
      WEBHOOK_CLOSED: 'payments, bot',
      WEBHOOK_TOLERANCE_SECONDS: '60',
    })
    expect([...(webhooks.WEBHOOK_SECRETS as Map<string, object>)]).toEqual([
      ['payments', { secrets: [`whsec_${key32}`, key] }],
      ['repo', { scheme: 'github', secrets: ["It's=a secret"] }],
      ['bot', { scheme: 'telegram', secrets: ['token_-1234'] }],
    ])
    expect([webhooks.WEBHOOK_CLOSED, webhooks.WEBHOOK_TOLERANCE_SECONDS]).toEqual([['payments', 'bot'], 60])
  })

  test('none is the default', () => {
    expect(valuesOf('webhooks', {})).toEqual({
      WEBHOOK_SECRETS: new Map(),
      WEBHOOK_ADDRESSES: new Map(),
      WEBHOOK_API_URLS: new Map(),
      WEBHOOK_CLOSED: [],
      WEBHOOK_TOLERANCE_SECONDS: 300,
    })
  })

  test.each<[string, string, string]>([
    ['no secret', 'sentinel', 'must be source=secret'],
    ['no name', '=sentinel-secret', 'must begin with a name'],
    ['a name with a slash', 'a/b=sentinel-secret', 'must begin with a name'],
    [
      'an unknown scheme',
      'a:strype=sentinel-secret',
      'has a scheme that is none of: standard, stripe, github',
    ],
    ['a scheme that every object has', 'a:toString=sentinel-secret', 'has a scheme'],
    ['two schemes', 'a:github:telegram=sentinel-secret', 'has a scheme'],
    ['no base64', 'a=whsec_sentinel!sentinel!sentinel!sentinel', '24 to 96 bytes'],
    ['a short key', `a=whsec_${Buffer.alloc(23).toString('base64')}`, '24 to 96 bytes'],
    ['a long key', `a=${Buffer.alloc(97).toString('base64')}`, '24 to 96 bytes'],
    ['an empty second secret', `a=${key}|`, '24 to 96 bytes'],
    ['a short secret', 'a:github=sent', 'at least 8'],
    ['a token with other characters', 'a:telegram=sentinel.secret', '8 to 256'],
    ['too many secrets', `a=${Array.from({ length: 6 }, () => key).join('|')}`, 'more than 5'],
    ['the same name twice', `a=${key},a=${key}`, 'name of another'],
    ['an empty secret of GitHub', 'a:github=', 'at least 8'],
    ['no secret of a scheme that needs one', 'a:github', 'must be source=secret'],
    ['a bot’s token that is not set anywhere', 'a:telegram', 'TELEGRAM_BOT_TOKEN is not set'],
    ['a public key of Standard Webhooks', 'a=v1a,whpk_sentinel', 'asymmetric'],
    ['a key of Stripe that is not the endpoint’s', 'stripe=sk_test_sentinel1234567', 'signing secret'],
    ['half a key of YooKassa', 'a:yookassa=live_sentinel', 'id and the secret key'],
    ['a comma at the end', `a=${key},`, 'must be source=secret'],
  ])('refuses %s, without repeating it', (_name, secrets, sentence) => {
    const [problem, ...rest] = problemsOf({ WEBHOOK_SECRETS: secrets })
    expect(rest).toEqual([])
    expect(problem).toMatch(/^WEBHOOK_SECRETS entry [12] /)
    expect(problem).toContain(sentence)
    expect(problem).not.toContain('sent')
  })

  test('the comma of a secret as Supabase writes it divides nothing', () => {
    const text = `hook=v1,whsec_${key32}|v1,whsec_${key},whsec_1=${key}`
    expect([
      ...(valuesOf('webhooks', { WEBHOOK_SECRETS: text }).WEBHOOK_SECRETS as Map<string, object>),
    ]).toEqual([
      ['hook', { secrets: [`v1,whsec_${key32}`, `v1,whsec_${key}`] }],
      ['whsec_1', { secrets: [key] }],
    ])
  })

  test('a bot’s token may be that of TELEGRAM_BOT_TOKEN', () => {
    const env = { WEBHOOK_SECRETS: 'bot:telegram', TELEGRAM_BOT_TOKEN: `12345678:${'A'.repeat(35)}` }
    expect(problemsOf(env)).toEqual([])
  })

  test.each([
    [{ WEBHOOK_ADDRESSES: 'a=10.0.0.1' }, 'WEBHOOK_ADDRESSES must name sources'],
    [{ WEBHOOK_ADDRESSES: 'p=10.0.0.0/33' }, 'WEBHOOK_ADDRESSES of p: number 1 is no address'],
    [{ WEBHOOK_ADDRESSES: 'p=10.0.0.1|x' }, 'WEBHOOK_ADDRESSES of p: number 2 is no address'],
    [{ WEBHOOK_ADDRESSES: 'p' }, 'WEBHOOK_ADDRESSES entry 1 must be source=value'],
    [{ WEBHOOK_API_URLS: 'p=ftp://x' }, 'WEBHOOK_API_URLS of p must be https://'],
    [{ WEBHOOK_API_URLS: 'p=https://a|https://b' }, 'WEBHOOK_API_URLS of p names more than one'],
    [{ WEBHOOK_API_URLS: 'a=https://a' }, 'WEBHOOK_API_URLS must name sources'],
  ])('%j is refused', (env, sentence) => {
    const [problem, ...rest] = problemsOf({ WEBHOOK_SECRETS: `p=${key}`, ...env })
    expect(rest).toEqual([])
    expect(problem).toContain(sentence)
  })

  test('what is closed must be there; without Redis it stays closed, and the log says so', async () => {
    expect(problemsOf({ WEBHOOK_CLOSED: 'payments' })).toEqual([
      'WEBHOOK_CLOSED must name sources that WEBHOOK_SECRETS names',
    ])
    const env = { REDIS_URL: 'off', WEBHOOK_SECRETS: `payments=${key}`, WEBHOOK_CLOSED: 'payments' }
    const app = await startApp(env)
    await app.close()
    expect(app.lines).toContainEqual(
      expect.objectContaining({
        level: 'warn',
        message: 'without Redis (REDIS_URL=off) the sources in WEBHOOK_CLOSED accept nothing',
      }),
    )
  })
})

describe('databases', () => {
  const databaseOf = (env: Record<string, string>) => read(env).database

  test('none is SQLite; a URL of PostgreSQL; or Supabase', () => {
    expect(databaseOf({})).toEqual({ postgres: undefined, supabase: undefined })
    expect(
      databaseOf({ DATABASE_URL: 'postgresql://us%65r:p%40ss@db.example:6543/app?sslmode=require' }),
    ).toEqual({
      postgres: {
        host: 'db.example',
        port: 6543,
        user: 'user',
        password: 'p@ss',
        database: 'app',
        tls: 'encrypted',
      },
      supabase: undefined,
    })
    const supabase = { SUPABASE_URL: 'https://abc.supabase.co', SUPABASE_ANON_KEY: 'sb_publishable_x' }
    expect(databaseOf(supabase).supabase).toEqual({
      url: new URL('https://abc.supabase.co'),
      anonKey: 'sb_publishable_x',
    })
  })

  test.each([
    ['', 'off'],
    ['?sslmode=disable', 'off'],
    ['?sslmode=verify-ca', 'verified-authority'],
    ['?sslmode=verify-full&application_name=x', 'verified'],
  ])('%s: TLS is %s', (query, tls) => {
    const { postgres } = databaseOf({ DATABASE_URL: `postgres://u@[::1]/app${query}` })
    expect(postgres).toEqual({ host: '::1', port: 5432, user: 'u', database: 'app', tls })
  })

  test.each<[Record<string, string>, string]>([
    [{ DATABASE_URL: 'mysql://u:sentinel@h/app' }, 'DATABASE_URL is for MySQL'],
    [{ DATABASE_URL: 'postgres://u:sentinel@h' }, 'DATABASE_URL must look like postgres://'],
    [{ DATABASE_URL: 'postgres://h/app' }, 'DATABASE_URL must look like postgres://'],
    [{ DATABASE_URL: 'postgres://u:sentinel%@h/app' }, 'DATABASE_URL has a user or password with a stray %'],
    [
      { DATABASE_URL: 'postgres://u:sentinel@h/app?sslmode=perhaps' },
      'DATABASE_URL has an sslmode that is not one of',
    ],
    [{ SUPABASE_URL: 'abc.supabase.co', SUPABASE_ANON_KEY: 'sentinel' }, 'SUPABASE_URL must be a URL'],
    [{ SUPABASE_URL: 'https://u:sentinel@h' }, 'SUPABASE_URL must look like'],
    [{ SUPABASE_ANON_KEY: 'sentinel with spaces' }, 'SUPABASE_ANON_KEY must be the anon'],
    [{ SUPABASE_URL: 'https://abc.supabase.co' }, 'SUPABASE_URL and SUPABASE_ANON_KEY belong together'],
    [{ SUPABASE_ANON_KEY: 'sentinel' }, 'SUPABASE_URL and SUPABASE_ANON_KEY belong together'],
  ])('%j is one problem, which repeats no secret', (env, sentence) => {
    const problems = problemsOf(env)
    expect(problems).toEqual([expect.stringContaining(sentence)])
    expect(problems.join()).not.toContain('sentinel')
  })
})

describe('what the variables mean together', () => {
  const cacheOf = (env: Record<string, string>) => read(env).redis.cache
  const warningsOf = (env: Record<string, string>) => read(env).warnings

  test('a URL without a password takes it from REDIS_PASSWORD, here and elsewhere', () => {
    expect(cacheOf({ REDIS_URL: 'redis://h', REDIS_PASSWORD: 'p\n' })).toMatchObject({ password: 'p' })
    expect(cacheOf({ REDIS_URL: 'redis://localhost', REDIS_PASSWORD: 'p' })).toMatchObject({ password: 'p' })
    const both = { REDIS_URL: 'redis://h', REDIS_PASSWORD: 'p', REDIS_USERNAME: 'u' }
    expect(cacheOf(both)).toMatchObject({ username: 'u', password: 'p' })
    expect(cacheOf({ ...both, REDIS_URL: 'redis://own@h' })).toMatchObject({ username: 'own', password: 'p' })
    const own = { REDIS_URL: 'redis://:q@h', REDIS_PASSWORD: 'sentinel' }
    expect(cacheOf(own)).toMatchObject({ password: 'q' })
    expect(warningsOf(own)).toEqual(['REDIS_URL wins over REDIS_PASSWORD, which is not read'])
  })

  test('parts beside a URL are not judged; where they say something else, that is said', () => {
    const env = {
      REDIS_URL: 'redis://h',
      REDIS_PORT: 'tcp://10.0.0.2:6379',
      REDIS_DB: 'none',
      REDIS_HOST: 'a b',
    }
    expect(problemsOf(env)).toEqual([])
    expect(
      warningsOf({ REDIS_URL: 'redis://h', REDIS_HOST: 'h', REDIS_PORT: '6379', REDIS_TLS: 'no' }),
    ).toEqual([])
    expect(warningsOf({ REDIS_URL: 'redis://h', REDIS_TLS: 'yes', REDIS_PORT: '6380' })).toEqual([
      'REDIS_URL wins over REDIS_PORT and REDIS_TLS, which are not read: for TLS write rediss://',
    ])
  })

  test('what nothing uses is not judged', () => {
    const off = {
      REDIS_URL: 'off',
      STATE_REDIS_URL: 'x',
      REDIS_CA_FILE: '/none',
      REDIS_BUDGET_MS: 'x',
      REDIS_PORT: 'x',
    }
    expect(problemsOf(off)).toEqual([])
    expect(problemsOf({ REDIS_URL: 'redis://h', REDIS_CA_FILE: '/none' })).toEqual([])
    expect(problemsOf({ REDIS_URL: 'rediss://h', REDIS_CA_FILE: '/none' })).toEqual([
      'REDIS_CA_FILE cannot be read: ENOENT',
    ])
    expect(
      problemsOf({ DATABASE_URL: 'postgres://u:p@h/d', SUPABASE_URL: 'x', SUPABASE_ANON_KEY: 'a b' }),
    ).toEqual([])
    expect(problemsOf({ REDIS_TLS: 'yes' })).toEqual([])
  })

  test.each(['REDIS_PORT', 'PORT', 'REDIS_DB', 'CALL_SOCKETS', 'COINGECKO_TTL'])(
    '%s=tcp://… is what Kubernetes and links inject',
    (name) => {
      const { port, warnings } = read({ [name]: 'tcp://10.0.0.2:6379' })
      expect(port).toBe(8080)
      expect(warnings).toEqual([expect.stringMatching(new RegExp(`^${name} is ignored: .*Kubernetes`))])
    },
  )

  test('words for off, and for yes and no, in any case', () => {
    for (const word of ['off', 'OFF', 'false', 'none', 'disabled'])
      expect([word, read({ REDIS_URL: word }).mode]).toEqual([word, 'memory'])
    for (const word of ['True', 'YES', 'on', '1', 'enabled'])
      expect([word, read({ HSTS_INCLUDE_SUBDOMAINS: word }).hstsSubdomains]).toEqual([word, true])
    for (const word of ['False', 'no', 'OFF', '0', 'n'])
      expect([word, read({ CACHE_ENABLED: word }).cache.enabled]).toEqual([word, false])
  })

  test('levels of other programs, in any case; what is none of them is another program’s', () => {
    const levelOf = (LOG_LEVEL: string) => read({ LOG_LEVEL }).log.level
    expect(['INFO', 'Warning', 'critical', 'verbose', 'off'].map(levelOf)).toEqual([
      ...['info', 'warn', 'fatal', 'debug', 'silent'],
    ])
    for (const LOG_LEVEL of ['20', 'app=debug,redis=warn', 'sentinel']) {
      expect(levelOf(LOG_LEVEL)).toBe('info')
      expect(warningsOf({ LOG_LEVEL })).toEqual([
        expect.stringMatching(/^LOG_LEVEL must be trace, .* another program/),
      ])
      expect(warningsOf({ LOG_LEVEL }).join()).not.toContain('sentinel')
    }
    expect(read({ LOG_FORMAT: 'JSON' }).log.format).toBe('json')
    expect(warningsOf({ LOG_FORMAT: 'combined' })).toEqual([
      expect.stringContaining('LOG_FORMAT must be json or pretty'),
    ])
  })

  test('proxies and processes as others count them', () => {
    expect(['true', 'Yes', 'false', '2'].map((TRUST_PROXY) => read({ TRUST_PROXY }).trustProxy)).toEqual([
      1, 1, 0, 2,
    ])
    expect(problemsOf({ TRUST_PROXY: '10.0.0.0/8' })).toEqual([
      expect.stringContaining('not their addresses'),
    ])
    expect(['0', '3', '200'].map((WEB_CONCURRENCY) => read({ WEB_CONCURRENCY }).workers)).toEqual([1, 3, 200])
    for (const WEB_CONCURRENCY of ['auto', 'MAX'])
      expect(read({ WEB_CONCURRENCY }).workers).toBeGreaterThan(0)
    expect(read({ WEB_CONCURRENCY: 'two' })).toMatchObject({ workers: 1, warnings: [expect.any(String)] })
  })

  test('numbers with the unit they are in, or underscores; another unit is refused with the right one', () => {
    expect(read({ REDIS_TTL: '300s' }).cache.ttlMs).toBe(300_000)
    expect(read({ REDIS_TTL: '3_600' }).cache.ttlMs).toBe(3_600_000)
    expect(read({ REDIS_BUDGET_MS: '500 ms' }).redis.budgetMs).toBe(500)
    expect(read({ MEMORY_BUDGET_MB: '64MB' }).memoryBudgetBytes).toBe(64 * 1024 * 1024)
    expect(problemsOf({ REDIS_TTL: '5m' })).toEqual([
      'REDIS_TTL must be a positive number of seconds, without another unit',
    ])
    expect(problemsOf({ MEMORY_BUDGET_MB: '1g' })).toEqual([
      expect.stringContaining('of MB, without another unit'),
    ])
  })

  test('what stands around values is said once, by name', () => {
    const env = {
      PORT: '"8081" # app',
      REDIS_TTL: "'60'",
      ADMIN_TOKEN: '"sentinel-token"\r\n',
      TELEGRAM_BOT_TOKEN: "''",
    }
    expect(read(env)).toMatchObject({ port: 8081, adminToken: 'sentinel-token' })
    expect(warningsOf(env)).toEqual([
      'read without what stands around the value: PORT (quotes, a comment), REDIS_TTL (quotes) and ADMIN_TOKEN (line breaks, quotes)',
    ])
    expect(read({ 'export PORT': '8082' }).port).toBe(8082)
    expect(read({ '\ufeffPORT': '8083' }).port).toBe(8083)
  })

  test('a reference that nothing has replaced stops the start, and its name is given', () => {
    expect(problemsOf({ REDIS_URL: 'redis://:${REDIS_PASSWORD}@redis:6379' })).toEqual([
      expect.stringContaining(
        'REDIS_URL has ${REDIS_PASSWORD} in it, which nothing has replaced: write the value itself',
      ),
    ])
    expect(problemsOf({ REDIS_URL: 'redis://:$REDIS_PASSWORD@redis:6379' })).toEqual([
      expect.stringContaining('$REDIS_PASSWORD'),
    ])
    expect(problemsOf({ REDIS_URL: 'redis://:pa$$word$1@redis:6379' })).toEqual([])
    expect(problemsOf({ ADMIN_TOKEN: '${ADMIN:-sentinel-default}' }).join()).not.toContain('sentinel')
  })

  test('PostgreSQL wins over Supabase, with one warning; another’s SQLite is not ours', () => {
    const both = {
      DATABASE_URL: 'postgresql://postgres.abc:p@aws-0-eu.pooler.supabase.com:6543/postgres',
      SUPABASE_URL: 'https://abc.supabase.co',
      SUPABASE_ANON_KEY: 'eyJexample',
    }
    expect(read(both).database).toMatchObject({ postgres: { port: 6543 }, supabase: undefined })
    expect(warningsOf(both)).toEqual([
      'DATABASE_URL and SUPABASE_URL are both set: DATABASE_URL is used, SUPABASE_URL is not',
    ])
    for (const DATABASE_URL of ['file:./dev.db', 'sqlite:///db.sqlite3']) {
      expect(read({ DATABASE_URL }).database).toEqual({ postgres: undefined, supabase: undefined })
      expect(warningsOf({ DATABASE_URL })).toEqual([
        expect.stringContaining('DATABASE_URL is a file of SQLite'),
      ])
    }
  })

  test('others’ names are named where ours is missing, and only there', () => {
    const hintOf = (env: Record<string, string>) => warningsOf(env).join('\n')
    for (const name of [
      'REDISCLOUD_URL',
      'REDIS_TLS_URL',
      'KV_URL',
      'UPSTASH_REDIS_REST_URL',
      'REDISHOST',
      'HEROKU_REDIS_TEAL_URL',
    ])
      expect(hintOf({ [name]: 'sentinel' })).toMatch(
        new RegExp(`^${name} is set and not read: .* give REDIS_URL `),
      )
    expect(hintOf({ KV_URL: 'x', REDIS_URL: 'redis://h' })).toBe('')
    expect(hintOf({ REDIS_HOST: 'h', REDIS_PASS: 'x', REDIS_SSL: 'x' })).toContain('give REDIS_PASSWORD')
    expect(hintOf({ POSTGRES_PRISMA_URL: 'x' })).toContain('give DATABASE_URL')
    expect(hintOf({ BOT_TOKEN: 'x' })).toContain('give TELEGRAM_BOT_TOKEN')
    const supabase = { SUPABASE_URL: 'https://abc.supabase.co', SUPABASE_KEY: 'eyJexample' }
    expect(hintOf(supabase)).toContain(
      'SUPABASE_KEY is set and not read: if that is meant here, give SUPABASE_ANON_KEY',
    )
    expect(read(supabase).database.supabase).toBeUndefined()
  })

  test('a host that is a whole URL does not silently beat its parts, TLS among them', () => {
    const parts = { REDIS_HOST: 'redis://cache.example.com', REDIS_PORT: '6380', REDIS_TLS: 'true' }
    expect(problemsOf(parts)).toEqual([expect.stringContaining('write all of it into REDIS_URL')])
    expect(problemsOf({ REDIS_HOST: 'localhost', REDIS_TLS: 'true' })).toEqual([
      expect.stringContaining('REDIS_TLS must be false'),
    ])
    expect(problemsOf({ REDIS_URL: 'unix:///a%zz' })).toEqual([expect.stringContaining('%25')])
    expect(problemsOf({ DATABASE_URL: 'postgres://a:[YOUR-PASSWORD]@db/x' })).toEqual([
      expect.stringContaining('placeholder'),
    ])
    for (const DATA_DIR of ['/app/image', '/usr/bin', '/proc/1', '/var/run/samovar'])
      expect(problemsOf({ SAMOVAR_RUN_DIR: '/run/samovar', DATA_DIR })).toHaveLength(1)
  })

  test('in the image data are in an absolute directory; the app’s port is not the embedded Redis’', () => {
    const image = { SAMOVAR_RUN_DIR: '/run/samovar' }
    expect(read(image).dataDir).toBe('/data')
    expect(read({ ...image, DATA_DIR: '"/data/my app"\n' }).dataDir).toBe('/data/my app')
    expect(problemsOf({ ...image, DATA_DIR: './data' })).toEqual([
      expect.stringContaining('must be an absolute path'),
    ])
    expect(problemsOf({ PORT: '6379' })).toEqual([
      expect.stringContaining('the Redis on this machine has that port'),
    ])
    expect(readAdminVariables({ ...image, ADMIN_TOKEN: '"sentinel-token"', DATA_DIR: "'/data'" })).toEqual({
      adminToken: 'sentinel-token',
      dataDir: '/data',
      port: 8080,
    })
  })
})

describe('DATA_DIR', () => {
  const inImage = (DATA_DIR: string, more = {}) =>
    read({ DATA_DIR, SAMOVAR_RUN_DIR: '/run/samovar', REDIS_URL: 'off', ...more }).dataDir

  test('is read once by the image, and by the app as it comes from there', () => {
    expect(inImage('"/data/a # b"')).toBe('/data/a # b')
    expect(inImage('" /data/a " # on the volume')).toBe('/data/a')
    expect(readAdminVariables({ DATA_DIR: '" /data/a "' }).dataDir).toBe('/data/a')
    for (const path of ['/data/a # b', "/data/'q'", '/data/${X}'])
      expect(inImage(path, { SAMOVAR_EMBEDDED: 'true' })).toBe(path)
  })
})

describe('what people paste', () => {
  test('of Supabase: the Data API’s address is the project’s; the dashboard’s is refused', () => {
    const key = { SUPABASE_ANON_KEY: 'sb_publishable_fake' }
    const urlOf = (SUPABASE_URL: string) => read({ SUPABASE_URL, ...key }).database.supabase?.url.href
    for (const end of ['', '/', '/rest/v1', '/rest/v1/'])
      expect(urlOf(`https://abc.supabase.co${end}`)).toBe('https://abc.supabase.co/')
    expect(urlOf('https://api.example/base/rest/v1/')).toBe('https://api.example/base/')
    expect(problemsOf({ SUPABASE_URL: 'https://supabase.com/dashboard/project/abc', ...key })).toEqual([
      expect.stringContaining('SUPABASE_URL is the address of the dashboard'),
    ])
  })

  test('of CoinGecko: a plan in any case, by the name it has there', () => {
    for (const [plan, meant] of [
      ['Demo', 'demo'],
      ['PRO', 'pro'],
      ['Analyst', 'pro'],
    ])
      expect(valuesOf('markets', { COINGECKO_PLAN: plan ?? '', COINGECKO_API_KEY: 'CG-x' })).toMatchObject({
        COINGECKO_PLAN: meant,
      })
  })

  test('of senders: entries behind a semicolon, a space or a line break are no part of a secret', () => {
    const secret = `whsec_${'a'.repeat(32)}`
    for (const between of ['; ', ';', ' ', '\n'])
      expect(problemsOf({ WEBHOOK_SECRETS: `stripe=${secret}${between}repo:github=long-enough` })).toEqual([
        'WEBHOOK_SECRETS entry 1 holds another entry: divide entries by commas',
      ])
    for (const entry of ['what;ever=', 'a secret=of GitHub', 'correct horse=battery staple'])
      expect(problemsOf({ WEBHOOK_SECRETS: `repo:github=${entry},bot:telegram=long-enough` })).toEqual([])
  })
})
