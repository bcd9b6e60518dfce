// The only reader of the environment: read once, complete, frozen, every problem named at once.
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { distance } from 'fastest-levenshtein'
import { z } from 'zod'
import { type IceServer, parseIceServers } from './lib/ice-servers.ts'
import { type PostgresTarget, parsePostgresUrl } from './lib/postgres-url.ts'
import { isLoopback, parseRedisUrl, type RedisTarget } from './lib/redis-url.ts'
import { HOUR, SECOND } from './lib/time.ts'
import { parseWebhookSources, type WebhookSource } from './lib/webhook-sources.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** `embedded`: our own servers, or whatever answers on loopback; `external`: somebody's; `memory`: none. */
export type Mode = 'embedded' | 'external' | 'memory'

/** Thrown with every problem of the environment, one line each. */
export class InvalidEnvironment extends Error {
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(`The configuration is not usable:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`)
    this.problems = problems
  }
}

const integer = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d{1,15}$/, `must be a whole number from ${min} to ${max}`)
    .transform(Number)
    .refine((value) => value >= min && value <= max, `must be from ${min} to ${max}`)
const positive = z
  .string()
  .regex(/^\d{1,9}(\.\d{1,6})?$/, 'must be a positive number')
  .transform(Number)
  .refine((value) => value > 0, 'must be more than 0')
const flag = z
  .enum(['true', 'false', '1', '0'], { error: 'must be true or false' })
  .transform((value) => value === 'true' || value === '1')
const redisUrl = z.string().transform((value, context): RedisTarget => {
  const target = parseRedisUrl(value)
  if (typeof target !== 'string') return target
  context.issues.push({ code: 'custom', message: target, input: value })
  return z.NEVER
})
const postgresUrl = z.string().transform((value, context): PostgresTarget => {
  const target = parsePostgresUrl(value)
  if (typeof target !== 'string') return target
  context.issues.push({ code: 'custom', message: target, input: value })
  return z.NEVER
})
const webAddress = z
  .string()
  .refine((value) => URL.canParse(value), 'must be a URL')
  .transform((value) => new URL(value))
  .refine(
    ({ protocol, username, search }) =>
      (protocol === 'https:' || protocol === 'http:') && username === '' && search === '',
    'must look like https://name.supabase.co',
  )
const secrets = z
  .string()
  .transform((value) => value.split(',').map((secret) => secret.trim()))
  .refine((all) => all.every(({ length }) => length >= 16), 'must have at least 16 characters between commas')
const webhookSources = z.string().transform((value, context): ReadonlyMap<string, WebhookSource> => {
  const sources = parseWebhookSources(value)
  if (!Array.isArray(sources)) return sources as ReadonlyMap<string, WebhookSource>
  for (const message of sources) context.issues.push({ code: 'custom', message, input: value })
  return z.NEVER
})
const iceServers = z.string().transform((value, context): readonly IceServer[] => {
  const servers = parseIceServers(value)
  if (typeof servers !== 'string') return servers
  context.issues.push({ code: 'custom', message: servers, input: value })
  return z.NEVER
})
const names = z.string().transform((value) => value.split(',').map((name) => name.trim()))
const fileContents = z.string().transform((path, context) => {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const message = `cannot be read: ${(error as NodeJS.ErrnoException).code}`
    context.issues.push({ code: 'custom', message, input: path })
    return z.NEVER
  }
})

// Over http anybody on the way could change what is said: that is for a server on this machine, as tests have.
const serverUrl = z
  .string()
  .refine((value) => URL.canParse(value), 'must be a URL')
  .transform((value) => new URL(value))
  .refine(
    ({ protocol, hostname }) =>
      protocol === 'https:' ||
      (protocol === 'http:' && ['127.0.0.1', '[::1]', 'localhost'].includes(hostname)),
    'must be https://, or http:// on this machine',
  )

// A key of one plan is refused at the other's address; both begin with CG-.
const COINGECKO_URLS = {
  demo: 'https://api.coingecko.com/api/v3',
  pro: 'https://pro-api.coingecko.com/api/v3',
}

// One entry for each variable of ours; what is not listed here is none of our business.
const variables = {
  PORT: integer(1, 65_535).default(8080),
  REDIS_URL: z.union([z.literal('off'), redisUrl]).optional(),
  REDIS_HOST: z
    .string()
    .regex(/^[^\s/@]+$/, 'must be a host name or an address')
    .optional(),
  REDIS_PORT: integer(1, 65_535).optional(),
  REDIS_DB: integer(0, 1_000).optional(),
  REDIS_USERNAME: z.string().optional(),
  REDIS_PASSWORD: z.string().optional(),
  REDIS_TLS: flag.optional(),
  REDIS_CA_FILE: fileContents.optional(),
  STATE_REDIS_URL: redisUrl.optional(),
  REDIS_PREFIX: z
    .string()
    .regex(/^[\w:.-]{0,64}$/, 'may have letters, digits and : . _ -')
    .default('samovar:'),
  REDIS_BUDGET_MS: integer(10, 10_000).optional(),
  CACHE_ENABLED: flag.default(true),
  CACHE_TTL_HOURS: positive.default(24),
  REDIS_TTL: positive.default(300),
  MEMORY_BUDGET_MB: integer(1, 65_536).default(32),
  ADMIN_TOKEN: z
    .string()
    .regex(/^[\x21-\x7e]{8,}$/, 'must have at least 8 characters: letters, digits and signs, no spaces')
    .optional(),
  SESSION_SECRET: secrets.optional(),
  TELEGRAM_BOT_TOKEN: z
    .string()
    .regex(/^\d{1,16}:[\w-]{1,200}$/, 'must look like 123456789:AAE…, as BotFather gives it')
    .optional(),
  TELEGRAM_API_URL: serverUrl.default(new URL('https://api.telegram.org')),
  TELEGRAM_CLIENT_ID: z
    .string()
    .regex(/^[\w.-]{1,100}$/, 'must be the Client ID that BotFather shows under Web Login')
    .optional(),
  TELEGRAM_CLIENT_SECRET: z
    .string()
    .regex(/^[\x21-\x7e]{1,500}$/, 'must be the Client Secret that BotFather shows under Web Login')
    .optional(),
  TELEGRAM_ISSUER: serverUrl.default(new URL('https://oauth.telegram.org')),
  DATABASE_URL: postgresUrl.optional(),
  SUPABASE_URL: webAddress.optional(),
  SUPABASE_ANON_KEY: z
    .string()
    .regex(/^[\x21-\x7e]{8,4000}$/, 'must be the anon (publishable) key that Supabase shows under API Keys')
    .optional(),
  WEBHOOK_SECRETS: webhookSources.default(new Map()),
  WEBHOOK_CLOSED: names.default([]),
  WEBHOOK_TOLERANCE_SECONDS: integer(1, 3_600).default(300),
  COINGECKO_URL: serverUrl
    .refine(({ search, hash }) => search === '' && hash === '', 'must have no ? and no #')
    .transform((url) => url.href.replace(/\/+$/, ''))
    .optional(),
  COINGECKO_API_KEY: z
    .string()
    .regex(/^[\x21-\x7e]{1,200}$/, 'must be the key that CoinGecko shows, such as CG-…')
    .optional(),
  COINGECKO_PLAN: z.enum(['demo', 'pro'], { error: 'must be demo or pro' }).default('demo'),
  COINGECKO_CALLS_PER_MINUTE: integer(1, 1_000).default(10),
  COINGECKO_TTL: positive.default(60),
  ICE_SERVERS: iceServers.default([]),
  CALL_SOCKETS: integer(1, 50_000).default(1_000),
  TRUST_PROXY: integer(0, 10).default(1),
  DATA_DIR: z.string().default('data'), // the image sets /data
  LOG_LEVEL: z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], {
      error: 'must be trace, debug, info, warn, error, fatal or silent',
    })
    .default('info'),
  LOG_FORMAT: z.enum(['json', 'pretty'], { error: 'must be json or pretty' }).optional(),
  // Set by the image, not by people: where its parts meet (the data lock's word).
  SAMOVAR_RUN_DIR: z.string().startsWith('/', 'must be an absolute path').optional(),
  // Read by ecosystem.config.js; checked here.
  WEB_CONCURRENCY: integer(1, 64).default(1),
}
const schema = z.object(variables)

/**
 * Reads and checks the environment. A variable set to nothing counts as unset.
 * @throws InvalidEnvironment with all problems
 */
export function readConfig(env: Environment = process.env, isTerminal = process.stdout.isTTY === true) {
  const given = Object.fromEntries(
    Object.keys(variables).flatMap((name) => (env[name] ? [[name, env[name]]] : [])),
  )
  const parsed = schema.safeParse(given)
  if (!parsed.success) {
    throw new InvalidEnvironment(
      parsed.error.issues.map((issue) => `${issue.path.join('.')} ${wording(issue)}`),
    )
  }
  const values = parsed.data

  const main = values.REDIS_URL ?? targetFromParts(values)
  const mode: Mode = main === 'off' ? 'memory' : isLoopback(main) ? 'embedded' : 'external'
  if (mode === 'embedded' && main !== 'off' && 'tls' in main.at && main.at.tls) {
    throw new InvalidEnvironment([
      'REDIS_URL must be redis:// for a Redis on this machine: the embedded one speaks no TLS',
    ])
  }

  if (values.WEBHOOK_CLOSED.some((name) => !values.WEBHOOK_SECRETS.has(name))) {
    throw new InvalidEnvironment(['WEBHOOK_CLOSED must name sources that WEBHOOK_SECRETS names'])
  }

  if (values.COINGECKO_PLAN === 'pro' && values.COINGECKO_API_KEY === undefined) {
    throw new InvalidEnvironment(['COINGECKO_PLAN can only be pro with a key in COINGECKO_API_KEY'])
  }

  const cacheTarget = main === 'off' ? undefined : main
  return Object.freeze({
    port: values.PORT,
    mode,
    redis: Object.freeze({
      cache: cacheTarget,
      state: cacheTarget && (values.STATE_REDIS_URL ?? cacheTarget),
      /** Whether the state role has a server of its own, so that the other one holds nothing but the cache. */
      hasStateServer: mode === 'embedded' && values.STATE_REDIS_URL !== undefined,
      ca: values.REDIS_CA_FILE,
      budgetMs: values.REDIS_BUDGET_MS ?? (mode === 'external' ? 500 : 100),
      prefix: values.REDIS_PREFIX,
    }),
    cache: Object.freeze({
      enabled: values.CACHE_ENABLED,
      referenceTtlMs: values.CACHE_TTL_HOURS * HOUR,
      ttlMs: values.REDIS_TTL * SECOND,
    }),
    memoryBudgetBytes: values.MEMORY_BUDGET_MB * 1024 * 1024,
    adminToken: values.ADMIN_TOKEN,
    /** The first one signs, each is believed; undefined: one is made, and kept in the data directory. */
    sessionSecrets: values.SESSION_SECRET,
    telegram: Object.freeze({
      botToken: values.TELEGRAM_BOT_TOKEN,
      apiUrl: values.TELEGRAM_API_URL,
      issuer: values.TELEGRAM_ISSUER,
      clientId: values.TELEGRAM_CLIENT_ID,
      clientSecret: values.TELEGRAM_CLIENT_SECRET,
    }),
    /** Where reference data and records are; neither: SQLite in the data directory. */
    database: Object.freeze({
      postgres: values.DATABASE_URL,
      supabase: supabaseOf(values),
    }),
    webhooks: Object.freeze({
      sources: values.WEBHOOK_SECRETS,
      closed: values.WEBHOOK_CLOSED,
      toleranceMs: values.WEBHOOK_TOLERANCE_SECONDS * SECOND,
    }),
    coinGecko: Object.freeze({
      url: values.COINGECKO_URL ?? COINGECKO_URLS[values.COINGECKO_PLAN],
      apiKey: values.COINGECKO_API_KEY,
      plan: values.COINGECKO_PLAN,
      callsPerMinute: values.COINGECKO_CALLS_PER_MINUTE,
      ttlMs: values.COINGECKO_TTL * SECOND,
    }),
    calls: Object.freeze({ iceServers: values.ICE_SERVERS, mostSockets: values.CALL_SOCKETS }),
    workers: values.WEB_CONCURRENCY,
    trustProxy: values.TRUST_PROXY,
    dataDir: resolve(values.DATA_DIR),
    runDir: values.SAMOVAR_RUN_DIR,
    log: Object.freeze({
      level: values.LOG_LEVEL,
      format: values.LOG_FORMAT ?? (isTerminal ? 'pretty' : 'json'),
    }),
    warnings: [...nearMisses(env), ...closedForGood(mode, values.WEBHOOK_CLOSED)],
  })
}

export type Config = ReturnType<typeof readConfig>

function supabaseOf({ SUPABASE_URL: url, SUPABASE_ANON_KEY: anonKey, ...values }: z.infer<typeof schema>) {
  if ((url === undefined) !== (anonKey === undefined)) {
    throw new InvalidEnvironment(['SUPABASE_URL and SUPABASE_ANON_KEY belong together: set both or neither'])
  }
  if (url && values.DATABASE_URL) {
    throw new InvalidEnvironment(['DATABASE_URL and SUPABASE_URL are both set: reference data has one place'])
  }
  return url && anonKey ? Object.freeze({ url, anonKey }) : undefined
}

function targetFromParts(values: z.infer<typeof schema>): RedisTarget {
  return {
    at: {
      host: values.REDIS_HOST ?? 'localhost',
      port: values.REDIS_PORT ?? 6379,
      tls: values.REDIS_TLS ?? false,
    },
    database: values.REDIS_DB ?? 0,
    ...(values.REDIS_USERNAME && { username: values.REDIS_USERNAME }),
    ...(values.REDIS_PASSWORD && { password: values.REDIS_PASSWORD }),
  }
}

// A union reports each branch; people want the one sentence about the branch they meant.
function wording(issue: z.core.$ZodIssue): string {
  if (issue.code !== 'invalid_union') return issue.message
  const messages = issue.errors.flat().map((nested) => nested.message)
  return `must be off, or ${messages.find((message) => message.startsWith('must look')) ?? messages.at(-1)}`
}

function closedForGood(mode: Mode, closed: readonly string[]): readonly string[] {
  if (mode !== 'memory' || closed.length === 0) return []
  return ['without Redis (REDIS_URL=off) the sources in WEBHOOK_CLOSED accept nothing']
}

/** One warning for each variable that is nearly, but not quite, one of ours. */
function nearMisses(env: Environment): readonly string[] {
  const ours = Object.keys(variables)
  return Object.keys(env).flatMap((name) => {
    if (ours.includes(name) || name.length < 6) return []
    const meant = ours.find((own) => own.length >= 6 && distance(own, name.toUpperCase()) <= 2)
    return meant ? [`${name} is not a variable of Samovar; did you mean ${meant}?`] : []
  })
}
